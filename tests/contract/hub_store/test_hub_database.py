"""The database as the loop sees it, and its migrations."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError
from support.hub_rows import START, add_project, add_runs, new_run

from dotscience.errors import ConfigError, StorageUnavailable
from dotscience.record import RunRecord
from hub_server.store import accounts, search
from hub_server.store import database as database_module
from hub_server.store.backends.backend import QueryTimeout
from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.database import Database
from hub_server.store.migrate import MIGRATIONS, migrate
from hub_server.store.schema import metadata, run_value, setting

BUT_THE_SEARCH = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith(search.NAME)}
"""Its tables are different ones on each database."""


def put(name):
    return lambda connection: accounts.ensure_setting(connection, name, name.encode())


def names(connection):
    return sorted(connection.scalars(setting.select().with_only_columns(setting.c.name)))


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


def test_writes_run_in_the_order_of_the_calls(database):
    async def work():
        ran: list[int] = []
        await asyncio.gather(*(database.write(lambda _, number=number: ran.append(number)) for number in range(200)))
        assert ran == list(range(200))

    asyncio.run(work())


def test_readers_cannot_write(database):
    async def work():
        with pytest.raises(DBAPIError, match=r"read-?only"):
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


class Meter:
    """What is in the queue."""

    def __init__(self):
        self.queued = 0

    def work_queued(self, access):
        self.queued += 1

    def work_ended(self, access, waited_s, worked_s):
        self.queued -= 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_callers_know_of_is_not_in_the_queue(backend, monkeypatch):
    meter, seen = Meter(), []

    class Outcome(Future):
        def set_result(self, result):
            seen.append(meter.queued)
            super().set_result(result)

        def set_exception(self, exception):
            seen.append(meter.queued)
            super().set_exception(exception)

    monkeypatch.setattr(database_module, "Future", Outcome)
    database = Database(backend, meter=meter)

    async def work():
        await database.write(put("a"))
        with pytest.raises(ZeroDivisionError):
            await database.write(lambda _: 1 / 0)

    try:
        asyncio.run(work())
    finally:
        database.close()
    assert seen == [0, 0]


def test_closing_finishes_what_was_queued(backend):
    database = Database(backend)

    async def work():
        waiting = [asyncio.ensure_future(database.write(put(str(number)))) for number in range(50)]
        await asyncio.sleep(0)
        database.close()
        assert len(await asyncio.gather(*waiting)) == 50
        with pytest.raises(RuntimeError, match="closed"):
            await database.write(put("late"))

    asyncio.run(work())


def differences(connection):
    """Between the database's tables and those of the code."""
    found = compare_metadata(MigrationContext.configure(connection, opts=BUT_THE_SEARCH), metadata)
    is_postgresql = connection.dialect.name == "postgresql"
    for table in metadata.sorted_tables:
        key, stored = table.primary_key, inspect(connection).get_pk_constraint(table.name)
        wanted = list(key.columns.keys()), list(key.dialect_options["postgresql"]["include"] or ())
        included = stored.get("dialect_options", {}).get("postgresql_include", [])
        if (stored["constrained_columns"], included if is_postgresql else wanted[1]) != wanted:
            found.append((table.name, stored))
    return found


def test_migrations_make_exactly_the_schema_of_the_code(backend):
    migrate(backend)
    engine = backend.reader()
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(backend):
    engine = backend.writer()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ConfigError, match="9999"):
        migrate(backend)


def test_every_earlier_schema_becomes_this_one(backend):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]
    engine = backend.writer()
    for revision in ["base", *reversed(revisions)]:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
            if revision != "base":
                command.upgrade(config, revision)
        migrate(backend)
        with engine.connect() as connection:
            assert differences(connection) == []
            assert inspect(connection).has_table("run_value")
    engine.dispose()


