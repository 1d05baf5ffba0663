"""What the hub needs of a database system beyond SQLAlchemy's Core."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")

System = Literal["sqlite", "postgresql"]
"""The database systems that there are."""


class QueryTimeout(Exception):
    """A read took longer than it may, in seconds."""


class Backend(Protocol):
    """A database of one system. Safe to use from any thread; connections and engines belong to who asked for them."""

    system: System

    name: str
    """Which database that is, for people: never with a password."""

    advice: str
    """What to do where it cannot be used."""

    def prepare(self) -> None:
        """Make what has to be there before anything connects.

        Raises:
            OSError: it cannot be made.
        """

    def writer(self) -> Engine:
        """An engine whose transactions may write from their start, and are durable when committed.

        Its connections may be used from another thread than the one that made them. To connect raises `ConfigError`
        while another hub writes the database.
        """

    def reader(self) -> Engine:
        """An engine whose transactions see one state, cannot write, and do not wait for writers."""

    def revive(self, connection: Connection) -> None:
        """Let go of a connection that ended while it was idle, so that what is asked next is asked on a new one."""

    def limited(self, connection: Connection, limit_s: float) -> AbstractContextManager[None]:
        """Interrupt statements that are still running after so many seconds; on SQLite, or that nobody waits for.

        Raises:
            QueryTimeout: one was; the transaction can only be rolled back.
            Cancelled: nobody waited for it.
        """

    def told(self, error: BaseException) -> BaseException | None:
        """What callers know an error of the database's driver as: a disk that is full or fails; None for any other."""

    def tidy(self, writer: Connection) -> None:
        """What keeps queries fast is done before the hub ends."""

    def dump(self, path: Path, read: Callable[[Connection], T]) -> T:
        """Write all rows into an empty file, as of one moment, while a hub may go on; what `read` finds at that moment.

        Raises:
            ConfigError: there is no such database, or a program that this takes is missing or fails.
            DiskFull: there is no room for the file.
        """

    def load(self, path: Path) -> None:
        """Fill a database that is still empty with the rows of a `dump`, durably, all of them or none.

        Raises:
            ConfigError: it is not empty or in use, or a program that this takes is missing or fails.
            DiskFull: there is no room for them.
        """
