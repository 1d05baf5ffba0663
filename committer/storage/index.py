"""The index of a local store: `index.db`, which pack holds which object.

Rows exist only for packs that are durable, so whatever the index names can be read, and what it does not name is
garbage. The committer keeps its journal in the same file: one transaction then covers a commit, its objects and its
runs.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from committer.storage.codec import digest
from committer.storage.compression import Encoding
from committer.storage.objects import Kind
from committer.storage.pack import Pack, PackEntry
from dotscience.errors import CorruptObject, DiskFull, NewerStore, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

INDEX = "index.db"
FORMAT = 1
BUSY_TIMEOUT_S = 30.0
CACHE_KIB = 32 * 2**10
"""Rows come in no order, as hashes have none: with less, the pages of a large commit are written more than once."""
PRIMARY_CODE = 0xFF
"""The part of an SQLite result code that is not detail (https://www.sqlite.org/rescode.html)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS store_format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pack (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS object (
    hash BLOB PRIMARY KEY,
    pack INTEGER NOT NULL REFERENCES pack (id),
    kind INTEGER NOT NULL,
    position INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    size INTEGER NOT NULL,
    encoding INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evicted (pack BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stat_rules (digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS stat_cursor (source TEXT NOT NULL, cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stat_listing (
    path BLOB PRIMARY KEY,
    noted_ns INTEGER NOT NULL,
    newest_ns INTEGER NOT NULL,
    tree BLOB NOT NULL,
    files INTEGER NOT NULL,
    size INTEGER NOT NULL,
    look INTEGER NOT NULL,
    left_out BLOB,
    folders BLOB NOT NULL,
    names BLOB NOT NULL,
    numbers BLOB NOT NULL,
    contents BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS stat_look ON stat_listing (path, look) WHERE look > 0;
CREATE INDEX IF NOT EXISTS stat_left_out ON stat_listing (path) WHERE left_out IS NOT NULL;
DROP TABLE IF EXISTS stat_directory; -- what stat_listing was before it knew of change sources; made anew by a scan
"""


def connect(folder: Path, *, read_only: bool = False, any_thread: bool = False) -> sqlite3.Connection:
    """A connection to a store's index, in autocommit mode and bound to this thread unless it is for `any_thread`.

    A transaction is durable when it returns: WAL with synchronous=FULL syncs the log at every commit.

    Raises:
        CorruptObject: the file is not a database that can be read.
        SnapshotError: the disk or its permissions do not let it be opened.
    """
    mode = "ro" if read_only else "rwc"
    address = f"{(folder / INDEX).absolute().as_uri()}?mode={mode}"
    connection = None
    try:
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=not any_thread
        )
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise _unreadable(folder, error) from error
    return connection


def create_tables(connection: sqlite3.Connection) -> bool:
    """Make the tables where they are missing; whether they were.

    Raises:
        NewerStore: a newer version of this program made them; they are left as they are.
    """
    row = None
    if has_table(connection, "store_format"):
        row = connection.execute("SELECT version FROM store_format").fetchone()
        if row is not None:
            require_known("store", row[0], FORMAT)
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    return row is None


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the database has a table of this name."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None


def require_known(what: str, version: int, known: int) -> None:
    """Make sure that this program knows the version of tables that it found.

    Raises:
        NewerStore: it does not.
    """
    if version > known:
        raise NewerStore(
            f"a newer Dotscience wrote this folder's {what} (version {version}, this program knows up to {known});"
            " run that one, or upgrade this one: pip install --upgrade dotscience"
        )


def mark_format(connection: sqlite3.Connection) -> None:
    """Say that the index is whole and which format it has; the last step of making one."""
    connection.execute("DELETE FROM store_format")
    connection.execute("INSERT INTO store_format VALUES (?)", (FORMAT,))


def add_pack(connection: sqlite3.Connection, pack: Pack) -> None:
    """Name a durable pack and its objects; an object that another pack holds already stays there."""
    # Enumerations as plain integers, which sqlite3 takes without asking its adapters.
    cursor = connection.execute("INSERT INTO pack (hash, size) VALUES (?, ?)", (pack.hash, pack.size))
    number = cursor.lastrowid
    connection.executemany(
        "INSERT OR IGNORE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((e.hash, number, int(e.kind), e.offset, e.stored, e.size, int(e.encoding)) for e in pack.entries),
    )


def remove_packs(connection: sqlite3.Connection, packs: Iterable[bytes]) -> None:
    """Forget packs and the objects in them."""
    forget_unchanged(connection)
    for pack in packs:
        connection.execute("DELETE FROM object WHERE pack = (SELECT id FROM pack WHERE hash = ?)", (pack,))
        connection.execute("DELETE FROM pack WHERE hash = ?", (pack,))


def evict_pack(connection: sqlite3.Connection, pack: bytes, kept: Iterable[bytes]) -> None:
    """Note that a pack is gone on purpose: its blobs are known still, everything else in it is forgotten, as is `kept`.

    From the first one on, objects can be found by their places: `following` is asked about packs that are gone only.
    """
    connection.execute("CREATE INDEX IF NOT EXISTS object_place ON object (pack, position)")
    connection.execute(
        "DELETE FROM object WHERE pack = (SELECT id FROM pack WHERE hash = ?) AND kind != ?", (pack, Kind.BLOB)
    )
    connection.executemany("DELETE FROM object WHERE hash = ?", ((name,) for name in kept))
    connection.execute("INSERT INTO evicted VALUES (?)", (pack,))


def add_elsewhere(connection: sqlite3.Connection, blobs: Iterable[tuple[bytes, int]]) -> None:
    """Name blobs that a hub has and this disk never had, by hash and size, as if they had been dropped from here.

    Those that a pack holds stay there. What is given together is one pack that is gone, in this order (`following`).
    """
    rows = list(blobs)
    if not rows:
        return
    name = digest(b"".join(blob for blob, _ in rows))
    known = connection.execute("SELECT 1 FROM pack WHERE hash = ?", (name,)).fetchone()
    if known is None:
        entries = [
            PackEntry(blob, Kind.BLOB, place, size, size, Encoding.RAW) for place, (blob, size) in enumerate(rows)
        ]
        add_pack(connection, Pack(name, 0, entries))
        evict_pack(connection, name, ())


def is_evicted(connection: sqlite3.Connection, pack: bytes) -> bool:
    """Whether a pack was dropped to make room."""
    return connection.execute("SELECT 1 FROM evicted WHERE pack = ?", (pack,)).fetchone() is not None


def clear(connection: sqlite3.Connection) -> None:
    """Forget all packs and objects."""
    forget_unchanged(connection)
    connection.execute("DELETE FROM object")
    connection.execute("DELETE FROM pack")
    connection.execute("DELETE FROM evicted")


def forget_unchanged(connection: sqlite3.Connection) -> None:
    """Forget which files are unchanged: those are not stored again, so once objects may be gone, read them all."""
    connection.execute("DELETE FROM stat_listing")


def find(connection: sqlite3.Connection, name: bytes) -> tuple[bytes, PackEntry] | None:
    """The pack that holds an object, and where."""
    row = connection.execute(
        "SELECT pack.hash, object.kind, position, stored, object.size, encoding"
        " FROM object JOIN pack ON pack.id = object.pack WHERE object.hash = ?",
        (name,),
    ).fetchone()
    if row is None:
        return None
    pack, kind, position, stored, size, encoding = row
    return pack, PackEntry(name, Kind(kind), position, stored, size, Encoding(encoding))


def following(connection: sqlite3.Connection, name: bytes, limit: int) -> list[tuple[bytes, int]]:
    """An object and at most so many that its pack holds after it, in order: their hashes and plain sizes."""
    query = (
        "SELECT other.hash, other.size FROM object AS one JOIN object AS other USING (pack)"
        " WHERE one.hash = ? AND other.position >= one.position ORDER BY other.position LIMIT ?"
    )
    return list(connection.execute(query, (name, limit + 1)))


def contains(connection: sqlite3.Connection, name: bytes) -> bool:
    """Whether some pack holds an object."""
    return connection.execute("SELECT 1 FROM object WHERE hash = ?", (name,)).fetchone() is not None


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether no pack holds any object."""
    return connection.execute("SELECT 1 FROM object LIMIT 1").fetchone() is None


def packs(connection: sqlite3.Connection) -> Iterator[tuple[bytes, int]]:
    """Every pack that is here and its size in bytes, oldest first."""
    yield from connection.execute(
        "SELECT hash, size FROM pack WHERE hash NOT IN (SELECT pack FROM evicted) ORDER BY id"
    )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what SQLite says when the disk refuses the database of a store into the errors that callers of a store know.

    Raises:
        DiskFull: there is no room.
        SnapshotError: the disk failed, or does not let us write.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        match error.sqlite_errorcode & PRIMARY_CODE:
            case sqlite3.SQLITE_FULL:
                raise DiskFull(f"{folder} is full; make room there") from error
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
                raise SnapshotError(f"{folder} cannot be written: {error}; check the disk") from error
        raise


def _unreadable(folder: Path, error: sqlite3.DatabaseError) -> SnapshotError:
    if isinstance(error, sqlite3.OperationalError):
        return SnapshotError(
            f"{folder / INDEX} cannot be opened: {error}; make sure that its folder can be written and has room"
        )
    return CorruptObject(
        f"{folder / INDEX} is damaged ({error}). Move it and its -wal and -shm files away: the next start"
        " makes a new index from the packs, but what had been noticed and not yet committed is lost"
    )
