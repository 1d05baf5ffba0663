"""The database as the event loop sees it: statements run on threads, results come back as awaitables.

One writer thread takes work from a queue and commits what has gathered there in one transaction ("group commit"), so
that one fsync is shared by all who wait for it. A few reader threads, each with its own connection and its own snapshot
of the data, never wait for the writer.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dotscience.errors import DiskFull
from hub_server.store.backends.backend import Backend
from hub_server.thread_pool import ThreadPool

T = TypeVar("T")
Work = Callable[[Connection], T]

MAX_READERS = 4
SEARCHERS = 2
MAX_GROUP = 64


Access = Literal["read", "write"]


class Meter(Protocol):
    """Is told what the database is asked for; on any thread."""

    def work_queued(self, access: Access) -> None:
        """Work waits for a thread from now on."""

    def work_ended(self, access: Access, waited_s: float, worked_s: float) -> None:
        """It is done, or failed, after so many seconds in the queue and so many on the thread."""


class _Unmetered:
    def work_queued(self, access: Access) -> None:
        pass

    def work_ended(self, access: Access, waited_s: float, worked_s: float) -> None:
        pass


class _Write(Struct):
    work: Work[Any]
    done: Future[Any]
    queued_at: float


class Database:
    """A database, opened by one hub process.

    `read` and `write` are called on the event loop, `read_blocking` on worker threads only. Work gets a connection
    inside a transaction, must not keep it, and returns plain data.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        readers: int | None = None,
        meter: Meter | None = None,
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connect to the database, which is up to date (`hub_server.store.migrate`).

        `make_room` is called on the writer's thread where there was no room for a write; it says whether there is now.

        Raises:
            ConfigError: another hub writes it.
        """
        self._backend = backend
        self._meter = meter or _Unmetered()
        self._make_room = make_room
        self._writer_engine = backend.writer()
        self._reader_engine = backend.reader()
        self._writer_connection = self._writer_engine.connect()
        self._local = threading.local()
        self._reader_connections: list[Connection] = []
        count = readers or min(os.cpu_count() or 1, MAX_READERS)
        self._readers = ThreadPool(count, "hub-db-reader")
        self._searchers = ThreadPool(SEARCHERS, "hub-db-searcher")
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._write_forever, name="hub-db-writer")
        self._writer.start()

    async def read(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """Run `work` on a reader thread, in a transaction that sees one consistent state and cannot write.

        Raises:
            QueryTimeout: its statements took longer than `limit_s`, in all on SQLite, one of them on PostgreSQL.
            Cancelled: the database is closed.
        """
        return await self._read_on(self._readers, work, limit_s)

    async def search(self, work: Work[T], *, limit_s: float) -> T:
        """`read` for what may take seconds: it keeps nothing waiting but others of its kind.

        Where nobody waits for it any more, or the database is closed, SQLite's statements are interrupted.

        Raises: as `read`.
        """
        return await self._read_on(self._searchers, work, limit_s)

    def read_blocking(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """`read` for worker threads: it runs on the calling thread, which gets a connection of its own."""
        return self._read_now(work, limit_s)

    def limited(self, connection: Connection, limit_s: float) -> AbstractContextManager[None]:
        """Another limit than that of the read, for what it does last.

        Raises:
            QueryTimeout: as from `read`.
        """
        return self._backend.limited(connection, limit_s)

    async def write(self, work: Work[T]) -> T:
        """Run `work` on the writer thread; when this returns, its changes are durable.

        Writes run one after the other in the order of the calls. An exception undoes this work alone, not that of
        others in the same group. To that end work may run a second time, after all that the first run did was undone,
        so it must do nothing but change the database. A caller that is cancelled does not stop work that has begun.
        """
        if self._closed:
            raise RuntimeError("the database is closed")
        done: Future[T] = Future()
        self._meter.work_queued("write")
        self._writes.put(_Write(work, done, monotonic()))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Finish queued work and close all connections; blocks until done. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        self._writer.join()
        self._readers.close()
        self._searchers.close()
        for connection in self._reader_connections:
            connection.close()
        self._reader_engine.dispose()
        self._writer_engine.dispose()

    async def _read_on(self, pool: ThreadPool, work: Work[T], limit_s: float | None) -> T:
        queued_at = monotonic()
        self._meter.work_queued("read")
        return await pool.run(lambda: self._read_metered(work, limit_s, queued_at))

    def _read_metered(self, work: Work[T], limit_s: float | None, queued_at: float) -> T:
        begun_at = monotonic()
        try:
            return self._read_now(work, limit_s)
        finally:
            self._meter.work_ended("read", begun_at - queued_at, monotonic() - begun_at)

    def _read_now(self, work: Work[T], limit_s: float | None) -> T:
        try:
            connection = self._reader_connection()
            self._backend.revive(connection)
            with connection.begin():  # and commit: at a rollback psycopg forgets all that it has prepared
                limited = nullcontext() if limit_s is None else self.limited(connection, limit_s)
                with limited:  # and not the end of the transaction
                    return work(connection)
        except DBAPIError as error:
            told = self._backend.told(error)
            if told is None:
                raise
            raise told from error

    def _reader_connection(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._reader_engine.connect()
            self._reader_connections.append(connection)
        return connection

    def _write_forever(self) -> None:
        with self._writer_connection as connection:
            while (first := self._writes.get()) is not None:
                group, ending = self._gather(first)
                begun_at = monotonic()
                self._write_group(connection, [write for write in group if self._is_wanted(write)], begun_at)
                if ending:
                    break
            self._backend.tidy(connection)

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

    def _is_wanted(self, write: _Write) -> bool:
        """Whether its caller still waits."""
        is_wanted = write.done.set_running_or_notify_cancel()
        if not is_wanted:
            self._meter_write(write, monotonic())
        return is_wanted

    def _meter_write(self, write: _Write, begun_at: float) -> None:
        """Before its caller knows of the outcome, and may ask the meter."""
        self._meter.work_ended("write", begun_at - write.queued_at, monotonic() - begun_at)

    def _write_group(self, connection: Connection, group: Sequence[_Write], begun_at: float) -> None:
        """Commit the group in one transaction; where that fails, each of its writes in one of its own."""
        try:
            self._backend.revive(connection)
            with connection.begin():
                results = [write.work(connection) for write in group]
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the waiting caller gets it
            told = self._told(error)
            if isinstance(told, DiskFull) and self._make_room():
                self._write_group(connection, group, begun_at)
                return
            if len(group) == 1:
                self._meter_write(group[0], begun_at)
                group[0].done.set_exception(told)
                return
            for write in group:
                self._write_group(connection, [write], begun_at)
        else:
            for write, result in zip(group, results, strict=True):
                self._meter_write(write, begun_at)
                write.done.set_result(result)

    def _told(self, error: BaseException) -> BaseException:
        """The error as callers know it: a disk that is full or fails is said to be so, whatever failed after it."""
        link: BaseException | None = error
        while link is not None:
            told = self._backend.told(link)
            if told is not None:
                told.__cause__ = error
                return told
            link = link.__cause__ or link.__context__
        return error
