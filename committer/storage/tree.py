"""A tree: one directory, as an object.

Entries are sorted by the raw bytes of their names, so that equal directories have equal hashes and a lookup can bisect.
A directory's own time is not kept: a file that a snapshot ignores would change it, and with it every hash above.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import IntEnum
from itertools import pairwise
from operator import attrgetter, lt
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.msgpack import Decoder

from committer.storage.codec import HASH_SIZE, MAX_SIZE, Size, decode, encode
from dotscience.errors import CorruptObject, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
MAX_ENTRIES = 2**20
MAX_NAME = 1024
MAX_TARGET = 4096
MAX_XATTRS = 64 * 2**10
"""Bytes of names and values together; the kernel allows no longer list of names (XATTR_LIST_MAX)."""


class EntryKind(IntEnum):
    """What a name in a directory stands for."""

    FILE = 1
    CHUNKED_FILE = 2
    DIRECTORY = 3
    SYMLINK = 4


class Attribute(Struct, frozen=True, array_like=True, gc=False):
    """An extended attribute of a file or directory (xattr(7)); the `user.` namespace only, without that prefix."""

    name: Annotated[bytes, Meta(min_length=1, max_length=255)]
    value: Annotated[bytes, Meta(max_length=MAX_XATTRS)]


class TreeEntry(Struct, frozen=True, array_like=True, gc=False):
    """One name in a directory.

    `content` is the hash of the file's blob (FILE), of its chunk list (CHUNKED_FILE) or of its tree (DIRECTORY), and
    the target itself for a SYMLINK. `size` is in bytes, 0 for a directory; `mtime_ns` counts from the Unix epoch, 0
    for a directory; `mode` has the permission bits only. `link` is not 0 for a file that has several names: files of
    a snapshot with the same number, equal in all but their names, are one file. `attributes` are sorted by name.
    """

    name: Annotated[bytes, Meta(max_length=MAX_NAME)]
    kind: EntryKind
    mode: Annotated[int, Meta(ge=0, le=0o7777)]
    size: Size
    mtime_ns: Annotated[int, Meta(ge=-MAX_SIZE, le=MAX_SIZE)]
    content: Annotated[bytes, Meta(max_length=MAX_TARGET)]
    link: Size = 0
    attributes: tuple[Attribute, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether `read_file` can read it."""
        return self.kind in (EntryKind.FILE, EntryKind.CHUNKED_FILE)


class Tree(Struct, frozen=True, array_like=True):
    """A directory's entries, sorted by name."""

    version: int
    entries: Annotated[tuple[TreeEntry, ...], Meta(max_length=MAX_ENTRIES)]

    def find(self, name: bytes) -> TreeEntry | None:
        """The entry of this name, if there is one."""
        place = bisect_left(self.entries, name, key=attrgetter("name"))
        found = place < len(self.entries) and self.entries[place].name == name
        return self.entries[place] if found else None


_DECODER = Decoder(Tree)
NOT_NAMES: tuple[Literal[b"", b".", b".."], ...] = (b"", b".", b"..")
_NOT_NAMES = frozenset[bytes](NOT_NAMES)
_FILES = frozenset({EntryKind.FILE, EntryKind.CHUNKED_FILE})
_FOLDER = EntryKind.DIRECTORY


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """The tree object of a directory with these entries, in any order.

    Raises:
        SnapshotError: an entry could not be read back, such as one with a name that no file can have.
    """
    tree = Tree(VERSION, tuple(sorted(entries, key=attrgetter("name"))))
    try:
        _check(tree)
    except CorruptObject as error:
        raise SnapshotError(f"a directory cannot be stored: {error}") from error
    return encode(tree)


def decode_tree(data: bytes) -> Tree:
    """The directory that `encode_tree` encoded.

    Raises:
        CorruptObject: a name is empty, `.`, `..`, repeated, out of order or holds `/` or NUL, or anything else is off.
    """
    tree = decode(data, _DECODER, "a tree", version=VERSION)
    _check(tree)
    return tree


def _check(tree: Tree) -> None:
    if len(tree.entries) > MAX_ENTRIES:
        raise CorruptObject(f"a tree has {len(tree.entries)} entries, more than {MAX_ENTRIES}")
    names = [entry.name for entry in tree.entries]
    if not _are_names(names):
        _find_wrong_name(names)
    for entry in tree.entries:
        is_plain = entry.kind in _FILES or (entry.kind is _FOLDER and not (entry.size or entry.mtime_ns or entry.link))
        if not is_plain or entry.attributes or len(entry.content) != HASH_SIZE:
            _check_entry(entry)


def _are_names(names: list[bytes]) -> bool:
    """Whether names are those of a directory, in order; for all at once, as most of what trees cost is this check."""
    joined = b"".join(names)
    return (
        b"/" not in joined
        and b"\0" not in joined
        and _NOT_NAMES.isdisjoint(names)
        and max(map(len, names), default=0) <= MAX_NAME
        and all(map(lt, names, names[1:]))
    )


def _find_wrong_name(names: list[bytes]) -> None:
    previous = b""
    for name in names:
        if name in _NOT_NAMES or b"/" in name or b"\0" in name or len(name) > MAX_NAME:
            raise CorruptObject(f"a tree holds {name[:80]!r}, which cannot be a file's name")
        if name <= previous:
            raise CorruptObject(f"a tree lists {name!r} twice or out of order")
        previous = name


def _check_entry(entry: TreeEntry) -> None:
    name = entry.name
    if entry.kind is EntryKind.SYMLINK:
        if not 0 < len(entry.content) <= MAX_TARGET or b"\0" in entry.content:
            raise CorruptObject(f"the symbolic link {name!r} has no possible target")
    elif len(entry.content) != HASH_SIZE:
        raise CorruptObject(f"{name!r} has a content hash of {len(entry.content)} bytes, not 32")
    if entry.kind is EntryKind.DIRECTORY and (entry.size or entry.mtime_ns):
        raise CorruptObject(f"the directory {name!r} has a size or a time of its own")
    if entry.link and not entry.is_file:
        raise CorruptObject(f"{name!r} is not a file and has other names")
    if entry.attributes:
        _check_attributes(entry)


def _check_attributes(entry: TreeEntry) -> None:
    names = [one.name for one in entry.attributes]
    if entry.kind is EntryKind.SYMLINK:
        raise CorruptObject(f"the symbolic link {entry.name!r} has extended attributes")
    if any(b"\0" in name for name in names) or any(one >= two for one, two in pairwise(names)):
        raise CorruptObject(f"{entry.name!r} has extended attributes that are out of order or cannot be set")
    if sum(len(one.name) + len(one.value) for one in entry.attributes) > MAX_XATTRS:
        raise CorruptObject(f"{entry.name!r} has more than {MAX_XATTRS} bytes of extended attributes")
