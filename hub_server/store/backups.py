"""What a backup asks of the database, and what changes in one that was restored."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, literal, select, update

from hub_server.store import health, objects
from hub_server.store.objects import PackRow
from hub_server.store.schema import dot, object_, pack

EPOCH_LEAP = 2**20

_USED_PACKS = (
    select(pack.c.id, pack.c.hash, pack.c.size)
    .where(exists(literal(1)).where(object_.c.pack_id == pack.c.id))
    .order_by(pack.c.id)
)
_LEAP = update(dot).where(dot.c.id == bindparam("dot")).values(gc_epoch=dot.c.gc_epoch + bindparam("leap"))


def used_packs(connection: Connection) -> list[PackRow]:
    """The packs in which any project has an object, in the order in which they came."""
    return [PackRow(row.id, row.hash, row.size) for row in connection.execute(_USED_PACKS)]


def begin_new_epochs(connection: Connection) -> None:
    """Have every committer compare what it believes with what this hub has.

    Epochs that the hub had after the backup was made are known to committers, and must not come again with another
    meaning: a new one is further on than they can have come, by a leap that is not the same twice.
    """
    for dot_id in connection.scalars(select(dot.c.id)).all():
        connection.execute(_LEAP, {"dot": dot_id, "leap": EPOCH_LEAP + secrets.randbelow(EPOCH_LEAP)})


def note_missing(connection: Connection, packs: Iterable[bytes], now: datetime) -> None:
    """These packs could not be restored: committers that have what was in them are asked for it."""
    for some in objects.batches(packs):
        found = connection.execute(select(pack.c.id, pack.c.hash, pack.c.size).where(pack.c.hash.in_(some))).all()
        for row in found:
            health.note_damage(connection, PackRow(row.id, row.hash, row.size), now)
