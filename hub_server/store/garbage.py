"""What garbage collection asks of the database and changes in it (docs/design/garbage-collection.md).

Every function is one piece of work inside somebody's transaction; what must happen together is in one function.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, and_, bindparam, delete, exists, func, or_, select, update

from committer.storage.pack import HEADER, Pack, PackEntry
from hub_server.store import objects
from hub_server.store.schema import commit, dot, object_, pack, project_pack
from hub_server.store.upsert import Upsert


class Known(Struct, frozen=True):
    """An object of a project, with the size of its record in bytes."""

    hash: bytes
    size: int
    unused_since: datetime | None


class Deleted(Struct, frozen=True):
    """How many objects were deleted from the database, and the bytes of their records."""

    objects: int
    size: int


class PackUse(Struct, frozen=True, kw_only=True):
    """A pack in which a project has objects: its size, and how much of it objects of any project take, in bytes.

    Objects that were deleted take nothing any more; one that two projects have counts twice.
    """

    key: int
    hash: bytes
    size: int
    used: int


_ADD_UNKNOWN = Upsert(pack, lambda new: new.on_conflict_do_nothing().returning(pack.c.id))
_OF_PROJECT = object_.c.project_id == bindparam("project")
_RECORD_SIZE = object_.c.stored_size + HEADER.size
_THESE = and_(_OF_PROJECT, object_.c.hash.in_(bindparam("hashes", expanding=True)))
_START_CYCLE = update(dot).where(dot.c.id == bindparam("dot_id")).values(gc_cycle=dot.c.gc_cycle + 1)
_NEXT_EPOCH = update(dot).where(dot.c.id == bindparam("dot_id")).values(gc_epoch=dot.c.gc_epoch + 1)
_COMMITS = (
    select(commit.c.id, commit.c.hash)
    .where(commit.c.dot_id == bindparam("dot"), commit.c.id > bindparam("after"))
    .order_by(commit.c.id)
    .limit(bindparam("limit"))
)
_KNOWN = (
    select(object_.c.hash, _RECORD_SIZE.label("size"), object_.c.unused_since)
    .where(_OF_PROJECT, object_.c.hash > bindparam("after"))
    .order_by(object_.c.hash)
    .limit(bindparam("limit"))
)
_UNUSED = (
    update(object_).where(_THESE, object_.c.unused_since.is_(None)).values(unused_since=bindparam("now"), complete=0)
)
_USED = update(object_).where(_THESE).values(unused_since=None)
_EXPIRED = (
    select(object_.c.hash, _RECORD_SIZE.label("size"))
    .where(_OF_PROJECT, object_.c.unused_since < bindparam("before"))
    .limit(bindparam("limit"))
)
_MOVE = (
    update(object_)
    .where(_OF_PROJECT, object_.c.hash == bindparam("name"), object_.c.pack_id == bindparam("source"))
    .values(pack_id=bindparam("key"), offset=bindparam("at"))
)


# Objects


def start_cycle(connection: Connection, dot_id: str) -> None:
    """Unused objects are looked for from now on: a push that has begun to check what is here has to check again."""
    connection.execute(_START_CYCLE, {"dot_id": dot_id})


def commit_page(connection: Connection, dot_id: str, after: int, limit: int) -> list[tuple[int, bytes]]:
    """The next commits of a dot in the order of their keys: key and hash."""
    rows = connection.execute(_COMMITS, {"dot": dot_id, "after": after, "limit": limit})
    return [(row.id, row.hash) for row in rows]


def object_page(connection: Connection, project_key: int, after: bytes, limit: int) -> list[Known]:
    """The next objects of a project in the order of their hashes."""
    rows = connection.execute(_KNOWN, {"project": project_key, "after": after, "limit": limit})
    return [Known(row.hash, row.size, row.unused_since) for row in rows]


def note_use(
    connection: Connection, project_key: int, unused: Sequence[bytes], used: Sequence[bytes], now: datetime
) -> None:
    """Note which objects no commit needs, and which are needed after all. Unused ones are never complete."""
    for some in objects.batches(unused):
        connection.execute(_UNUSED, {"project": project_key, "hashes": some, "now": now})
    for some in objects.batches(used):
        connection.execute(_USED, {"project": project_key, "hashes": some})


def delete_unused(connection: Connection, project_key: int, dot_id: str, before: datetime, limit: int) -> Deleted:
    """Forget up to `limit` objects that have been unused since before a time; a new epoch says so to who pushes."""
    rows = connection.execute(_EXPIRED, {"project": project_key, "before": before, "limit": limit}).all()
    for some in objects.batches([row.hash for row in rows]):
        connection.execute(delete(object_).where(object_.c.project_id == project_key, object_.c.hash.in_(some)))
    if rows:
        next_epoch(connection, dot_id)
    return Deleted(len(rows), sum(row.size for row in rows))


def next_epoch(connection: Connection, dot_id: str) -> None:
    """What committers remember of this hub is not true any more."""
    connection.execute(_NEXT_EPOCH, {"dot_id": dot_id})


# Packs


def doom_empty_packs(connection: Connection, now: datetime) -> None:
    """Note the packs in which no project has an object, to delete them when nobody reads them any more."""
    is_empty = ~exists().where(object_.c.pack_id == pack.c.id)
    connection.execute(update(pack).where(pack.c.doomed_at.is_(None), is_empty).values(doomed_at=now))


def doom_unknown_packs(connection: Connection, found: Iterable[tuple[bytes, int]], now: datetime) -> int:
    """Note the stored packs (hash and size) that the database does not know, in the same way; how many there are."""
    rows = [{"hash": name, "size": size, "created_at": now, "doomed_at": now} for name, size in found]
    added = [connection.execute(_ADD_UNKNOWN.on(connection), row).first() for row in rows]
    return sum(one is not None for one in added)


def known_packs(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these packs the database knows."""
    known: set[bytes] = set()
    for some in objects.batches(hashes):
        known.update(connection.scalars(select(pack.c.hash).where(pack.c.hash.in_(some))))
    return known


