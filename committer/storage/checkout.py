"""Writing a snapshot, or a part of one, into a folder of its own.

Contents, permissions, times, links, user attributes and holes come back as they were, names byte for byte; a folder
gets the time of the newest file in it (docs/design/departures.md). It can be interrupted anywhere, also by a power cut,
and goes on when it is called again: whatever has its final name is whole.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from committer.storage.census import MAX_DEPTH
from committer.storage.placing import Placer, Problem, new_temporary, sweep, writable
from committer.storage.state_names import folded, is_state
from committer.storage.target import Target, finish
from committer.storage.tree import EntryKind, TreeEntry, decode_tree
from committer.workspace.stat import open_below
from dotscience.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from committer.storage.reader import Reader


class Written(NamedTuple):
    """What a checkout did. `kept` are entries that were there already; `size` is in bytes, holes aside."""

    files: int
    directories: int
    kept: int
    size: int
    problems: list[Problem]


def write_snapshot(
    reader: Reader,
    entry: TreeEntry,
    target: Target,
    *,
    keep_special: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Write what is below `entry`, a directory, or `entry` itself under its name, into `target`.

    Entries that cannot be written are named in the result and do not stop the others. The target is finished when there
    were none; otherwise calling it again tries those once more.

    Raises:
        DiskFull: calling it again, with more room, goes on.
    """
    with Placer(reader, keep_special=keep_special, replaces=target.replaces, progress=progress) as placer:
        checkout = _Checkout(reader, target, placer)
        checkout.run(entry)
    written = Written(placer.files, checkout.directories, checkout.kept, placer.size, sorted(placer.problems))
    if not written.problems:
        finish(target)
    return written


class _Checkout:
    """One pass over a tree, each directory after those in it."""

    def __init__(self, reader: Reader, target: Target, placer: Placer) -> None:
        self._reader = reader
        self._target = target
        self._placer = placer
        self._first_names: dict[TreeEntry, bytes] = {}
        self._other_names: list[tuple[bytes, TreeEntry]] = []
        self._times_after_links: dict[bytes, int] = {}
        self.directories = 0
        self.kept = 0

    def run(self, entry: TreeEntry) -> None:
        if entry.kind is EntryKind.DIRECTORY:
            with self._placer.noting(b""):
                self._fill(self._target.descriptor, b"", entry.content, 0)
        else:
            self._entries(self._target.descriptor, b"", (entry,), 0)
        self._placer.flush()
        for path, other in self._other_names:
            with self._placer.noting(path):
                self._link(path, other)
        self._placer.flush()
        for path, time_ns in self._times_after_links.items():
            with self._placer.noting(path), open_below(self._target.descriptor, path) as descriptor:
                os.utime(descriptor, ns=(time_ns, time_ns))

    def _fill(self, descriptor: int, prefix: bytes, tree: bytes, depth: int) -> int | None:
        """Write what a directory holds; the time of the newest file in it, None where there is none."""
        if depth > MAX_DEPTH:
            raise CorruptObject(f"more than {MAX_DEPTH} folders lie in each other")
        sweep(descriptor)
        return self._entries(descriptor, prefix, decode_tree(self._reader.get(tree)).entries, depth)

    def _entries(self, descriptor: int, prefix: bytes, entries: tuple[TreeEntry, ...], depth: int) -> int | None:
        taken: set[str] = set()
        newest: list[int] = [entry.mtime_ns for entry in entries if entry.kind is not EntryKind.DIRECTORY]
        for entry in entries:
            path = prefix + entry.name
            reason = self._refusal(entry.name, taken)
            if reason is not None:
                self._placer.problems.append(Problem(path, reason))
            elif entry.kind is EntryKind.DIRECTORY:
                below = self._directory(descriptor, path, entry, depth)
                newest += [] if below is None else [below]
            else:
                self._file(descriptor, path, entry)
        return max(newest, default=None)

    def _refusal(self, name: bytes, taken: set[str]) -> str | None:
        """Why a name must not be written, if so; `taken` are the folded names of this directory so far."""
        if is_state(name):
            return "is where Dotscience keeps its own state; no snapshot should hold it"
        if not self._target.folds_case:
            return None
        plain = folded(name)
        if plain in taken:
            return "differs from another name here only in upper and lower case, which this file system takes for one"
        taken.add(plain)
        return None

    def _directory(self, parent: int, path: bytes, entry: TreeEntry, depth: int) -> int | None:
        newest: int | None = None
        with self._placer.noting(path), self._placer.directory(parent, path, entry) as descriptor:
            self.directories += 1
            newest = self._fill(descriptor, path + b"/", entry.content, depth + 1)
            if newest is not None:
                self._placer.close_folder(descriptor, newest)
                if path in self._times_after_links:
                    self._times_after_links[path] = newest
        return newest

    def _file(self, parent: int, path: bytes, entry: TreeEntry) -> None:
        if entry.link:
            key = msgspec.structs.replace(entry, name=b"")
            if key in self._first_names:
                self._other_names.append((path, entry))
                if folder_of(path):
                    self._times_after_links[folder_of(path)] = entry.mtime_ns
                return
            self._first_names[key] = path
        if self._target.resumed and is_in_place(parent, entry, self._placer.mode(entry)):
            self.kept += 1
        else:
            self._placer.place(parent, path, entry)

    def _link(self, path: bytes, entry: TreeEntry) -> None:
        """Make another name of a file that has been written; a copy where the file system cannot."""
        first = self._first_names[msgspec.structs.replace(entry, name=b"")]
        with (
            open_below(self._target.descriptor, folder_of(path)) as parent,
            open_below(self._target.descriptor, folder_of(first)) as source,
            writable(parent) as was_closed,
        ):
            original = os.stat(_name(first), dir_fd=source, follow_symlinks=False)
            if self._target.resumed and _is_same_file(parent, entry.name, original):
                self.kept += 1
                return
            temporary = new_temporary()
            try:
                os.link(_name(first), temporary, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            except OSError:
                self._placer.place(parent, path, entry)
            else:
                self._placer.rename(parent, temporary, path, entry.name)
            if was_closed:
                self._placer.flush()


def folder_of(path: bytes) -> bytes:
    """The folder that holds what is at `path`; "" is the root."""
    return path.rpartition(b"/")[0]


def is_in_place(parent: int, entry: TreeEntry, mode: int | None = None) -> bool:
    """Whether stat(2) says that a file or link is in the open directory as the snapshot has it.

    `mode` stands for the entry's own where that is not what was written.
    """
    try:
        status = os.stat(entry.name, dir_fd=parent, follow_symlinks=False)
        if entry.kind is EntryKind.SYMLINK:
            return stat.S_ISLNK(status.st_mode) and os.readlink(entry.name, dir_fd=parent) == entry.content
    except OSError:
        return False
    wanted = stat.S_IFREG | (entry.mode if mode is None else mode)
    return (status.st_mode, status.st_size, status.st_mtime_ns) == (wanted, entry.size, entry.mtime_ns)


def _is_same_file(parent: int, name: bytes, original: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=parent, follow_symlinks=False), original)
    except OSError:
        return False


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
