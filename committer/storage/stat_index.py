"""What the last committed snapshot saw of each directory, so that the next one reads only what may have changed.

One row per directory in the store's index. A row holds the directory as the system showed it, packed, so that an
unchanged one is recognised by comparing bytes, and apart from that what was stored for it, which is decoded only where
something changed. Rows are written in the transaction of the commit that they belong to, so they never name content
that the store does not hold; until then they are in a temporary table, as a large tree has more than belongs in
memory.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder, encode

from committer.storage.codec import MAX_SIZE, Hash
from committer.storage.tree import Attribute, EntryKind, TreeEntry
from committer.workspace.stat import GRANULARITY_NS, Sight, Signature

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

NEVER_OLD = MAX_SIZE
"""As `Listing.newest_ns`: what was seen says nothing about the next time."""

_COLUMNS = "path, noted_ns, newest_ns, tree, files, size, look, left_out, folders, names, numbers, contents"
_LISTING = (
    "SELECT noted_ns, newest_ns, tree, files, size, look, left_out, folders, names, numbers FROM {} WHERE path = ?"
)
_SAVED = "stat_listing"
_NOTED = "temp.stat_noted"


class Look(IntEnum):
    """Whether a directory has to be looked into even though a change source does not report it."""

    WHEN_CHANGED = 0
    FOR_MAPPINGS = 1
    """Only if the source does not see stores through mappings and through other names of a file."""
    ALWAYS = 2


class Stored(Struct, frozen=True, array_like=True, gc=False):
    """What was stored for a file or symbolic link; see `TreeEntry` for the fields."""

    kind: EntryKind
    size: int
    content: bytes
    link: int = 0
    attributes: tuple[Attribute, ...] = ()

    def as_tree_entry(self, name: bytes, signature: Signature) -> TreeEntry:
        """The same in a tree."""
        mode, time_ns = signature.mode & 0o7777, max(signature.mtime_ns, -MAX_SIZE)
        return TreeEntry(name, self.kind, mode, self.size, time_ns, self.content, self.link, self.attributes)


class Folder(Struct, frozen=True, array_like=True, gc=False):
    """A directory in a directory, with everything below it: its tree, how many files that has, and their bytes."""

    name: bytes
    mode: int
    inode: int
    tree: Hash
    files: int
    size: int
    attributes: tuple[Attribute, ...] = ()

    def as_tree_entry(self) -> TreeEntry:
        """The same in a tree, where a directory has no size and no time of its own."""
        mode = self.mode & 0o7777
        return TreeEntry(self.name, EntryKind.DIRECTORY, mode, 0, 0, self.tree, 0, self.attributes)


class Summary(NamedTuple):
    """What a directory's parent has to know of it; `files` and `size` are those of everything below."""

    tree: bytes
    files: int
    size: int


class Listing(NamedTuple):
    """One directory, but for its files' contents.

    `noted_ns` is a moment (Unix time) before it was looked at, `newest_ns` the latest time stamp of a file in it.
    `left_out` are the names that are not in the snapshot, or not with all that they have, for another reason than the
    ignore rules.
    """

    noted_ns: int
    newest_ns: int
    summary: Summary
    look: Look
    left_out: dict[bytes, str]
    folders: tuple[Folder, ...]
    sight: Sight

    @property
    def racy_from_ns(self) -> int:
        """A file with a time stamp from here on may have changed after it was noted, within the same tick.

        Kernels before 6.13 stamp writes within a few milliseconds alike, and file systems may be coarser; this is the
        rule of git's index (Documentation/technical/racy-git).
        """
        return self.noted_ns - GRANULARITY_NS


_FOLDERS = Decoder(tuple[Folder, ...])
_LEFT_OUT = Decoder(dict[bytes, str])
_CONTENTS = Decoder(tuple[Stored | None, ...])


