"""A set of references that may be larger than memory: what garbage collection found to be needed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Self

from committer.storage.objects import Kind, Reference

BATCH = 250
CACHE_KIB = 16_384


class Marks:
    """References, in a file that SQLite removes by itself (an empty name, sqlite.org/inmemorydb.html).

    The same object may be marked as several kinds. Not thread-safe, but not bound to a thread.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            f"PRAGMA cache_size=-{CACHE_KIB}",
            "CREATE TABLE mark (hash BLOB, kind INTEGER, PRIMARY KEY (hash, kind)) WITHOUT ROWID",
            "BEGIN",
        ):
            self._connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, references: Sequence[Reference]) -> list[Reference]:
        """Mark references; those among them that were not marked before, in no particular order."""
        new: list[Reference] = []
        for start in range(0, len(references), BATCH):
            some = references[start : start + BATCH]
            values = ",".join(["(?,?)"] * len(some))
            rows = self._connection.execute(
                f"INSERT OR IGNORE INTO mark VALUES {values} RETURNING kind, hash",  # noqa: S608 - only marks
                [value for kind, name in some for value in (name, int(kind))],
            )
            new.extend((Kind(kind), name) for kind, name in rows)
        return new

    def among(self, names: Sequence[bytes]) -> set[bytes]:
        """Which of these objects are marked, as whatever kind."""
        found: set[bytes] = set()
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            marks = ",".join("?" * len(some))
            rows = self._connection.execute(f"SELECT hash FROM mark WHERE hash IN ({marks})", some)  # noqa: S608 - only marks
            found.update(name for (name,) in rows)
        return found
