"""How much a snapshot would hold when it is written out, without writing it.

Directories and chunk lists are looked at once, however often a hostile snapshot names them, so that one which unfolds
into more files than any disk can hold is recognised quickly.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.chunks import decode_chunks
from committer.storage.tree import EntryKind, decode_tree
from dotscience import wording
from dotscience.errors import CheckoutRefused, CorruptObject

if TYPE_CHECKING:
    from pathlib import Path

    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry

MAX_DEPTH = 130
"""Folders in folders; a snapshot takes 128, and every one of them is an open descriptor while it is written."""


class Census(NamedTuple):
    """How many names, and how many bytes are not in holes."""

    entries: int
    size: int


def take_census(reader: Reader, entry: TreeEntry) -> Census:
    """What is at `entry` and below it, itself included unless it is a snapshot's root.

    Raises:
        CorruptObject: an object is damaged, or folders lie too deep in each other.
        MissingObject: a directory or chunk list is not there.
    """
    found = _Count(reader).entry(entry, 0)
    return found if entry.name else Census(found.entries - 1, found.size)


def census_that_fits(reader: Reader, entry: TreeEntry, target: Path) -> Census:
    """As `take_census`, of what is to be written to the folder `target`.

    Raises:
        CheckoutRefused: there is no room for it.
    """
    census = take_census(reader, entry)
    there = target.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if census.size > free:
        raise CheckoutRefused(
            f"{wording.size(census.size)} are to be written, and {there} has {wording.size(free)} left;"
            " name a PATH to write less, or another folder"
        )
    return census


class _Count:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._trees: dict[bytes, Census] = {}
        self._lists: dict[bytes, int] = {}

    def entry(self, entry: TreeEntry, depth: int) -> Census:
        match entry.kind:
            case EntryKind.DIRECTORY:
                below = self._tree(entry.content, depth)
                return Census(below.entries + 1, below.size)
            case EntryKind.CHUNKED_FILE:
                return Census(1, self._list(entry.content))
            case _:
                return Census(1, entry.size)

    def _tree(self, name: bytes, depth: int) -> Census:
        if name not in self._trees:
            if depth > MAX_DEPTH:
                raise CorruptObject(f"the snapshot has more than {MAX_DEPTH} folders in each other")
            parts = [self.entry(one, depth + 1) for one in decode_tree(self._reader.get(name)).entries]
            self._trees[name] = Census(sum(part.entries for part in parts), sum(part.size for part in parts))
        return self._trees[name]

    def _list(self, name: bytes) -> int:
        """The bytes that a chunk list stands for, holes aside; levels fall, so this ends (`read_file` checks them)."""
        if name not in self._lists:
            chunks = decode_chunks(self._reader.get(name))
            self._lists[name] = sum(
                self._list(one.hash) if chunks.level else one.size for one in chunks.chunks if one.hash is not None
            )
        return self._lists[name]
