"""The stat change source: walking a tree, and telling from stat(2) which files may have changed.

It works on every file system and trusts nothing else, so it is what the faster sources fall back to. All access is
relative to an open directory: it is faster than by path, has no limit on a path's length, and a folder that is
swapped for a symbolic link cannot lead it out of the tree.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

GRANULARITY_NS = 2 * 10**9
"""The coarsest time stamps still in use (FAT's)."""

MAX_TIME_NS = 2**63 - 1
"""The year 2262. A file can claim a later one, which no format of ours can hold."""

SETTLE_FROM = 2**20
SETTLE_SUFFIXES = (b".npy", b".mdb", b".db", b".h5", b".hdf5", b".sqlite", b".sqlite3", b".memmap", b".mmap")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_sync_data = getattr(os, "fdatasync", os.fsync)


class Signature(NamedTuple):
    """What stat(2) says about a file; two equal ones, neither racy, mean equal content.

    Times and inode are there because a tool may restore any of the others: only ctime cannot be set. The device is
    not, as it changes between mounts of the same file system.
    """

    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Found(NamedTuple):
    """One name in a directory, as it was when the directory was read."""

    name: bytes
    signature: Signature


def signature_of(status: os.stat_result) -> Signature:
    """The part of a stat result that tells whether a file changed."""
    mtime_ns = status.st_mtime_ns
    if abs(mtime_ns) > MAX_TIME_NS:
        mtime_ns = MAX_TIME_NS if mtime_ns > 0 else -MAX_TIME_NS
    return Signature(status.st_mode, status.st_size, mtime_ns, status.st_ctime_ns, status.st_ino)


def read_directory(descriptor: int) -> list[Found]:
    """Everything in an open directory, sorted by name; what vanishes meanwhile is left out.

    Raises:
        OSError: the directory cannot be read.
    """
    found = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            found.append(Found(os.fsencode(entry.name), signature_of(status)))
    found.sort()
    return found


@contextmanager
def open_directory(name: bytes, *, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a directory, below an open one; refuses a symbolic link with ENOTDIR or ELOOP.

    Raises:
        OSError: it is not a directory any more, or may not be read.
    """
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_file(name: bytes, *, parent: int) -> Iterator[int]:
    """A descriptor to read a file below an open directory.

    Never blocks, also when the file has become a FIFO, and never follows a link: the caller looks at what it got
    (fstat(2)).

    Raises:
        OSError: it is gone, is a link now, or may not be read.
    """
    descriptor = os.open(name, _FILE, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def settle(descriptor: int, name: bytes, size: int) -> None:
    """Make later stores through a mapping of this file show in its times, where that matters.

    A store to a page that is dirty already changes no time stamp. Syncing the file, for which a read-only descriptor is
    enough, write-protects its pages, so the next store is seen. Worth it for files that are large or usually mapped.
    """
    if size >= SETTLE_FROM or name.endswith(SETTLE_SUFFIXES):
        with suppress(OSError):  # a file system that cannot sync leaves the file as visible as it was
            _sync_data(descriptor)
