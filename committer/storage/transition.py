"""Turning a folder in use into what a snapshot has, without losing what is not saved: all of it, or nothing.

The caller has just saved the folder. `prepare` refuses what cannot be done, and writes everything that is new beside
the folder; until it returns, nothing in the folder has changed. `apply` then only removes, makes folders and renames. A
file is replaced or removed only if stat(2) says that it is the one that was saved: what comes in between stays, and is
named. What lies on another file system than the folder itself is read by `prepare`, and written by `apply`.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from committer.storage.checkout import folder_of, is_in_place
from committer.storage.durability import sync_file_system
from committer.storage.placing import Placer, Problem, disk_full, new_temporary, sweep
from committer.storage.reader import read_extents
from committer.storage.replacing import may_change
from committer.storage.state_names import is_state
from committer.storage.tree import EntryKind
from committer.workspace.stat import open_below, open_directory
from dotscience.errors import CheckoutRefused, CorruptObject, MissingObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from committer.storage.diff import Change
    from committer.storage.placing import Guard
    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry

NAMED = 5
STATE = "is where Dotscience keeps its own state"
CHANGED = "was changed meanwhile"
LEFT_OUT = "is not in snapshots, and would be overwritten"


class _Before(NamedTuple):
    """What a folder was before names in it were changed."""

    mode: int
    time_ns: int
    was_closed: bool


class Transition:
    """Applies changes to the open folder `root`; `staging` is an open folder for what is new, `placer` writes.

    Attributes:
        removed: How many files and links were removed.
    """

    def __init__(self, root: int, staging: int, reader: Reader, placer: Placer) -> None:
        self._root = root
        self._staging = staging
        self._reader = reader
        self._placer = placer
        self._changes: dict[bytes, Change] = {}
        self._staged: dict[bytes, bytes] = {}
        self._folders: dict[bytes, _Before] = {}
        self.removed = 0

    # What can be known before

    def prepare(self, changes: Iterable[Change]) -> None:
        """Make sure that the folder can become what `after` of each change says, and have what that takes at hand.

        Raises:
            CheckoutRefused: it cannot, for the reasons that are named.
            DiskFull: there is no room to write what is new.
        """
        self._changes = {change.path: change for change in sorted(changes, key=lambda one: one.path)}
        self._require_possible()
        _refuse(list(self._stage()))
        sync_file_system(self._staging)
        self._require_possible()  # writing may have taken long

    def closed(self) -> list[tuple[bytes, int]]:
        """The folders, with their modes, that have to be made writable for a while."""
        found: dict[bytes, int] = {}
        for folder in {folder_of(path) for path in self._changes}:
            with suppress(OSError), open_below(self._root, folder) as descriptor:
                if not may_change(descriptor):
                    found[folder] = stat.S_IMODE(os.fstat(descriptor).st_mode)
        return sorted(found.items())

    def _require_possible(self) -> None:
        there = {path for path, change in self._changes.items() if self._is_done(change)}
        for path in there:
            del self._changes[path]
        reasons = ((path, self._obstacle(change)) for path, change in self._changes.items())
        _refuse([Problem(path, reason) for path, reason in reasons if reason is not None])

    def _is_done(self, change: Change) -> bool:
        """Whether a file that is not as it was saved, or is not in snapshots, is what it is to become."""
        before, after = change.before, change.after
        if after is None or _is_folder(after):
            return False
        try:
            with open_below(self._root, folder_of(change.path)) as parent:
                is_as_saved = before is not None and not _is_folder(before) and is_in_place(parent, before)
                return not is_as_saved and is_in_place(parent, after, self._placer.mode(after))
        except OSError:
            return False

    def _obstacle(self, change: Change) -> str | None:
        """Why a change cannot be made, if so."""
        if any(is_state(name) for name in change.path.split(b"/")):
            return STATE
        folder = folder_of(change.path)
        try:
            with open_below(self._root, folder) as parent:
                if not may_change(parent) and os.fstat(parent).st_uid != os.geteuid():
                    return "is in a folder that cannot be written, and is somebody else's"
                return self._obstacle_in(parent, change)
        except OSError as error:
            is_gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
            if is_gone and (change.after is None or _is_folder(self._after(folder))):
                return None
            return f"cannot be reached: {error.strerror}"

    def _obstacle_in(self, parent: int, change: Change) -> str | None:
        before, after = change.before, change.after
        try:
            there = os.stat(_name(change.path), dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if _is_folder(before) or (before is None and _is_folder(after)):
            if not stat.S_ISDIR(there.st_mode):
                return CHANGED if before else LEFT_OUT
            is_to_go = after is not None and not _is_folder(after)
            return self._more_in(parent, change.path) if is_to_go else None
        if before is None:
            return LEFT_OUT
        return None if is_in_place(parent, before) else CHANGED

    def _more_in(self, parent: int, path: bytes) -> str | None:
        """What keeps a folder from giving way to a file: something that the snapshot of it does not have."""
        with open_directory(_name(path), parent=parent) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                child = path + b"/" + os.fsencode(entry.name)
                if child not in self._changes:
                    return f"is a folder that is to become a file, and holds {entry.name!r}, which is not in snapshots"
                if entry.is_dir(follow_symlinks=False) and (reason := self._more_in(descriptor, child)) is not None:
                    return reason
        return None

    def _after(self, path: bytes) -> TreeEntry | None:
        change = self._changes.get(path)
        return None if change is None else change.after

    # Writing beside

    def _stage(self) -> Iterator[Problem]:
        """Write what is new; what could not be."""
        for path, change in self._changes.items():
            if change.after is None or _is_folder(change.after):
                continue
            try:
                with disk_full():
                    self._stage_one(path, change.after)
            except (MissingObject, CorruptObject) as error:
                yield Problem(path, str(error))
            except OSError as error:
                yield Problem(path, f"cannot be written: {error.strerror}")

    def _stage_one(self, path: bytes, entry: TreeEntry) -> None:
        if not self._is_on_same_disk(path):
            for _ in read_extents(self._reader, entry) if entry.is_file else ():
                pass
            return
        name = new_temporary()
        self._placer.write(self._staging, name, path, entry)
        self._staged[path] = name

    def _is_on_same_disk(self, path: bytes) -> bool:
        """Whether a rename leads from the staging folder to the path: no other file system is mounted between."""
        folder = folder_of(path)
        while True:
            try:
                with open_below(self._root, folder) as descriptor:
                    return os.fstat(descriptor).st_dev == os.fstat(self._staging).st_dev
            except OSError:
                folder = folder_of(folder)

    # The changes themselves

    def apply(self) -> None:
        """Make the changes that were prepared; a folder is removed only when nothing else is in it.

        Raises:
            DiskFull: some of it is done, and the folder as it was is in the snapshot that the caller took.
        """
        try:
            for path, change in reversed(self._changes.items()):
                if change.before is not None and _makes_way(change):
                    with self._placer.noting(path):
                        self._remove(path, change.before)
            for path, change in self._changes.items():
                if change.after is not None:
                    with self._placer.noting(path):
                        self._put(path, change.before, change.after)
            self._placer.flush()
        finally:
            self._settle()
        sync_file_system(self._root)

    def _remove(self, path: bytes, before: TreeEntry) -> None:
        try:
            with self._changing(folder_of(path)) as parent:
                if before.kind is EntryKind.DIRECTORY:
                    with suppress(OSError):  # what is in it is not in the snapshot, and stays
                        os.rmdir(before.name, dir_fd=parent)
                elif is_in_place(parent, before):
                    os.unlink(before.name, dir_fd=parent)
                    self.removed += 1
                elif _exists(parent, before.name):
                    self._placer.problems.append(Problem(path, "was changed meanwhile, and stays"))
        except (FileNotFoundError, NotADirectoryError):
            return

    def _put(self, path: bytes, before: TreeEntry | None, after: TreeEntry) -> None:
        with self._changing(folder_of(path)) as parent:
            if after.kind is EntryKind.DIRECTORY:
                with suppress(FileExistsError):
                    os.mkdir(after.name, 0o700, dir_fd=parent)
            elif path in self._staged:
                self._placer.reveal(self._staging, self._staged[path], parent, path, _guard(before))
            else:
                sweep(parent)
                self._placer.place(parent, path, after, _guard(before))

    @contextmanager
    def _changing(self, folder: bytes) -> Iterator[int]:
        """An open folder in which names can be changed; `_settle` makes it again what it was."""
        with open_below(self._root, folder) as descriptor:
            if folder not in self._folders:
                status = os.fstat(descriptor)
                before = _Before(stat.S_IMODE(status.st_mode), status.st_mtime_ns, not may_change(descriptor))
                if before.was_closed:
                    os.fchmod(descriptor, before.mode | stat.S_IRWXU)
                self._folders[folder] = before
            yield descriptor

    def _settle(self) -> None:
        """Give folders their modes and times, those inside first: some cannot be entered afterwards."""
        touched = self._folders.keys() | {path for path in self._changes if _is_folder(self._after(path))}
        times = self._times()
        for path in sorted(touched, reverse=True):
            with self._placer.noting(path), suppress(FileNotFoundError, NotADirectoryError):  # it was to go
                self._settle_one(path, times.get(path))

    def _settle_one(self, path: bytes, time_ns: int | None) -> None:
        after, before = self._after(path), self._folders.get(path)
        with open_below(self._root, path) as descriptor:
            if time_ns is not None:
                with suppress(PermissionError):  # somebody else's
                    os.utime(descriptor, ns=(time_ns, time_ns))
            if after is not None and _is_folder(after):
                os.fchmod(descriptor, self._placer.mode(after))
            elif before is not None and before.was_closed:
                os.fchmod(descriptor, before.mode)

    def _times(self) -> dict[bytes, int]:
        """The times of folders: the newest file's for one that was made, as before where no name came or went."""
        renewed = {folder_of(path) for path, one in self._changes.items() if one.before is None or one.after is None}
        times = {path: before.time_ns for path, before in self._folders.items() if path not in renewed}
        made = {path for path, one in self._changes.items() if _is_folder(one.after) and not _is_folder(one.before)}
        newest: dict[bytes, int] = {}
        for path, change in self._changes.items():
            folder = folder_of(path)
            while folder in made and change.after is not None and not _is_folder(change.after):
                newest[folder] = max(newest.get(folder, change.after.mtime_ns), change.after.mtime_ns)
                folder = folder_of(folder)
        return times | newest