def packs_to_delete(connection: Connection, doomed_before: datetime) -> list[objects.PackRow]:
    """The packs that were doomed before a time, and those whose deletion did not come to its end."""
    query = select(pack.c.id, pack.c.hash, pack.c.size).where(
        pack.c.doomed_at.is_not(None), or_(pack.c.deleting, pack.c.doomed_at < doomed_before)
    )
    return [objects.PackRow(row.id, row.hash, row.size) for row in connection.execute(query)]


def begin_deleting(connection: Connection, pack_key: int) -> bool:
    """From now on nobody can keep this pack; False where somebody has, since it was doomed."""
    is_empty = ~exists().where(object_.c.pack_id == pack.c.id)
    doomed = and_(pack.c.id == pack_key, pack.c.doomed_at.is_not(None), is_empty)
    return bool(connection.execute(update(pack).where(doomed).values(deleting=True)).rowcount)


def forget_pack(connection: Connection, pack_key: int) -> None:
    """The pack's file is deleted."""
    connection.execute(delete(project_pack).where(project_pack.c.pack_id == pack_key))
    connection.execute(delete(pack).where(pack.c.id == pack_key))


# Packing again


def pack_use(connection: Connection, project_key: int) -> list[PackUse]:
    """How much of each pack in which the project has objects is taken by any; damaged packs are left out."""
    mine = select(object_.c.pack_id).where(object_.c.project_id == project_key)
    query = (
        select(pack.c.id, pack.c.hash, pack.c.size, func.sum(_RECORD_SIZE).label("used"))
        .join(object_, object_.c.pack_id == pack.c.id)
        .where(pack.c.id.in_(mine), pack.c.damaged_at.is_(None))
        .group_by(pack.c.id)
        .order_by(pack.c.id)
    )
    return [PackUse(key=row.id, hash=row.hash, size=row.size, used=row.used) for row in connection.execute(query)]


def entries_in_pack(connection: Connection, project_key: int, pack_key: int) -> list[PackEntry]:
    """The objects of a project that lie in a pack, in the order in which they lie there."""
    query = (
        select(object_)
        .where(object_.c.project_id == project_key, object_.c.pack_id == pack_key)
        .order_by(object_.c.offset)
    )
    return [objects.entry_of(row) for row in connection.execute(query)]


def move_objects(connection: Connection, project_key: int, sources: Sequence[int], to: Pack, now: datetime) -> None:
    """The project's objects in a new pack lie there now, and not in the packs of these keys, one for each entry.

    An object that has come to lie somewhere else meanwhile stays there.
    """
    key, _ = objects.place_pack(connection, project_key, to.hash, to.size, len(to.entries), now)
    rows = [
        {"project": project_key, "name": entry.hash, "source": source, "key": key, "at": entry.offset}
        for entry, source in zip(to.entries, sources, strict=True)
    ]
    connection.execute(_MOVE, rows)
