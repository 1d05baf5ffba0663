"""The database as the event loop sees it: statements run on threads, results come back as awaitables.

One writer thread takes work from a queue and commits what has gathered there in one transaction ("group commit"), so
that the one fsync of `synchronous=FULL` is shared by all who wait for it. A few reader threads, each with its own
connection and its own snapshot of the data (WAL), never wait for the writer.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from committer.storage.index import PRIMARY_CODE
from dotscience.errors import DiskFull, SnapshotError, StorageUnavailable

T = TypeVar("T")
Work = Callable[[Connection], T]

MAX_READERS = 4
MAX_GROUP = 64
BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 32_768
MMAP_BYTES = 1 << 30


STEPS_BETWEEN_LOOKS = 10_000
"""Instructions of SQLite's machine, a fraction of a millisecond, between two looks at the clock."""


class QueryTimeout(Exception):
    """A read took longer than it may, in seconds."""


class _Write(Struct):
    work: Work[Any]
    done: Future[Any]


class Database:
    """A SQLite database file, opened by one hub process.

    `read` and `write` are called on the event loop, `read_blocking` on worker threads only. Work gets a connection
    inside a transaction, must not keep it, and returns plain data.
    """

    def __init__(self, path: Path, *, readers: int | None = None) -> None:
        self._path = path
        self._writer_engine = open_engine(path, begin="BEGIN IMMEDIATE")
        self._reader_engine = open_engine(path, begin="BEGIN", read_only=True)
        self._local = threading.local()
        self._reader_connections: list[Connection] = []
        count = readers or min(os.cpu_count() or 1, MAX_READERS)
        self._readers = ThreadPoolExecutor(count, thread_name_prefix="hub-db-reader")
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._write_forever, name="hub-db-writer")
        self._writer.start()

    async def read(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """Run `work` on a reader thread, in a transaction that sees one consistent state and cannot write.

        Raises:
            QueryTimeout: its statements took longer than `limit_s` in all.
        """
        return await asyncio.wrap_future(self._readers.submit(self._read_now, work, limit_s))

    def read_blocking(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """`read` for worker threads: it runs on the calling thread, which gets a connection of its own."""
        return self._read_now(work, limit_s)

    async def write(self, work: Work[T]) -> T:
        """Run `work` on the writer thread; when this returns, its changes are durable.

        Writes run one after the other in the order of the calls. An exception undoes this work alone, not that of
        others in the same group. To that end work may run a second time, after all that the first run did was undone,
        so it must do nothing but change the database. A caller that is cancelled does not stop work that has begun.
        """
        if self._closed:
            raise RuntimeError("the database is closed")
        done: Future[T] = Future()
        self._writes.put(_Write(work, done))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Finish queued work and close all connections; blocks until done. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        self._writer.join()
        self._readers.shutdown()
        for connection in self._reader_connections:
            connection.close()
        self._reader_engine.dispose()
        self._writer_engine.dispose()

    def _read_now(self, work: Work[T], limit_s: float | None) -> T:
        connection = self._reader_connection()
        with connection.begin() as transaction:
            try:
                with _limited(connection, limit_s):  # and not the end of the transaction
                    return work(connection)
            finally:
                transaction.rollback()

    def _reader_connection(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._reader_engine.connect()
            self._reader_connections.append(connection)
        return connection

    def _write_forever(self) -> None:
        with self._writer_engine.connect() as connection:
            while (first := self._writes.get()) is not None:
                group, ending = self._gather(first)
                self._write_group(connection, [write for write in group if write.done.set_running_or_notify_cancel()])
                if ending:
                    break
            connection.exec_driver_sql("PRAGMA optimize")

    def _gather(self, first: _Write) -> tuple[list[_Write], bool]:
        """All that waits in the queue, up to the group's size; and whether the end was among it."""
        group = [first]
        while len(group) < MAX_GROUP:
            try:
                following = self._writes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, True
            group.append(following)
        return group, False

    def _write_group(self, connection: Connection, group: Sequence[_Write]) -> None:
        """Commit the group in one transaction; where that fails, each of its writes in one of its own."""
        try:
            with connection.begin():
                results = [write.work(connection) for write in group]
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the waiting caller gets it
            if len(group) == 1:
                group[0].done.set_exception(_told(error))
                return
            for write in group:
                self._write_group(connection, [write])
        else:
            for write, result in zip(group, results, strict=True):
                write.done.set_result(result)


@contextmanager
def _limited(connection: Connection, limit_s: float | None) -> Iterator[None]:
    """Interrupt statements that are still running after so many seconds (sqlite.org/c3ref/progress_handler.html)."""
    if limit_s is None:
        yield
        return
    dbapi: Any = connection.connection.dbapi_connection
    until = time.monotonic() + limit_s
    dbapi.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise QueryTimeout(limit_s) from error
        raise
    finally:
        dbapi.set_progress_handler(None, 0)


def _told(error: BaseException) -> BaseException:
    """The error as callers know it: a disk that is full or fails is said to be so, whatever failed after it."""
    link: BaseException | None = error
    while link is not None:
        told = _disk_error(getattr(getattr(link, "orig", None), "sqlite_errorcode", None))
        if told is not None:
            told.__cause__ = error
            return told
        link = link.__cause__ or link.__context__
    return error


def _disk_error(code: int | None) -> SnapshotError | None:
    """What a result code says of the disk (sqlite.org/rescode.html); extended codes have the primary one below."""
    match None if code is None else code & PRIMARY_CODE:
        case sqlite3.SQLITE_FULL:
            return DiskFull("the disk that holds the hub's database is full; make room there")
        case sqlite3.SQLITE_IOERR:
            return StorageUnavailable("the disk that holds the hub's database fails; look at the system's log")
    return None


def open_engine(path: Path, *, begin: str, read_only: bool = False) -> Engine:
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
            "temp_store=MEMORY",
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
