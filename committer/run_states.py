"""Which runs can share a commit, and the tree of each commit.

Runs that were published one right after the other are committed together as long as one tree can hold the files of all
of them as each run left them. Where a run left something else than a run before it did, it begins the next commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from committer.captured_files import RunFiles
from committer.storage.reader import Reader
from committer.storage.tree import EntryKind, TreeEntry
from committer.storage.tree_edit import Path, TreeEdit
from dotscience.errors import FolderRefused
from dotscience.record_limits import MAX_COMMIT_RUN_BYTES

T = TypeVar("T")


class State(Struct):
    """What the runs of one commit left behind, as far as it was held."""

    files: dict[Path, TreeEntry] = msgspec.field(default_factory=dict)
    folders: set[Path] = msgspec.field(default_factory=set)

    def allows(self, run: RunFiles) -> bool:
        """Whether a tree can have the files of this state and those of the run."""
        return (
            all(_is_same(self.files[path], entry) for path, entry in run.held.items() if path in self.files)
            and all(path in run.held for path in self.files if _is_below_any(path, run.folders))
            and all(path in self.files for path in run.held if _is_below_any(path, self.folders))
        )

    def add(self, run: RunFiles) -> None:
        """Have the state be that of the run, too."""
        self.files.update(run.held)
        self.folders.update(run.folders)


class Group(Struct, Generic[T]):
    """Runs that share a commit, in order; `size` is the bytes of their records."""

    runs: list[T]
    state: State
    size: int = 0


def group(runs: Iterable[tuple[T, RunFiles, int]], limit: int = MAX_COMMIT_RUN_BYTES) -> list[Group[T]]:
    """Part runs, in the order in which they were published, into those that can share a commit; at least one group.

    Each run comes with the bytes of its record; those of a commit have at most `limit` together.
    """
    groups = [Group[T]([], State())]
    for run, files, size in runs:
        if groups[-1].runs and (groups[-1].size + size > limit or not groups[-1].state.allows(files)):
            groups.append(Group([], State()))
        groups[-1].runs.append(run)
        groups[-1].state.add(files)
        groups[-1].size += size
    return groups


class StateTree(Struct, frozen=True):
    """A tree with a state's files in it; `files` and `size` are how much more it has than the tree before."""

    root: bytes
    files: int
    size: int


def place(reader: Reader, root: bytes, state: State, put: Callable[[bytes], bytes]) -> StateTree:
    """The tree `root` with what the runs left in the places where they left it. `put` stores an encoded tree."""
    edit = TreeEdit(reader, root)
    for folder in state.folders:
        for path in edit.paths_below(folder):
            if path not in state.files:
                edit.remove(path)
    changed = bool(edit.files)
    for path, entry in state.files.items():
        there = edit.find(path)
        if there is None or not _is_same(there, entry):
            _put(edit, path, entry, there)
            changed = True
    if not changed:
        return StateTree(root, 0, 0)
    try:
        return StateTree(edit.finish(put), edit.files, edit.size)
    except FolderRefused:  # the snapshot leaves such a folder out, and so does this
        return StateTree(root, 0, 0)


def _put(edit: TreeEdit, path: Path, entry: TreeEntry, there: TreeEntry | None) -> None:
    """In place of whatever a later run has put there, or on the way."""
    for depth in range(1, len(path)):
        above = edit.find(path[:depth])
        if above is not None and above.kind is not EntryKind.DIRECTORY:
            edit.remove(path[:depth])
    if there is not None and there.kind is EntryKind.DIRECTORY:
        edit.remove(path)
    attributes = there.attributes if there is not None and there.is_file else ()
    edit.put(path, msgspec.structs.replace(entry, attributes=attributes) if entry.is_file else entry)


def _is_same(one: TreeEntry, other: TreeEntry) -> bool:
    """Whether two files or links have the same content and permissions; times may differ."""
    return (one.kind, one.content, one.mode) == (other.kind, other.content, other.mode)


def _is_below_any(path: Path, folders: Iterable[Path]) -> bool:
    return any(path[: len(folder)] == folder for folder in folders)