class StatIndex:
    """The rows of the last commit, and those that the next one will write. Belongs to the thread of its connection."""

    def __init__(self, connection: sqlite3.Connection, rules: bytes) -> None:
        """`rules` is the digest of the ignore rules in force."""
        self._connection = connection
        self._rules = rules
        row = connection.execute("SELECT digest FROM stat_rules").fetchone()
        self.same_rules = row is not None and row[0] == rules
        """Whether the listings were made under these ignore rules, so that what they list is not to be left out."""
        self._noted: set[bytes] = set()
        self._gone: list[bytes] = []
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS stat_noted ({_COLUMNS}, PRIMARY KEY (path))")
        connection.execute("DELETE FROM temp.stat_noted")

    def cursor(self, source: str) -> str | None:
        """What the change source of this name said when the listings were made; None where another one was asked."""
        row = self._connection.execute("SELECT cursor FROM stat_cursor WHERE source = ?", (source,)).fetchone()
        return row[0] if row else None

    def listing(self, path: bytes) -> Listing | None:
        """What is known about the directory at `path`. What cannot be decoded counts as unknown."""
        row = self._row(_LISTING, path)
        if row is None:
            return None
        noted_ns, newest_ns, tree, files, size, look, left_out, folders, names, numbers = row
        try:
            return Listing(
                noted_ns,
                newest_ns,
                Summary(tree, files, size),
                Look(look),
                _LEFT_OUT.decode(left_out) if left_out else {},
                _FOLDERS.decode(folders),
                Sight(names, numbers),
            )
        except (msgspec.DecodeError, ValueError):
            return None

    def contents(self, path: bytes) -> tuple[Stored | None, ...]:
        """What was stored for each name of the sight of `path`; None for a directory and for what is left out."""
        row = self._row("SELECT contents FROM {} WHERE path = ?", path)
        try:
            return _CONTENTS.decode(row[0]) if row else ()
        except msgspec.DecodeError:
            return ()

    def note(self, path: bytes, listing: Listing, contents: list[Stored | None]) -> None:
        """Have the next commit write what the directory at `path` looks like now."""
        self._noted.add(path)
        self._connection.execute(
            "INSERT OR REPLACE INTO temp.stat_noted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                path,
                listing.noted_ns,
                listing.newest_ns,
                *listing.summary,
                listing.look,
                encode(listing.left_out) if listing.left_out else None,
                encode(listing.folders),
                *listing.sight,
                encode(contents),
            ),
        )

    def forget(self, path: bytes) -> None:
        """Have the next commit drop the directory at `path` and everything below; it may be noted anew after this."""
        self._gone.append(path)
        query = "SELECT path FROM temp.stat_noted WHERE path = ? OR path > ? AND path < ?"
        self._noted.difference_update(one for (one,) in self._connection.execute(query, _bounds(path)))
        _delete(self._connection, _NOTED, path)

    def to_look_into(self, least: Look) -> list[bytes]:
        """The directories that have to be looked into whatever a change source says."""
        rows = self._connection.execute("SELECT path FROM stat_listing WHERE look > 0 AND look >= ?", (least,))
        return [path for (path,) in rows]

    def left_out(self) -> Iterator[tuple[bytes, str]]:
        """Everything that the snapshot leaves out, be it noted now or unchanged; paths with reasons."""
        query = "SELECT path, left_out FROM {} WHERE left_out IS NOT NULL"
        for path, row in self._connection.execute(query.format(_SAVED)):
            if path not in self._noted and not any(_is_below(path, gone) for gone in self._gone):
                yield from _paths(path, row)
        for path, row in self._connection.execute(query.format(_NOTED)):
            yield from _paths(path, row)

    def save(self, connection: sqlite3.Connection, source: str, cursor: str) -> None:
        """Write what was noted and drop what was forgotten, inside a transaction.

        `cursor` is what the change source of the name `source` said before anything was looked at.
        """
        for path in self._gone:
            _delete(connection, _SAVED, path)
        connection.execute("INSERT OR REPLACE INTO stat_listing SELECT * FROM temp.stat_noted")
        if not self.same_rules:
            connection.execute("DELETE FROM stat_rules")
            connection.execute("INSERT INTO stat_rules VALUES (?)", (self._rules,))
        connection.execute("DELETE FROM stat_cursor")
        connection.execute("INSERT INTO stat_cursor VALUES (?, ?)", (source, cursor))

    def _row(self, query: str, path: bytes) -> tuple[Any, ...] | None:
        """What a query finds about a directory, in the table that has its newest state."""
        table = _NOTED if path in self._noted else _SAVED
        row: tuple[Any, ...] | None = self._connection.execute(query.format(table), (path,)).fetchone()
        return row


def _delete(connection: sqlite3.Connection, table: str, path: bytes) -> None:
    query = f"DELETE FROM {table} WHERE path = ? OR path > ? AND path < ?"  # noqa: S608 - one of our two tables
    connection.execute(query, _bounds(path))


def _bounds(path: bytes) -> tuple[bytes, bytes, bytes]:
    """A directory, and what those below it lie between: "0" follows "/"."""
    return path, path + b"/", path + b"0"


def _is_below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")


def _paths(folder: bytes, row: bytes) -> Iterator[tuple[bytes, str]]:
    prefix = folder + b"/" if folder else b""
    return ((prefix + name, reason) for name, reason in _LEFT_OUT.decode(row).items())