def _refuse(problems: list[Problem]) -> None:
    """Refuse a transition for what is known to be in its way, if anything is."""
    if not problems:
        return
    named = "; ".join(f"{os.fsdecode(one.path)!r} {one.reason}" for one in problems[:NAMED])
    more = f"; and {len(problems) - NAMED:,} more" if len(problems) > NAMED else ""
    raise CheckoutRefused(
        f"nothing was changed: {named}{more}. Mend that, name the PATHs that you want, or write elsewhere with --to DIR"
    )


def _is_folder(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.DIRECTORY


def _name(path: bytes) -> bytes:
    """The last name in a path."""
    return path.rpartition(b"/")[2]


def _makes_way(change: Change) -> bool:
    """Whether what is there has to go before, or instead of, what is to come: a file can replace a file by itself."""
    if change.before is None or change.after is None:
        return True
    return _is_folder(change.before) != _is_folder(change.after)


def _guard(before: TreeEntry | None) -> Guard:
    saved = before if before is not None and before.kind is not EntryKind.DIRECTORY else None

    def reason(parent: int, name: bytes) -> str | None:
        if saved is not None and is_in_place(parent, msgspec.structs.replace(saved, name=name)):
            return None
        return "was changed meanwhile or is not in snapshots, and stays" if _exists(parent, name) else None

    return reason


def _exists(parent: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
