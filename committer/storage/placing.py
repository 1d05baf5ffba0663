"""Putting the entries of a snapshot into a folder, one by one, so that nothing can go astray or be seen half.

Every call names one entry in an open directory. What comes from a snapshot, or from others who write to the same
folder meanwhile, cannot lead it elsewhere: no name is looked up through a symbolic link, and no file that is there is
ever opened, only replaced (openat(2), renameat(2)). An entry is written under another name and synced in a batch; then
it gets its own name, so that whatever has its name is whole, also after a power cut.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from committer.storage.durability import sync_file_system
from committer.storage.reader import read_extents
from committer.storage.replacing import is_folder, may_change, remove_folder, require_removable
from committer.storage.sparse import write_sparse
from committer.storage.tree import EntryKind
from committer.workspace.stat import open_directory
from dotscience.errors import CorruptObject, DiskFull, MissingObject, PathTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry

    Guard = Callable[[int, bytes], str | None]
    """Asked right before a name in an open directory is replaced: why it must not be, if so."""

BATCH_FILES = 256
"""Each waiting entry holds a descriptor of its folder."""

BATCH_BYTES = 64 * 2**20
SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID
ATTRIBUTE_PREFIX = b"user."
_TEMPORARY = re.compile(rb"\.~dotscience-[0-9a-f]{32}")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Problem(NamedTuple):
    """Something that could not be written as it should be."""

    path: bytes
    reason: str


class _Waiting(NamedTuple):
    parent: int
    temporary: bytes
    name: bytes
    path: bytes
    guard: Guard | None


class _Closed(NamedTuple):
    """A folder that holds all that it should once what waits has its name; then it gets its time."""

    descriptor: int
    time_ns: int


class Placer:
    """Writes entries; what was written has its name after `flush`. A context manager, which flushes unless it failed.

    `problems` are entries that were left out, or that lack something, with the reason; they do not stop the others.
    Not thread-safe.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        keep_special: bool = False,
        replaces: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """`keep_special` keeps set-user-id and set-group-id bits; `progress` is told of new entries and bytes.

        With `replaces`, a folder gives way to a file that is to have its name, and a file or link to a folder.
        """
        self.problems: list[Problem] = []
        self.files = 0
        self.size = 0
        self._reader = reader
        self._mode_mask = 0o7777 if keep_special else 0o7777 & ~SPECIAL_BITS
        self._replaces = replaces
        self._progress = progress or _say_nothing
        self._waiting: list[_Waiting] = []
        self._closed: list[_Closed] = []
        self._waiting_bytes = 0

    def __enter__(self) -> Placer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.flush()
        else:
            self._drop()

    def mode(self, entry: TreeEntry) -> int:
        """The permission bits that an entry gets."""
        return entry.mode & self._mode_mask

    def place(self, parent: int, path: bytes, entry: TreeEntry, guard: Guard | None = None) -> None:
        """Write a file or symbolic link into the open directory `parent`, replacing what has its name.

        `path` only names it in problems.

        Raises:
            DiskFull: there is no room for it.
        """
        temporary = new_temporary()
        with self.noting(path):
            self.write(parent, temporary, path, entry)
            self.rename(parent, temporary, path, entry.name, guard)

    def write(self, parent: int, temporary: bytes, path: bytes, entry: TreeEntry) -> None:
        """Write a file or symbolic link as `temporary` into the open directory `parent`, where that is free.

        Raises:
            OSError, MissingObject, CorruptObject: it could not be written, and is not there.
        """
        try:
            if entry.kind is EntryKind.SYMLINK:
                self._write_link(parent, temporary, entry)
            else:
                self._write_file(parent, temporary, path, entry)
        except BaseException:
            _remove(parent, temporary)
            raise

    def reveal(self, source: int, temporary: bytes, parent: int, path: bytes, guard: Guard) -> None:
        """Give what `write` wrote into `source`, and what is durable by now, its place in the open directory `parent`.

        Raises:
            OSError: it could not be moved there.
        """
        name = path.rpartition(b"/")[2]
        reason = guard(parent, name)
        if reason is not None:
            self.problems.append(Problem(path, reason))
            return
        os.rename(temporary, name, src_dir_fd=source, dst_dir_fd=parent)
        self.files += 1
        self._progress(1, 0)

    def rename(
        self,
        parent: int,
        temporary: bytes,
        path: bytes,
        name: bytes,
        guard: Guard | None = None,
    ) -> None:
        """Have the next flush give `temporary`, in the open directory `parent`, the name `name`."""
        self._waiting.append(_Waiting(os.dup(parent), temporary, name, path, guard))
        self._flush_when_full()

    def close_folder(self, descriptor: int, time_ns: int) -> None:
        """Have the next flush set the time of an open folder, in which nothing else will be placed."""
        self._closed.append(_Closed(os.dup(descriptor), time_ns))
        self._flush_when_full()

    def _flush_when_full(self) -> None:
        if len(self._waiting) + len(self._closed) >= BATCH_FILES or self._waiting_bytes >= BATCH_BYTES:
            self.flush()

    @contextmanager
    def directory(self, parent: int, path: bytes, entry: TreeEntry) -> Iterator[int]:
        """A descriptor of the directory, made where it is missing; it gets its mode when the block ends.

        Raises:
            OSError: something else is there, or it cannot be made or entered.
        """
        if self._replaces and not is_folder(parent, entry.name):
            _remove(parent, entry.name)
        with suppress(FileExistsError):
            os.mkdir(entry.name, 0o700, dir_fd=parent)
        with open_directory(entry.name, parent=parent) as descriptor:
            if os.fstat(descriptor).st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.fchmod(descriptor, stat.S_IRWXU)
            yield descriptor
            with self.noting(path):
                self._set_attributes(descriptor, path, entry)
                self._set_directory_mode(descriptor, entry)

    def _set_directory_mode(self, descriptor: int, entry: TreeEntry) -> None:
        mode = self.mode(entry)
        if mode & 0o300 != 0o300:  # nothing can be renamed in it from then on
            self.flush()
        os.fchmod(descriptor, mode)

    def flush(self) -> None:
        """Sync what was written and give it its name.

        Raises:
            DiskFull: there is no room to sync it.
        """
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        try:
            if waiting:
                with disk_full():
                    sync_file_system(waiting[0].parent)
            for one in waiting:
                with self.noting(one.path):
                    self._reveal(one)
            self._set_folder_times()
        finally:
            for one in waiting:
                _remove(one.parent, one.temporary)
                os.close(one.parent)

    def _set_folder_times(self) -> None:
        while self._closed:
            folder = self._closed.pop()
            try:
                with suppress(OSError):  # it is not ours; its time is all that it lacks
                    os.utime(folder.descriptor, ns=(folder.time_ns, folder.time_ns))
            finally:
                os.close(folder.descriptor)

    def _reveal(self, one: _Waiting) -> None:
        reason = one.guard(one.parent, one.name) if one.guard else None
        if reason is not None:
            self.problems.append(Problem(one.path, reason))
        else:
            aside = self._set_folder_aside(one.parent, one.name)
            os.rename(one.temporary, one.name, src_dir_fd=one.parent, dst_dir_fd=one.parent)
            self.files += 1
            self._progress(1, 0)
            if aside is not None:
                remove_folder(one.parent, aside)

    def _set_folder_aside(self, parent: int, name: bytes) -> bytes | None:
        """Give a folder that is to be replaced a name that `sweep` removes; None where none is."""
        if not self._replaces or not is_folder(parent, name):
            return None
        require_removable(parent, name)
        aside = new_temporary()
        os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
        return aside

    def _drop(self) -> None:
        for one in self._waiting:
            _remove(one.parent, one.temporary)
            os.close(one.parent)
        self._waiting.clear()
        for folder in self._closed:
            os.close(folder.descriptor)
        self._closed.clear()

    def _write_link(self, parent: int, temporary: bytes, entry: TreeEntry) -> None:
        os.symlink(entry.content, temporary, dir_fd=parent)
        _set_times(temporary, entry, dir_fd=parent, follow_symlinks=False)

    def _write_file(self, parent: int, temporary: bytes, path: bytes, entry: TreeEntry) -> None:
        descriptor = os.open(temporary, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            for size in write_sparse(descriptor, entry.size, read_extents(self._reader, entry)):
                self.size += size
                self._waiting_bytes += size
                self._progress(0, size)
            self._set_attributes(descriptor, path, entry)
            os.fchmod(descriptor, self.mode(entry))
            _set_times(descriptor, entry)
        finally:
            os.close(descriptor)

    def _set_attributes(self, descriptor: int, path: bytes, entry: TreeEntry) -> None:
        """A file system without extended attributes (ENOTSUP) still takes the content."""
        for attribute in entry.attributes:
            try:
                os.setxattr(descriptor, ATTRIBUTE_PREFIX + attribute.name, attribute.value)
            except OSError as error:
                name = attribute.name.decode("utf-8", "backslashreplace")
                self.problems.append(Problem(path, f"its attribute user.{name} cannot be set: {error.strerror}"))
                return

    @contextmanager
    def noting(self, path: bytes) -> Iterator[None]:
        """Turn what goes wrong with one entry into a problem, unless the disk is full."""
        try:
            with disk_full():
                yield
        except (MissingObject, CorruptObject, PathTaken) as error:
            self.problems.append(Problem(path, str(error)))
        except OSError as error:
            self.problems.append(Problem(path, f"cannot be written: {error.strerror}"))


def _say_nothing(entries: int, size: int) -> None:
    """The progress that nobody wants to see."""


def new_temporary() -> bytes:
    """A name under which something can be written; `.dotscienceignore` leaves names like this out."""
    return b".~dotscience-" + uuid4().hex.encode()


@contextmanager
def writable(descriptor: int) -> Iterator[bool]:
    """Let names in an open folder of one's own be changed while the block runs; whether it had to be opened for that.

    Raises:
        OSError: it is somebody else's.
    """
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    is_closed = not may_change(descriptor)
    if is_closed:
        os.fchmod(descriptor, mode | stat.S_IRWXU)
    try:
        yield is_closed
    finally:
        if is_closed:
            os.fchmod(descriptor, mode)


def sweep(parent: int) -> None:
    """Remove what an interrupted `Placer` left in an open directory."""
    for name in map(os.fsencode, os.listdir(parent)):
        if not _TEMPORARY.fullmatch(name):
            continue
        if is_folder(parent, name):
            with suppress(OSError):
                remove_folder(parent, name)
        else:
            _remove(parent, name)


def _remove(parent: int, name: bytes) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=parent)


def _set_times(file: int | bytes, entry: TreeEntry, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
    os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=dir_fd, follow_symlinks=follow_symlinks)


@contextmanager
def disk_full() -> Iterator[None]:
    """Turn what the operating system says of a full disk into our error.

    Raises:
        DiskFull: ENOSPC or EDQUOT.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"the disk is full ({error.strerror}); make room and run the same command again: it goes on from here"
            ) from error
        raise
