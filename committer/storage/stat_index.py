"""What the last committed snapshot saw of each directory, so that the next one reads only what may have changed.

One row per directory in the store's index: a file's row costs nothing to keep and a directory is compared in one
step. Rows are written in the transaction of the commit that they belong to, so they never name content that the store
does not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder

from committer.storage.codec import Hash
from committer.storage.tree import EntryKind, TreeEntry
from committer.workspace.stat import GRANULARITY_NS, Signature

if TYPE_CHECKING:
    import sqlite3

VERSION = 1


class Listed(Struct, frozen=True, array_like=True):
    """One name in a directory: how it looked, and what was stored for it. `size` is that of the stored content."""

    name: bytes
    signature: Signature
    kind: EntryKind
    size: int
    content: bytes

    def as_tree_entry(self) -> TreeEntry:
        """The same in a tree, where a directory has no size and no time of its own."""
        time = 0 if self.kind is EntryKind.DIRECTORY else self.signature.mtime_ns
        return TreeEntry(self.name, self.kind, self.signature.mode & 0o7777, self.size, time, self.content)


class Listing(Struct, frozen=True, array_like=True):
    """One directory: its entries by name, the tree stored for it, and since when (Unix time) it is known."""

    version: int
    noted_ns: int
    tree: Hash
    entries: tuple[Listed, ...]

    @property
    def racy_from_ns(self) -> int:
        """A file with a time stamp from here on may have changed after it was noted, within the same tick.

        Kernels before 6.13 stamp writes within a few milliseconds alike, and file systems may be coarser; this is the
        rule of git's index (Documentation/technical/racy-git).
        """
        return self.noted_ns - GRANULARITY_NS


_LISTINGS = Decoder(Listing)


class StatIndex:
    """The rows of the last commit, and those that the next one will write. Belongs to the thread of its connection."""

    def __init__(self, connection: sqlite3.Connection, rules: bytes) -> None:
        """`rules` is the digest of the ignore rules in force."""
        self._connection = connection
        self._rules = rules
        row = connection.execute("SELECT digest FROM stat_rules").fetchone()
        self.same_rules = row is not None and row[0] == rules
        """Whether the listings were made under these ignore rules, so that what they list is not to be left out."""
        self._seen: set[bytes] = set()
        self._changed: dict[bytes, bytes] = {}

    def listing(self, path: bytes) -> Listing | None:
        """What is known about the directory at `path`. One that a newer or broken program wrote counts as unknown."""
        self._seen.add(path)
        row = self._connection.execute("SELECT listing FROM stat_directory WHERE path = ?", (path,)).fetchone()
        if row is None:
            return None
        try:
            listing = _LISTINGS.decode(row[0])
        except msgspec.DecodeError:
            return None
        return listing if listing.version == VERSION else None

    def note(self, path: bytes, noted_ns: int, tree: bytes, entries: tuple[Listed, ...]) -> None:
        """Have the next commit write what the directory at `path` looks like now."""
        self._changed[path] = msgspec.msgpack.encode(Listing(VERSION, noted_ns, tree, entries))

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the rows that changed and drop those of directories that were not met, inside a transaction."""
        known = {path for (path,) in connection.execute("SELECT path FROM stat_directory")}
        connection.executemany("DELETE FROM stat_directory WHERE path = ?", ((path,) for path in known - self._seen))
        connection.executemany("INSERT OR REPLACE INTO stat_directory VALUES (?, ?)", self._changed.items())
        if not self.same_rules:
            connection.execute("DELETE FROM stat_rules")
            connection.execute("INSERT INTO stat_rules VALUES (?)", (self._rules,))
