"""SQLite: a file in the hub's data folder, which one hub has to itself (`hub_server.data_folder`)."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from committer.storage.durability import storage_errors, sync_file, sync_folder
from committer.storage.index import PRIMARY_CODE, disk_errors
from dotscience.errors import ConfigError, DiskFull, StorageUnavailable
from hub_server.store.backends.backend import QueryTimeout, System
from hub_server.thread_pool import check_cancelled, is_cancelled

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 32_768
MMAP_BYTES = 1 << 30
STEPS_BETWEEN_LOOKS = 10_000
"""Instructions of SQLite's machine, a fraction of a millisecond, between two looks at the clock."""
PAGES_AT_ONCE = 4_096
"""How much of a file is dumped before SIGINT is looked at."""


class Sqlite:
    """The database in a file."""

    system: System = "sqlite"
    advice = "restore a backup of it"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def prepare(self) -> None:
        """Only its owner can read the file, and those that SQLite puts beside it (they get its mode)."""
        self._path.touch(mode=0o600)
        self._path.chmod(0o600)

    def writer(self) -> Engine:
        """Transactions have SQLite's one write lock from their start, and are synced at their end.

        That no other hub writes is what the data folder's lock is for.
        """
        return _engine(self._path, begin="BEGIN IMMEDIATE", read_only=False)

    def reader(self) -> Engine:
        """Transactions see one state of the file (WAL).

        Raises:
            ConfigError: there is no such file.
        """
        if not self._path.is_file():
            raise ConfigError(f"there is no hub's database {self._path}; name the hub's data folder with --data")
        return _engine(self._path, begin="BEGIN", read_only=True)

    def revive(self, connection: Connection) -> None:
        """A file does not go away."""

    @contextmanager
    def limited(self, connection: Connection, limit_s: float) -> Iterator[None]:
        """By a look at the clock now and then (sqlite.org/c3ref/progress_handler.html)."""
        dbapi: Any = connection.connection.dbapi_connection
        until = time.monotonic() + limit_s
        dbapi.set_progress_handler(lambda: time.monotonic() > until or is_cancelled(), STEPS_BETWEEN_LOOKS)
        try:
            yield
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                check_cancelled()
                raise QueryTimeout(limit_s) from error
            raise
        finally:
            dbapi.set_progress_handler(None, 0)

    def told(self, error: BaseException) -> BaseException | None:
        """By the result code (sqlite.org/rescode.html); extended codes have the primary one below.

        The file that readers and the writer share (`-shm`) is the first that there is no room for.
        """
        code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_IOERR_SHMSIZE:
            code = sqlite3.SQLITE_FULL
        match None if code is None else code & PRIMARY_CODE:
            case sqlite3.SQLITE_FULL:
                return DiskFull("the disk that holds the hub's database is full; make room there")
            case sqlite3.SQLITE_IOERR:
                return StorageUnavailable("the disk that holds the hub's database fails; look at the system's log")
        return None

    def tidy(self, writer: Connection) -> None:
        """Have the query planner's statistics follow what has changed (sqlite.org/pragma.html#pragma_optimize)."""
        writer.exec_driver_sql("PRAGMA optimize")

    def dump(self, path: Path, read: Callable[[Connection], T]) -> T:
        """By SQLite's online backup (sqlite.org/backup.html), from inside of the transaction that `read` reads in."""
        engine = self.reader()
        try:
            with engine.connect() as source, source.begin(), closing(sqlite3.connect(path)) as copy, disk_errors(path):
                found = read(source)  # from the first look on, the transaction sees one state
                dbapi: Any = source.connection.dbapi_connection
                dbapi.backup(copy, pages=PAGES_AT_ONCE)
                copy.execute("PRAGMA journal_mode=DELETE")  # a file that needs no other beside it
            return found
        finally:
            engine.dispose()

    def load(self, path: Path) -> None:
        """By copying the file."""
        if self._path.exists():
            raise ConfigError(f"there is a database {self._path} already; restore into an empty folder")
        aside = self._path.with_name(f"{self._path.name}.restoring")
        with storage_errors(self._path.parent):
            shutil.copyfile(path, aside)
            aside.chmod(0o600)
            sync_file(aside)
            aside.rename(self._path)
            sync_folder(self._path.parent)


def _engine(path: Path, *, begin: str, read_only: bool) -> Engine:
    """An engine whose transactions start with the statement `begin`.

    sqlite3's own transaction handling is switched off (`isolation_level=None`): it would begin late and commit early.
    """
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"temp_store={'MEMORY' if read_only else 'FILE'}",  # upgrades sort whole tables
            f"cache_size=-{CACHE_KIB}",
            f"mmap_size={MMAP_BYTES}",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        dbapi: Any = connection.connection.dbapi_connection  # directly: this runs before every piece of work
        dbapi.execute(begin)

    return engine
