"""The database as the loop sees it, and its migrations."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import text

from dotscience.errors import DiskFull
from hub_server.store import accounts


def put(name):
    return lambda connection: accounts.ensure_setting(connection, name, name.encode())


def names(connection):
    return [row[0] for row in connection.execute(text("SELECT name FROM setting ORDER BY rowid"))]


def test_a_write_that_finds_no_room_does_not_fail_the_others(database):
    """SQLite undoes the whole transaction then, not just the statement."""

    def fill(connection):
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        accounts.ensure_setting(connection, "large", bytes(2**20))

    async def work():
        blocked = threading.Event()
        first = asyncio.ensure_future(database.write(lambda _: blocked.wait(20)))
        group = [database.write(put("a")), database.write(fill), database.write(put("b"))]
        waiting = asyncio.gather(*group, return_exceptions=True)
        await asyncio.sleep(0)
        blocked.set()
        await first
        results = await waiting
        assert isinstance(results[1], DiskFull)
        assert results[::2] == [b"a", b"b"]
        assert await database.read(names) == ["a", "b"]

    asyncio.run(work())


def test_the_settings_that_make_it_durable_are_on(database):
    def pragmas(connection):
        return [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    async def work():
        assert await database.write(pragmas) == ["wal", 2, 1]

    asyncio.run(work())


def test_a_full_disk_is_said_and_the_hub_goes_on(database):
    def fill(connection):
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        put("a")(connection)
        accounts.ensure_setting(connection, "large", bytes(2**20))

    async def work():
        with pytest.raises(DiskFull, match="full"):
            await database.write(fill)
        await database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000"))
        await database.write(put("b"))
        assert await database.read(names) == ["b"]

    asyncio.run(work())
