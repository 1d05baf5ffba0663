"""What differs between two snapshots. Cost follows the difference.

Directories with equal hashes are not read, and two that differ are compared once, under however many names they come.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.reader import Reader, root_entry
from committer.storage.tree import EntryKind, TreeEntry, decode_tree
from dotscience.errors import CorruptObject, MissingObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Difference = tuple[bytes, TreeEntry | None, TreeEntry | None]

log = logging.getLogger(__name__)

MAX_REMEMBERED = 100_000
"""Differing entries of directories that are remembered, in case that they come again under other names."""


class Change(NamedTuple):
    """A path that is new (`before` is None), gone (`after` is None) or different.

    A directory is one only if it came, went or has another mode, not when something in it changed.
    """

    path: bytes
    before: TreeEntry | None
    after: TreeEntry | None

    @property
    def is_content(self) -> bool:
        """Whether a file or link has other content now, came or went; false where only its mode or its time changed."""
        return _content(self.before) != _content(self.after)


def diff(
    reader: Reader, before: bytes | None, after: bytes | None, *, spend: Callable[[int], None] = lambda _: None
) -> Iterator[Change]:
    """The changes from tree `before` to tree `after`, in no particular order; None is an empty tree.

    A directory of `before` that cannot be read counts as empty, so that damage in the past does not stop the present.
    `spend` is told how many entries a step looks at; what it raises ends the comparison.

    Raises:
        MissingObject, CorruptObject: a directory of `after` cannot be read.
    """
    differences = _Differences(reader, spend)
    pending = [(b"", before and root_entry(before), after and root_entry(after))]
    while pending:
        prefix, old, new = pending.pop()
        for name, one, other in differences.between(old or None, new or None):
            path = prefix + name
            if not _same_directory(one, other):
                yield Change(path, one, other)
            if _is_directory(one) or _is_directory(other):
                pending.append((path + b"/", one, other))


class _Differences:
    """The entries in which two directories differ; those of a pair that comes again are remembered, up to a bound."""

    def __init__(self, reader: Reader, spend: Callable[[int], None]) -> None:
        self._reader = reader
        self._spend = spend
        self._known: dict[tuple[bytes | None, bytes | None], list[Difference]] = {}
        self._room = MAX_REMEMBERED

    def between(self, old: TreeEntry | None, new: TreeEntry | None) -> list[Difference]:
        """Name, then and now, in no particular order; what is no directory has no entries."""
        pair = (_tree(old), _tree(new))
        known = self._known.get(pair)
        if known is not None:
            self._spend(len(known))
            return known
        was, now = _past_children(self._reader, old), _children(self._reader, new)
        self._spend(len(was) + len(now))
        found = [(name, was.get(name), now.get(name)) for name in was.keys() | now.keys()]
        found = [one for one in found if one[1] != one[2]]
        if len(found) < self._room:
            self._room -= len(found) + 1
            self._known[pair] = found
        return found


def _tree(entry: TreeEntry | None) -> bytes | None:
    return entry.content if entry is not None and _is_directory(entry) else None


def _past_children(reader: Reader, entry: TreeEntry | None) -> dict[bytes, TreeEntry]:
    try:
        return _children(reader, entry)
    except (MissingObject, CorruptObject) as error:
        log.warning("an earlier directory cannot be read and counts as empty: %s", error)
        return {}


def _children(reader: Reader, entry: TreeEntry | None) -> dict[bytes, TreeEntry]:
    if entry is None or not _is_directory(entry):
        return {}
    return {child.name: child for child in decode_tree(reader.get(entry.content)).entries}


def _is_directory(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.DIRECTORY


def _same_directory(one: TreeEntry | None, other: TreeEntry | None) -> bool:
    if one is None or other is None:
        return False
    return _is_directory(one) and _is_directory(other) and one.mode == other.mode


def _content(entry: TreeEntry | None) -> tuple[EntryKind, bytes] | None:
    if entry is None or _is_directory(entry):
        return None
    return entry.kind, entry.content
