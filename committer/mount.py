"""Commits as a read-only file system (FUSE), by libfuse's high-level API: each question names a path.

Directories and chunk lists that were read are kept, up to `CACHE_BYTES`, so that walking a tree and reading a file from
its start to its end decode each only once. Everything runs in the one thread that mounted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from typing import TYPE_CHECKING

import mfusepy

from committer.storage.reader import list_directory, read_file, resolve, root_entry
from committer.storage.tree import EntryKind
from dotscience.errors import NoSuchCommit, NoSuchPath, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from committer.history import History, Logged
    from committer.storage.reader import Reader
    from committer.storage.tree import Attribute, TreeEntry

CACHE_BYTES = 64 * 2**20
CACHED_AT_MOST = 2**20
"""Bytes of an object that is kept; contents of files are larger, or cheap to read again from the system's own cache."""

COMMITS, RUNS, HEAD = "commits", "runs", "HEAD"
FORMATS = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.CHUNKED_FILE: stat.S_IFREG,
    EntryKind.DIRECTORY: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
}
_WRITES = os.O_WRONLY | os.O_RDWR
_BLOCK = 512


class CachingReader:
    """Reads objects, and keeps those that were used last."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def get(self, name: bytes, /) -> bytes:
        """The object of this hash, verified when it was read from the store."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        data = self._reader.get(name)
        if len(data) <= CACHED_AT_MOST:
            self._kept[name] = data
            self._size += len(data)
            while self._size > CACHE_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1])
        return data


class _Snapshots:
    """What paths mean: `commits/ID/…`, `runs/ID/…` and `HEAD/…`, or those of one commit alone."""

    def __init__(self, history: History, reader: Reader, only: Logged | None) -> None:
        self._history = history
        self._only = only
        self._reader = CachingReader(reader)

    def entry(self, path: str) -> TreeEntry:
        """The entry at a path that is below a commit."""
        logged, inside = self._split(path)
        return resolve(self._reader, logged.commit.root, inside) if inside else root_entry(logged.commit.root)

    def time_ns(self, path: str) -> int:
        """The time of directories, which have none of their own: the commit's."""
        return int(self._split(path)[0].commit.created_at.timestamp() * 1e9)

    def is_above(self, path: str) -> bool:
        """Whether a path is one of the folders above the commits."""
        return self._only is None and path in ("/", f"/{COMMITS}", f"/{RUNS}")

    def names(self, path: str) -> Iterator[str]:
        """The names in a directory."""
        if not self.is_above(path):
            logged, inside = self._split(path)
            for entry in list_directory(self._reader, logged.commit.root, inside):
                yield os.fsdecode(entry.name)
        elif path == "/":
            yield from (COMMITS, RUNS, *([HEAD] if self._history.head() else []))
        elif path == f"/{COMMITS}":
            yield from self._history.ids()
        else:
            yield from self._history.committed_runs()

    def read(self, entry: TreeEntry, start: int, stop: int) -> bytes:
        """The bytes of a file from `start` to before `stop`."""
        return b"".join(read_file(self._reader, entry, start, stop))

    def _split(self, path: str) -> tuple[Logged, str]:
        """The commit that a path leads into, and the path in it."""
        parts = path.strip("/").split("/", 2)
        if self._only is not None:
            return self._only, path.strip("/")
        if parts[0] == HEAD:
            return self._history.find(HEAD), "/".join(parts[1:])
        if len(parts) < 2 or parts[0] not in (COMMITS, RUNS):
            raise NoSuchPath(f"{path} is not here")
        return self._history.find_exactly(parts[1]), "".join(parts[2:])


class Mounted(mfusepy.Operations):  # type: ignore[misc] # it has no types
    """The answers to the kernel's questions; libfuse calls them, and an OSError becomes an error number."""

    use_ns = True

    def __init__(self, history: History, reader: Reader, only: Logged | None) -> None:
        self._snapshots = _Snapshots(history, reader, only)
        self._open: dict[int, TreeEntry] = {}
        self._next = 1

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
        """What stat(2) says."""
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        if self._snapshots.is_above(path):
            return {**owner, "st_mode": stat.S_IFDIR | 0o555, "st_nlink": 2}
        with _answering():
            entry = self._snapshots.entry(path)
            is_directory = entry.kind is EntryKind.DIRECTORY
            time_ns = self._snapshots.time_ns(path) if is_directory else entry.mtime_ns
        readable = entry.mode & ~0o222 | (0o500 if is_directory else 0o400)
        size = len(entry.content) if entry.kind is EntryKind.SYMLINK else entry.size
        return {
            **owner,
            "st_mode": FORMATS[entry.kind] | readable & 0o777,
            "st_nlink": 2 if is_directory else 1,
            "st_size": size,
            "st_blocks": -(-size // _BLOCK),
            "st_mtime": time_ns,
            "st_ctime": time_ns,
            "st_atime": time_ns,
        }

    def readdir(self, path: str, _handle: int) -> list[str]:
        """All names in a directory."""
        with _answering():
            return [".", "..", *self._snapshots.names(path)]

    def readlink(self, path: str) -> str:
        """The target of a symbolic link."""
        with _answering():
            return os.fsdecode(self._snapshots.entry(path).content)

    def open(self, path: str, flags: int) -> int:
        """A handle to read a file; nothing can be opened to write."""
        if flags & _WRITES:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        with _answering():
            entry = self._snapshots.entry(path)
        handle, self._next = self._next, self._next + 1
        self._open[handle] = entry
        return handle

    def read(self, _path: str, size: int, offset: int, handle: int) -> bytes:
        """A part of an open file."""
        with _answering():
            return self._snapshots.read(self._open[handle], offset, offset + size)

    def release(self, _path: str, handle: int) -> int:
        """Forget an open file."""
        self._open.pop(handle, None)
        return 0

    def listxattr(self, path: str) -> list[str]:
        """The names of the extended attributes."""
        return [f"user.{os.fsdecode(one.name)}" for one in self._attributes(path)]

    def getxattr(self, path: str, name: str, _position: int = 0) -> bytes:
        """The value of an extended attribute."""
        for one in self._attributes(path):
            if f"user.{os.fsdecode(one.name)}" == name:
                return one.value
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))

    def _attributes(self, path: str) -> tuple[Attribute, ...]:
        if self._snapshots.is_above(path):
            return ()
        with _answering():
            return self._snapshots.entry(path).attributes


class _answering:  # noqa: N801 - used like a function
    """Turns our errors into error numbers: nothing there, or it cannot be read."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        match error:
            case NoSuchPath() | NoSuchCommit():
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
            case SnapshotError():
                raise OSError(errno.EIO, os.strerror(errno.EIO)) from error


def mount(history: History, reader: Reader, folder: Path, only: Logged | None) -> None:
    """Be a file system at `folder` until it is unmounted, or SIGINT or SIGTERM comes; `reader` reads what it shows.

    Raises:
        RuntimeError: libfuse could not mount; it has said why on standard error.
    """
    mfusepy.FUSE(
        Mounted(history, reader, only),
        str(folder),
        foreground=True,
        nothreads=True,
        ro=True,
        nosuid=True,
        nodev=True,
        fsname="dotscience",
    )