def test_values_of_an_earlier_schema_are_kept(backend):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = backend.writer()
    stored = select(run_value.c.num, run_value.c.txt).order_by(run_value.c.run_id, run_value.c.key_id)
    with engine.begin() as connection:
        project, dot = add_project(connection)
        records = [RunRecord(run_id=str(UUID(int=number)), parameters={"a": number, "b": "x"}) for number in range(3)]
        add_runs(connection, project, dot, [new_run(one, START) for one in records])
        before = connection.execute(stored).all()
        config.attributes["connection"] = connection
        command.downgrade(config, "0008")
        assert inspect(connection).get_pk_constraint("run_value")["constrained_columns"] == ["run_id", "key_id"]
    engine.dispose()
    migrate(backend)
    with engine.connect() as connection:
        assert [row.num for row in before if row.txt != "x"] == [0, 1, 2]
        assert connection.execute(stored).all() == before
    engine.dispose()


def test_a_read_that_takes_too_long_is_ended_and_the_next_one_works(backend, database):
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(3600)",
    }[database.read_blocking(lambda c: c.dialect.name)]

    async def work():
        for _ in range(2):
            with pytest.raises(QueryTimeout):
                await database.read(lambda c: c.execute(text(slow)).all(), limit_s=0.05)
            assert await database.read(names, limit_s=60) == []
        await database.write(put("a"))
        assert await database.read(names) == ["a"]

    asyncio.run(work())


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
class TestPostgresql:
    """What only a server does."""

    def test_one_hub_at_a_time(self, backend, database):
        with pytest.raises(ConfigError, match="another hub uses"):
            Database(backend)
        with pytest.raises(ConfigError, match="another hub uses"):
            migrate(backend)
        database.close()
        Database(backend).close()

    def test_a_server_that_went_away_is_said_to_and_used_again_when_it_is_back(
        self, backend, database, postgres_server
    ):
        async def work():
            await database.write(put("a"))
            assert await database.read(names) == ["a"]
            postgres_server.cut_connections()
            assert await _when_back(lambda: database.read(names)) == ["a"]
            await _when_back(lambda: database.write(put("b")))
            assert await database.read(names) == ["a", "b"]
            with postgres_server.stopped():
                with pytest.raises(StorageUnavailable, match="does not answer"):
                    await database.read(names)
                with pytest.raises(StorageUnavailable, match="does not answer"):
                    await database.write(put("c"))
            assert await database.read(names) == ["a", "b"]
            await database.write(put("d"))
            assert await database.read(names) == ["a", "b", "d"]
            with pytest.raises(ConfigError, match="another hub uses"):
                Database(backend)

        asyncio.run(work())

    def test_texts_are_compared_by_their_bytes(self, database):
        written = ["a", "B", "\N{LATIN SMALL LETTER A WITH DIAERESIS}", "Z", "_", "z"]

        def sort(connection):
            columns = "('{}')".format("'),('".join(written))
            connection.execute(
                text(
                    f"INSERT INTO run_key (project_id, kind, name) SELECT id, 'param', v FROM project,"
                    f" (VALUES {columns}) AS t(v)"
                )
            )
            return list(connection.scalars(text("SELECT name FROM run_key ORDER BY name")))

        async def work():
            await database.write(add_project)
            assert await database.write(sort) == sorted(written)

        asyncio.run(work())


def test_a_database_of_another_encoding_is_refused(postgres_server):
    options = "ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    with postgres_server.database(options) as url, pytest.raises(ConfigError, match="encoding SQL_ASCII"):
        migrate(Postgresql(url))


def test_what_cannot_be_used_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="check its address"):
        migrate(Postgresql(f"postgresql://me:secret@/nothing?host={tmp_path}"))
    with pytest.raises(ConfigError) as caught:
        migrate(Postgresql(f"postgresql://me:secret@/nothing?host={tmp_path}"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "postgresql://host", "postgresql+asyncpg://h/n"])
def test_what_is_no_database_is_refused(url):
    with pytest.raises(ConfigError, match="postgresql://user@host/name"):
        Postgresql(url)


async def _when_back(ask):
    """The answer, as soon as the database gives one: that a session was ended is known some moments later."""
    until = time.monotonic() + 30
    while True:
        try:
            return await ask()
        except StorageUnavailable:
            assert time.monotonic() < until
