"""What differs between two snapshots. Cost follows the difference: directories with equal hashes are not read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.reader import Reader, root_entry
from committer.storage.tree import EntryKind, TreeEntry, decode_tree
from dotscience.errors import CorruptObject, MissingObject

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


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


def diff(reader: Reader, before: bytes | None, after: bytes | None) -> Iterator[Change]:
    """The changes from tree `before` to tree `after`, in no particular order; None is an empty tree.

    A directory of `before` that cannot be read counts as empty, so that damage in the past does not stop the present.

    Raises:
        MissingObject, CorruptObject: a directory of `after` cannot be read.
    """
    pending = [(b"", before and root_entry(before), after and root_entry(after))]
    while pending:
        prefix, old, new = pending.pop()
        was, now = _past_children(reader, old or None), _children(reader, new or None)
        for name in was.keys() | now.keys():
            path, one, other = prefix + name, was.get(name), now.get(name)
            if one == other:
                continue
            if not _same_directory(one, other):
                yield Change(path, one, other)
            if _is_directory(one) or _is_directory(other):
                pending.append((path + b"/", one, other))


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
