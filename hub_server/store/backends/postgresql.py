"""PostgreSQL 14 or newer: a database of its own on a server, which one hub writes."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from dotscience.errors import ConfigError, DiskFull, StorageUnavailable
from hub_server.domain.values import NUL_SYMBOL
from hub_server.store.backends.backend import QueryTimeout, System

T = TypeVar("T")

CONNECT_S = 10
HUB_LOCK = 0x646F7473
"""The number of the advisory lock that the writing hub holds ("dots")."""

LOCK_WAIT_MS = 2_000

CANCELED = "57014"
FULL = frozenset({"53100", "53200"})
"""SQLSTATEs (postgresql.org/docs/current/errcodes-appendix.html): the disk is full, and memory."""
UNAVAILABLE = ("08", "57P", "58", "XX")
"""The first letters of those that say that the server, not the statement, is in trouble."""


class Postgresql:
    """The database that a URL names: `postgresql://user:password@host/name`."""

    system: System = "postgresql"
    advice = "check its address, its user and password, and that the server runs"

    def __init__(self, url: str) -> None:
        """Raises `ConfigError` where it is no such URL, or the driver is not installed."""
        if find_spec("psycopg") is None:
            raise ConfigError("a database on PostgreSQL needs its driver: pip install 'dotscience[hub,postgres]'")
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise ConfigError(f"the database must be given like postgresql://user@host/name, not {url!r}") from error
        if parsed.drivername not in ("postgresql", "postgres") or not parsed.database:
            raise ConfigError("the database must be given like postgresql://user@host/name")
        self.name = parsed.render_as_string(hide_password=True)
        self._url = parsed.set(drivername="postgresql+psycopg")

    def prepare(self) -> None:
        """The database has been made by whoever runs the server."""

    def writer(self) -> Engine:
        """Its connection holds an advisory lock, which goes with it, so that no two hubs write."""
        engine = self._engine(isolation_level="READ COMMITTED")
        event.listen(engine, "connect", self._require_utf8, insert=True)  # before SQLAlchemy reads any text
        event.listen(engine, "connect", self._take_over)
        return engine

    def reader(self) -> Engine:
        """Transactions see the state at their first statement.

        What is prepared is planned for its values each time: PostgreSQL takes a project for one of average size.
        """
        engine = self._engine(isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True})
        event.listen(engine, "connect", _plan_for_values)
        return engine

    def revive(self, connection: Connection) -> None:
        """By a look at the socket: on an idle connection there is something to read only when the server ended it."""
        dbapi: Any = connection.connection.dbapi_connection
        if dbapi.closed or select.select([dbapi.fileno()], [], [], 0)[0]:
            connection.invalidate()

    @contextmanager
    def limited(self, connection: Connection, limit_s: float) -> Iterator[None]:
        """By the server, for each statement."""
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(limit_s * 1000))}")
        try:
            yield
        except OperationalError as error:
            if _state(error) == CANCELED:
                raise QueryTimeout(limit_s) from error
            raise

    def told(self, error: BaseException) -> BaseException | None:
        """By the SQLSTATE; an operational error without one means that no server answered."""
        if not isinstance(error, DBAPIError):
            return None
        state = _state(error)
        if state in FULL:
            return DiskFull("the disk that holds the hub's database is full; make room there")
        is_lost = error.connection_invalidated or (state is None and isinstance(error, OperationalError))
        if is_lost or (state or "").startswith(UNAVAILABLE):
            return StorageUnavailable(f"the hub's database {self.name} does not answer; it will be asked again")
        return None

    def tidy(self, writer: Connection) -> None:
        """The server sees to its statistics (autovacuum)."""

    def dump(self, path: Path, read: Callable[[Connection], T]) -> T:
        """By `pg_dump`, which sees the state that `read` reads (PostgreSQL's manual, 9.28.5)."""
        program = _program("pg_dump")
        engine = self.reader()
        try:
            with engine.connect() as connection, connection.begin():
                found = read(connection)
                snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
                self._run(program, f"--snapshot={snapshot}", "--format=custom", f"--file={path}")
            return found
        except DBAPIError as error:
            raise ConfigError(f"{self.name} cannot be read ({str(error.orig).strip()}); {self.advice}") from error
        finally:
            engine.dispose()

    def load(self, path: Path) -> None:
        """By `pg_restore`, in one transaction; meanwhile no hub can use the database."""
        program = _program("pg_restore")
        engine = self.writer()
        try:
            with engine.connect() as held:
                if inspect(held).get_table_names():
                    raise ConfigError(f"the database {self.name} is not empty; restore into an empty one")
                held.rollback()
                self._run(program, "--single-transaction", "--exit-on-error", str(path))
        except DBAPIError as error:
            raise ConfigError(f"{self.name} cannot be used ({str(error.orig).strip()}); {self.advice}") from error
        finally:
            engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs; the password is not among its arguments, which others can see."""
        url = self._url.set(drivername="postgresql")
        named = f"--dbname={url._replace(password=None).render_as_string(hide_password=False)}"
        secret = {} if url.password is None else {"PGPASSWORD": str(url.password)}
        command = [program, "--no-owner", "--no-privileges", "--no-password", named, *arguments]
        done = subprocess.run(command, env=os.environ | secret, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"{Path(program).name} failed: {done.stderr.strip() or f'status {done.returncode}'}")

    def _require_utf8(self, connection: Any, _record: object) -> None:
        """Texts of other encodings cannot hold all that people write, and their bytes have another order."""
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise ConfigError(
                f"the database {self.name} has the encoding {encoding}, and the hub needs UTF8: "
                "make another one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
            )

    def _take_over(self, connection: Any, _record: object) -> None:
        """Get the lock, waiting a moment: a server may take one to notice that its last holder has gone."""
        from psycopg.errors import LockNotAvailable  # with the driver, which an installation need not have

        try:
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
            connection.execute("SELECT pg_advisory_lock(%s)", [HUB_LOCK])
            connection.commit()  # which ends the time limit, and not the lock
        except LockNotAvailable as error:
            raise ConfigError(f"another hub uses the database {self.name}; stop that one first") from error

    def _engine(self, **options: Any) -> Engine:
        connecting = {"connect_timeout": CONNECT_S}
        engine = create_engine(self._url, poolclass=NullPool, connect_args=connecting, **options)
        event.listen(engine, "connect", _send_no_nul)
        event.listen(engine, "connect", _set_up)
        return engine


def _send_no_nul(connection: Any, _record: object) -> None:
    """PostgreSQL's texts hold no NUL (its manual, 8.3), and JSON's do: its symbol stands in its place."""
    from psycopg.adapt import Dumper  # with the driver, which an installation need not have

    class TextWithoutNul(Dumper):
        def dump(self, text: str) -> bytes:
            return text.replace("\0", NUL_SYMBOL).encode()

    connection.adapters.register_dumper(str, TextWithoutNul)


def _set_up(connection: Any, _record: object) -> None:
    """No just-in-time compilation: where the planner expects many rows, that alone takes 0.1 s of a query of 0.03 s.

    And memory enough for any set of runs, which it would not hash otherwise, but go through for each run.
    """
    connection.execute("SET jit = off")
    connection.execute(
        "SELECT set_config('work_mem', '16MB', false) "
        "WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('16MB')"
    )
    connection.commit()


def _plan_for_values(connection: Any, _record: object) -> None:
    """A plan for any values sorted 200,000 rows where one for these read 51 in their order."""
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.commit()


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            f"{name} is not installed here; install PostgreSQL's client programs of the server's version or newer "
            "(Debian's package postgresql-client), or back the database up where they are"
        )
    return found
