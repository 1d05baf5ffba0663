"""The database as the loop sees it, and its migrations."""

from __future__ import annotations

import asyncio
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from dotscience.errors import ConfigError, DiskFull
from hub_server.store import accounts
from hub_server.store.database import Database, open_engine
from hub_server.store.migrate import migrate
from hub_server.store.schema import metadata


def put(name):
    return lambda connection: accounts.ensure_setting(connection, name, name.encode())


def names(connection):
    return [row[0] for row in connection.execute(text("SELECT name FROM setting ORDER BY rowid"))]


def test_writes_are_seen_when_they_return(database):
    async def work():
        await database.write(put("a"))
        assert await database.read(names) == ["a"]
        assert database.read_blocking(names) == ["a"]

    asyncio.run(work())


def test_a_failing_write_is_undone_alone(database):
    def fail(connection):
        put("bad")(connection)
        raise ValueError("no")

    async def work():
        blocked = threading.Event()
        first = asyncio.ensure_future(database.write(lambda _: blocked.wait(20)))
        group = [database.write(put("a")), database.write(fail), database.write(put("b"))]
        waiting = asyncio.gather(*group, return_exceptions=True)
        await asyncio.sleep(0)
        blocked.set()
        await first
        results = await waiting
        assert isinstance(results[1], ValueError)
        assert await database.read(names) == ["a", "b"]

    asyncio.run(work())


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


def test_writes_run_in_the_order_of_the_calls(database):
    async def work():
        await asyncio.gather(*(database.write(put(f"{number:03}")) for number in range(200)))
        assert await database.read(names) == [f"{number:03}" for number in range(200)]

    asyncio.run(work())


def test_readers_cannot_write(database):
    async def work():
        with pytest.raises(OperationalError, match="readonly"):
            await database.read(put("a"))

    asyncio.run(work())


def test_a_reader_does_not_wait_for_the_writer(database):
    async def work():
        blocked = threading.Event()
        writing = asyncio.ensure_future(database.write(lambda c: (put("a")(c), blocked.wait(20))))
        await asyncio.sleep(0)
        assert await database.read(names) == []
        blocked.set()
        await writing
        assert await database.read(names) == ["a"]

    asyncio.run(work())


def test_closing_finishes_what_was_queued(tmp_path):
    migrate(tmp_path / "hub.db")
    database = Database(tmp_path / "hub.db")

    async def work():
        waiting = [asyncio.ensure_future(database.write(put(str(number)))) for number in range(50)]
        await asyncio.sleep(0)
        database.close()
        assert len(await asyncio.gather(*waiting)) == 50
        with pytest.raises(RuntimeError, match="closed"):
            await database.write(put("late"))

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


def test_migrations_make_exactly_the_schema_of_the_code(tmp_path):
    migrate(tmp_path / "hub.db")
    migrate(tmp_path / "hub.db")
    engine = open_engine(tmp_path / "hub.db", begin="BEGIN")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    path = tmp_path / "hub.db"
    migrate(path)
    engine = open_engine(path, begin="BEGIN IMMEDIATE")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ConfigError, match="9999"):
        migrate(path)


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
