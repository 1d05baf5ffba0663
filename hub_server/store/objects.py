"""Packs and the objects in them, per project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from msgspec import Struct
from sqlalchemy import Connection, and_, bindparam, select, update
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


# Statements of a push are made once: to make one costs SQLAlchemy more than to run it.

_ADD_PACK = insert(pack).on_conflict_do_nothing()
_PACK_KEY = select(pack.c.id).where(pack.c.hash == bindparam("hash"))
_ADD_TO_PROJECT = insert(project_pack).on_conflict_do_nothing()
_ADD_OBJECTS = insert(object_).on_conflict_do_nothing()
_ASKED_FOR = and_(object_.c.project_id == bindparam("project"), object_.c.hash.in_(bindparam("hashes", expanding=True)))
_PRESENT = select(object_.c.hash).where(_ASKED_FOR)
_LOCATE = select(object_, pack.c.hash.label("pack_hash")).join(pack, pack.c.id == object_.c.pack_id).where(_ASKED_FOR)
_MARK_COMPLETE = update(object_).where(_ASKED_FOR).values(complete=bindparam("read_as"))


def add_pack(
    connection: Connection, project_key: int, pack_hash: bytes, size: int, entries: Sequence[PackEntry], now: datetime
) -> bool:
    """Make a stored pack's objects the project's; those that it had stay where they are.

    Returns whether the pack is new to the project.
    """
    connection.execute(_ADD_PACK, {"hash": pack_hash, "size": size, "created_at": now})
    pack_key = connection.execute(_PACK_KEY, {"hash": pack_hash}).scalar_one()
    place = {"project_id": project_key, "pack_id": pack_key, "objects": len(entries)}
    if not connection.execute(_ADD_TO_PROJECT, place).rowcount:
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
    connection.execute(_ADD_OBJECTS, rows)
    return True


def present(connection: Connection, project_key: int, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of the hashes the project has."""
    found: set[bytes] = set()
    for some in _batches(hashes):
        found.update(connection.scalars(_PRESENT, {"project": project_key, "hashes": some}))
    return found


def locate(connection: Connection, project_key: int, hashes: Iterable[bytes]) -> dict[bytes, Location]:
    """Where the project's objects lie, for those of the hashes that it has."""
    found: dict[bytes, Location] = {}
    for some in _batches(hashes):
        for row in connection.execute(_LOCATE, {"project": project_key, "hashes": some}):
            entry = PackEntry(row.hash, Kind(row.kind), row.offset, row.stored_size, row.size, Encoding(row.encoding))
            found[row.hash] = Location(row.pack_hash, entry, row.complete)
    return found


def mark_complete(connection: Connection, project_key: int, kind: Kind, hashes: Iterable[bytes]) -> None:
    """Note that everything below these objects, read as `kind`, is here."""
    for some in _batches(hashes):
        connection.execute(_MARK_COMPLETE, {"project": project_key, "hashes": some, "read_as": int(kind)})


def _batches(hashes: Iterable[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(hashes)
    while batch := list(islice(remaining, MAX_VARIABLES)):
        yield batch
