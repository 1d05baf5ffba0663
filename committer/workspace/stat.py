"""The stat change source: walking a tree, and telling from stat(2) which files may have changed.

It works on every file system and trusts nothing else, so it is what the faster sources fall back to. All access is
relative to an open directory: it is faster than by path, has no limit on a path's length, and a folder that is
swapped for a symbolic link cannot lead it out of the tree.
"""

from __future__ import annotations

import os
import stat
from array import array
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from committer.workspace.source import Dirty

GRANULARITY_NS = 2 * 10**9
"""The coarsest time stamps still in use (FAT's)."""

MAX_NUMBER = 2**63 - 1
"""What fits into our formats. In nanoseconds it is the year 2262, and a file can claim a later one."""

_TYPE = 0o170000
"""The bits of a mode that tell a file's type (inode(7), S_IFMT)."""

SETTLE_FROM = 2**20
SETTLE_SUFFIXES = (b".npy", b".mdb", b".db", b".h5", b".hdf5", b".sqlite", b".sqlite3", b".memmap", b".mmap")

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
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
    """One name in a directory, as it was when the directory was read; of a directory only mode and inode count.

    The rest of a directory's signature is changed by files that a snapshot leaves out.
    """

    name: bytes
    signature: Signature


class Sight(NamedTuple):
    """Everything in a directory, packed, in the order in which the system lists it.

    An unchanged directory has an equal one, so that finding out takes no object for each file. `names` are separated
    by NUL, `numbers` are the signatures' native 64-bit integers, five for each name.
    """

    names: bytes
    numbers: bytes

    def found(self) -> list[Found]:
        """The same, one by one."""
        if not self.names:
            return []
        numbers = iter(memoryview(self.numbers).cast("q"))
        signatures = map(Signature._make, zip(numbers, numbers, numbers, numbers, numbers, strict=True))
        return list(map(Found, self.names.split(b"\0"), signatures))


def pack_signatures(signatures: Iterable[Signature]) -> bytes:
    """The `numbers` of a `Sight`."""
    numbers = array("q")
    for signature in signatures:
        numbers.extend(signature)
    return numbers.tobytes()


def is_as(status: os.stat_result, signature: Signature) -> bool:
    """Whether a file's status has this signature; where that is out of the ordinary, it may be no by mistake."""
    return (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino) == signature


def signature_of(status: os.stat_result) -> Signature:
    """The part of a stat result that tells whether a file changed."""
    if stat.S_ISDIR(status.st_mode):
        return Signature(status.st_mode, 0, 0, 0, status.st_ino & MAX_NUMBER)
    mtime_ns, ctime_ns = _bounded(status.st_mtime_ns), _bounded(status.st_ctime_ns)
    return Signature(status.st_mode, status.st_size, mtime_ns, ctime_ns, status.st_ino & MAX_NUMBER)


def _bounded(time_ns: int) -> int:
    return time_ns if -MAX_NUMBER <= time_ns <= MAX_NUMBER else max(-MAX_NUMBER, min(time_ns, MAX_NUMBER))


def read_directory(descriptor: int) -> Sight:
    """Everything in an open directory; what vanishes meanwhile is left out.

    Raises:
        OSError: the directory cannot be read.
    """
    names: list[str] = []
    numbers = array("q")
    with os.scandir(descriptor) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            mode = status.st_mode
            try:  # what `signature_of` gives, without a call: a scan spends its time here
                if mode & _TYPE != stat.S_IFDIR:
                    numbers.extend((mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
                else:
                    numbers.extend((mode, 0, 0, 0, status.st_ino))
            except OverflowError:
                del numbers[len(Signature._fields) * len(names) :]
                numbers.extend(signature_of(status))
            names.append(entry.name)
    return Sight(os.fsencode("\0".join(names)), numbers.tobytes())


@contextmanager
def open_directory(name: bytes, *, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a directory, below an open one; refuses a symbolic link with ENOTDIR or ELOOP.

    Raises:
        OSError: it is not a directory any more, or may not be read.
    """
    descriptor = os.open(name, DIRECTORY_FLAGS, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_below(root: int, path: bytes) -> Iterator[int]:
    """A descriptor of the directory at `path`, relative to an open one, of any length and through no symbolic link.

    Raises:
        OSError: there is no such directory, or it may not be read.
    """
    with ExitStack() as stack:
        descriptor = root
        for name in path.split(b"/") if path else ():
            descriptor = stack.enter_context(open_directory(name, parent=descriptor))
        yield descriptor


@contextmanager
def open_file(name: bytes, *, parent: int) -> Iterator[int]:
    """A descriptor to read a file below an open directory.

    Never blocks, also when the file has become a FIFO, and never follows a link: the caller looks at what it got
    (fstat(2)).

    Raises:
        OSError: it is gone, is a link now, or may not be read.
    """
    descriptor = os.open(name, FILE_FLAGS, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def may_be_mapped(name: bytes, size: int) -> bool:
    """Whether a file is large, or of a kind that programs like to map into memory."""
    return size >= SETTLE_FROM or name.endswith(SETTLE_SUFFIXES)


def settle(descriptor: int, name: bytes, size: int) -> None:
    """Make later stores through a mapping of this file show in its times, where that matters.

    A store to a page that is dirty already changes no time stamp. Syncing the file, for which a read-only descriptor is
    enough, write-protects its pages, so the next store is seen.
    """
    if may_be_mapped(name, size):
        with suppress(OSError):  # a file system that cannot sync leaves the file as visible as it was
            _sync_data(descriptor)


class StatSource:
    """The change source that knows nothing and so has everything looked at."""

    name = "stat"

    def mark(self) -> str:
        """There is nothing to remember."""
        return ""

    def changed_since(self, cursor: str) -> Dirty | None:  # noqa: ARG002 - a ChangeSource's
        """Not known."""
        return None
