"""Turning a folder in use into what a snapshot has, without losing what is not saved.

The caller has just saved the folder. A file is replaced or removed only if stat(2) says that it is the one that was
saved: what was changed since, what the snapshot leaves out and what it could not read stays, and is named.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from committer.storage.checkout import folder_of, is_in_place
from committer.storage.placing import Placer, Problem, sweep
from committer.storage.state_names import is_state
from committer.storage.tree import EntryKind
from committer.workspace.stat import open_below, open_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from committer.storage.diff import Change
    from committer.storage.placing import Guard
    from committer.storage.tree import TreeEntry


class Transition:
    """Applies changes to the open folder `root`; `placer` writes, and names what was left as it is.

    Attributes:
        removed: How many files and links were removed.
    """

    def __init__(self, root: int, placer: Placer) -> None:
        self._root = root
        self._placer = placer
        self._modes: list[tuple[bytes, TreeEntry]] = []
        self._swept: set[bytes] = set()
        self.removed = 0

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the folder what `after` of each change says; a folder is removed only when nothing else is in it.

        Raises:
            DiskFull: some of it is done; calling it again with more room goes on.
        """
        ordered = sorted((one for one in changes if self._is_allowed(one.path)), key=lambda one: one.path)
        for change in reversed(ordered):
            if change.before is not None and _makes_way(change):
                with self._placer.noting(change.path):
                    self._remove(change.path, change.before)
        for change in ordered:
            if change.after is not None:
                with self._placer.noting(change.path):
                    self._put(change.path, change.before, change.after)
        self._placer.flush()
        for path, entry in reversed(self._modes):
            with self._placer.noting(path):
                self._set_mode(path, entry)

    def _is_allowed(self, path: bytes) -> bool:
        if any(is_state(name) for name in path.split(b"/")):
            self._placer.problems.append(Problem(path, "is where Dotscience keeps its own state"))
            return False
        return True

    def _remove(self, path: bytes, before: TreeEntry) -> None:
        try:
            with open_below(self._root, folder_of(path)) as parent:
                if before.kind is EntryKind.DIRECTORY:
                    with suppress(OSError):  # what is in it is not in the snapshot, and stays
                        os.rmdir(before.name, dir_fd=parent)
                elif is_in_place(parent, before):
                    os.unlink(before.name, dir_fd=parent)
                    self.removed += 1
                elif _exists(parent, before.name):
                    self._placer.problems.append(Problem(path, "was changed meanwhile, and stays"))
        except FileNotFoundError:
            return

    def _put(self, path: bytes, before: TreeEntry | None, after: TreeEntry) -> None:
        with open_below(self._root, folder_of(path)) as parent:
            if after.kind is EntryKind.DIRECTORY:
                with suppress(FileExistsError):
                    os.mkdir(after.name, 0o700, dir_fd=parent)
                self._modes.append((path, after))
            else:
                self._sweep_once(parent, path)
                self._placer.place(parent, path, after, _guard(before))

    def _sweep_once(self, parent: int, path: bytes) -> None:
        """Remove what an interrupted checkout left in a folder, before anything of this one is there."""
        folder = folder_of(path)
        if folder not in self._swept:
            self._swept.add(folder)
            sweep(parent)

    def _set_mode(self, path: bytes, entry: TreeEntry) -> None:
        with open_below(self._root, folder_of(path)) as parent, open_directory(entry.name, parent=parent) as descriptor:
            os.fchmod(descriptor, self._placer.mode(entry))


def _makes_way(change: Change) -> bool:
    """Whether what is there has to go before, or instead of, what is to come: a file can replace a file by itself."""
    if change.before is None or change.after is None:
        return True
    return (change.before.kind is EntryKind.DIRECTORY) != (change.after.kind is EntryKind.DIRECTORY)


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
