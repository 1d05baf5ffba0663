"""Packs and the objects in them, per project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, and_, bindparam, or_, select, update

from committer.storage.compression import Encoding
from committer.storage.objects import Kind
from committer.storage.pack import PackEntry
from hub_server.store.schema import object_, pack, project_pack
from hub_server.store.upsert import Upsert

T = TypeVar("T")

MAX_VARIABLES = 500
"""Hashes per statement; SQLite allows 999 variables in its oldest builds."""


class Location(Struct, frozen=True):
    """Where an object lies, as what it is known to be complete (0 where it is not), and whether a commit needs it."""

    pack: bytes
    entry: PackEntry
    complete: int
    is_unused: bool


class PackRow(Struct, frozen=True):
    """A pack that the database knows: its key, hash and size in bytes."""

    key: int
    hash: bytes
    size: int


# Statements of a push are made once: to make one costs SQLAlchemy more than to run it.

_DAMAGED = select(pack.c.id).where(pack.c.damaged_at.is_not(None)).scalar_subquery()
_ADD_PACK = Upsert(
    pack,
    lambda new: new.on_conflict_do_update(
        index_elements=[pack.c.hash],
        set_={"checked_at": new.excluded.checked_at, "damaged_at": None, "doomed_at": None},
    ),
)
_PACK_KEY = select(pack.c.id).where(pack.c.hash == bindparam("hash"))
_DOOMED_AT = select(pack.c.doomed_at).where(pack.c.hash == bindparam("hash"))
_SPARE_PACK = update(pack).where(pack.c.hash == bindparam("name"), ~pack.c.deleting).values(doomed_at=None)
_ADD_TO_PROJECT = Upsert(project_pack, lambda new: new.on_conflict_do_nothing().returning(project_pack.c.pack_id))
_PLACE = ("kind", "pack_id", "offset", "stored_size", "size", "encoding")
_ADD_OBJECTS = Upsert(
    object_,
    lambda new: new.on_conflict_do_update(
        index_elements=[object_.c.project_id, object_.c.hash],
        set_={"unused_since": None, **{name: new.excluded[name] for name in _PLACE}},
        where=or_(object_.c.unused_since.is_not(None), object_.c.pack_id.in_(_DAMAGED)),
    ),
)
_ASKED_FOR = and_(object_.c.project_id == bindparam("project"), object_.c.hash.in_(bindparam("hashes", expanding=True)))
_PRESENT = select(object_.c.hash, object_.c.unused_since).where(_ASKED_FOR, object_.c.pack_id.not_in(_DAMAGED))
_LOCATE = select(object_, pack.c.hash.label("pack_hash")).join(pack, pack.c.id == object_.c.pack_id).where(_ASKED_FOR)
_MARK_COMPLETE = update(object_).where(_ASKED_FOR).values(complete=bindparam("read_as"))
_RENEW_LEASES = update(object_).where(_ASKED_FOR, object_.c.unused_since.is_not(None)).values(unused_since=None)


def is_doomed(connection: Connection, pack_hash: bytes) -> bool:
    """Whether the pack's file is about to be deleted, or just being so: `spare_pack` tells which."""
    return connection.scalar(_DOOMED_AT, {"hash": pack_hash}) is not None


def spare_pack(connection: Connection, pack_hash: bytes) -> bool:
    """Have the pack's file not deleted for now; False where that has begun, so that it cannot be kept right now."""
    connection.execute(_SPARE_PACK, {"name": pack_hash})
    return not is_doomed(connection, pack_hash)


def place_pack(
    connection: Connection, project_key: int, pack_hash: bytes, size: int, count: int, now: datetime
) -> tuple[int, bool]:
    """A pack is kept and well, and has `count` objects of the project; its key, and whether the project had it not."""
    connection.execute(
        _ADD_PACK.on(connection), {"hash": pack_hash, "size": size, "created_at": now, "checked_at": now}
    )
    pack_key: int = connection.execute(_PACK_KEY, {"hash": pack_hash}).scalar_one()
    place = {"project_id": project_key, "pack_id": pack_key, "objects": count}
    return pack_key, connection.execute(_ADD_TO_PROJECT.on(connection), place).first() is not None


def add_pack(
    connection: Connection, project_key: int, pack_hash: bytes, size: int, entries: Sequence[PackEntry], now: datetime
) -> bool:
    """Make a stored pack's objects the project's; those that it had and that are well stay where they are.

    Returns whether the pack is new to the project.
    """
    pack_key, is_new = place_pack(connection, project_key, pack_hash, size, len(entries), now)
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
    connection.execute(_ADD_OBJECTS.on(connection), rows)
    return is_new


def present(connection: Connection, project_key: int, hashes: Sequence[bytes]) -> dict[bytes, bool]:
    """Which of the hashes the project has, in packs that are well, and whether they are unused so far."""
    found: dict[bytes, bool] = {}
    for some in batches(hashes):
        for row in connection.execute(_PRESENT, {"project": project_key, "hashes": some}):
            found[row.hash] = row.unused_since is not None
    return found


def renew_leases(connection: Connection, project_key: int, hashes: Iterable[bytes]) -> None:
    """Somebody needs these objects: those that were unused start to be so anew, if nobody commits what needs them."""
    for some in batches(hashes):
        connection.execute(_RENEW_LEASES, {"project": project_key, "hashes": some})


def locate(connection: Connection, project_key: int, hashes: Iterable[bytes]) -> dict[bytes, Location]:
    """Where the project's objects lie, for those of the hashes that it has."""
    found: dict[bytes, Location] = {}
    for some in batches(hashes):
        for row in connection.execute(_LOCATE, {"project": project_key, "hashes": some}):
            found[row.hash] = Location(row.pack_hash, entry_of(row), row.complete, row.unused_since is not None)
    return found


def entry_of(row: Any) -> PackEntry:
    """Where in its pack the object of a row lies."""
    return PackEntry(row.hash, Kind(row.kind), row.offset, row.stored_size, row.size, Encoding(row.encoding))


def mark_complete(connection: Connection, project_key: int, kind: Kind, hashes: Iterable[bytes]) -> None:
    """Note that everything below these objects, read as `kind`, is here."""
    for some in batches(hashes):
        connection.execute(_MARK_COMPLETE, {"project": project_key, "hashes": some, "read_as": int(kind)})


def batches(names: Iterable[T]) -> Iterator[list[T]]:
    """Hashes or ids, in lists that fit into one statement each."""
    remaining = iter(names)
    while batch := list(islice(remaining, MAX_VARIABLES)):
        yield batch
