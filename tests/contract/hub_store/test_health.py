"""What is noted about packs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from hub_server.store import health
from hub_server.store.objects import PackRow
from hub_server.store.schema import pack

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_damage_keeps_the_time_at_which_it_was_found_first(database):
    def work(connection):
        made = insert(pack).values(hash=bytes(32), size=1, created_at=START).returning(pack.c.id)
        key = connection.execute(made).scalar_one()
        for day in (1, 2):
            health.note_damage(connection, PackRow(key, bytes(32), 1), START + timedelta(days=day))
        return connection.execute(select(pack.c.damaged_at, pack.c.checked_at)).one()

    found = asyncio.run(database.write(work))
    assert tuple(found) == (START + timedelta(days=1), START + timedelta(days=2))
