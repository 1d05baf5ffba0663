"""Which packs are well, and since when that is known."""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate

from sqlalchemy import Connection, func, literal, select, update

from hub_server.domain.types import DamagedPack
from hub_server.store import garbage
from hub_server.store.objects import PackRow
from hub_server.store.schema import UtcTime, dot, object_, pack, project


def packs_to_check(connection: Connection, *, part: int) -> list[PackRow]:
    """The packs to check next: one `part`-th of all bytes, but one pack at least where there are any.

    First come those that were never checked since they came, then those whose check is the longest ago.
    """
    query = select(pack.c.id, pack.c.hash, pack.c.size).where(pack.c.doomed_at.is_(None))
    rows = connection.execute(query.order_by(pack.c.checked_at.nulls_first(), pack.c.id)).all()
    budget = sum(row.size for row in rows) / part
    sizes = accumulate((row.size for row in rows), initial=0)
    return [PackRow(row.id, row.hash, row.size) for row, before in zip(rows, sizes, strict=False) if before < budget]


def note_well(connection: Connection, pack_key: int, now: datetime) -> None:
    """The pack is what its name says."""
    connection.execute(update(pack).where(pack.c.id == pack_key).values(checked_at=now, damaged_at=None))


def note_damage(connection: Connection, row: PackRow, now: datetime) -> DamagedPack:
    """The pack is damaged or gone: to those who push, its objects are not here any more."""
    connection.execute(
        update(pack)
        .where(pack.c.id == row.key)
        .values(checked_at=now, damaged_at=func.coalesce(pack.c.damaged_at, literal(now, UtcTime)))
    )
    hit = connection.execute(
        select(project.c.uuid, dot.c.id, func.count().label("objects"))
        .select_from(object_)
        .join(project, project.c.id == object_.c.project_id)
        .join(dot, dot.c.project_id == project.c.id)
        .where(object_.c.pack_id == row.key)
        .group_by(project.c.uuid, dot.c.id)
    ).all()
    for one in hit:
        garbage.next_epoch(connection, one.id)
    return DamagedPack(
        pack=row.hash.hex(), projects=sorted(one.uuid for one in hit), objects=sum(one.objects for one in hit)
    )


def damaged_objects(connection: Connection, project_key: int, *, limit: int) -> list[bytes]:
    """The first objects of a project that lie in damaged packs."""
    damaged = select(pack.c.id).where(pack.c.damaged_at.is_not(None))
    query = select(object_.c.hash).where(object_.c.project_id == project_key, object_.c.pack_id.in_(damaged))
    return list(connection.scalars(query.order_by(object_.c.hash).limit(limit)))
