"""Packs and the objects in them, per project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from msgspec import Struct
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from committer.storage.compression import Encoding
from committer.storage.objects import Kind
from committer.storage.pack import PackEntry
from hub_server.store.schema import object_, pack, project_pack

MAX_VARIABLES = 500
"""Hashes per statement; SQLite allows 999 variables in its oldest builds."""


class Location(Struct, frozen=True):
    """Where an object lies, and as what it is known to be complete (0 where it is not)."""

    pack: bytes
    entry: PackEntry
    complete: int


def has_pack(connection: Connection, project_key: int, pack_hash: bytes) -> int | None:
    """How many objects the pack holds, when this project has uploaded it."""
    return connection.scalar(
        select(project_pack.c.objects)
        .join(pack, pack.c.id == project_pack.c.pack_id)
        .where(project_pack.c.project_id == project_key, pack.c.hash == pack_hash)
    )


def add_pack(
    connection: Connection, project_key: int, pack_hash: bytes, size: int, entries: Sequence[PackEntry], now: datetime
) -> bool:
    """Make a stored pack's objects the project's; those that it had stay where they are.

    Returns whether the pack is new to the project.
    """
    connection.execute(insert(pack).values(hash=pack_hash, size=size, created_at=now).on_conflict_do_nothing())
    pack_key = connection.execute(select(pack.c.id).where(pack.c.hash == pack_hash)).scalar_one()
    added = connection.execute(
        insert(project_pack)
        .values(project_id=project_key, pack_id=pack_key, objects=len(entries))
        .on_conflict_do_nothing()
    ).rowcount
    if not added:
        return False
    rows = [
        {
            "project_id": project_key,
            "hash": entry.hash,
            "kind": int(entry.kind),
            "pack_id": pack_key,
            "offset": entry.offset,
            "stored_size": entry.stored,
            "size": entry.size,
            "encoding": int(entry.encoding),
        }
        for entry in entries
    ]
    connection.execute(insert(object_).on_conflict_do_nothing(), rows)
    return True


def present(connection: Connection, project_key: int, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of the hashes the project has."""
    found: set[bytes] = set()
    for some in _batches(hashes):
        query = select(object_.c.hash).where(object_.c.project_id == project_key, object_.c.hash.in_(some))
        found.update(connection.scalars(query))
    return found


def locate(connection: Connection, project_key: int, hashes: Iterable[bytes]) -> dict[bytes, Location]:
    """Where the project's objects lie, for those of the hashes that it has."""
    found: dict[bytes, Location] = {}
    for some in _batches(hashes):
        query = (
            select(object_, pack.c.hash.label("pack_hash"))
            .join(pack, pack.c.id == object_.c.pack_id)
            .where(object_.c.project_id == project_key, object_.c.hash.in_(some))
        )
        for row in connection.execute(query):
            entry = PackEntry(row.hash, Kind(row.kind), row.offset, row.stored_size, row.size, Encoding(row.encoding))
            found[row.hash] = Location(row.pack_hash, entry, row.complete)
    return found


def mark_complete(connection: Connection, project_key: int, kind: Kind, hashes: Iterable[bytes]) -> None:
    """Note that everything below these objects, read as `kind`, is here."""
    for some in _batches(hashes):
        connection.execute(
            update(object_)
            .where(object_.c.project_id == project_key, object_.c.hash.in_(some))
            .values(complete=int(kind))
        )


def _batches(hashes: Iterable[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(hashes)
    while batch := list(islice(remaining, MAX_VARIABLES)):
        yield batch
