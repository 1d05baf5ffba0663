"""Changing a snapshot's tree without a file system: only the folders on the way are read and written anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from committer.storage.objects import MAX_OBJECT_SIZE
from committer.storage.reader import Reader, root_entry
from committer.storage.tree import EntryKind, TreeEntry, decode_tree, encode_tree
from dotscience.errors import FolderRefused, PathTaken, SnapshotError

FOLDER_MODE = 0o755

Path = tuple[bytes, ...]
"""The names from the root on; empty for the root itself."""


class _Folder:
    """A folder that was opened: its entries, of which those that were opened too are folders."""

    def __init__(self, entry: TreeEntry, entries: dict[bytes, TreeEntry | _Folder]) -> None:
        self.entry = entry
        self.entries = entries


class TreeEdit:
    """A tree on its way to the next snapshot. Blocks; not for the event loop.

    Attributes:
        files: How many files and links it has more than before.
        size: How many bytes they are more.
    """

    def __init__(self, reader: Reader, root: bytes | None) -> None:
        """Begin with the tree `root`, or with an empty one."""
        self._reader = reader
        self._root = self._open(root_entry(root)) if root is not None else _new_folder(b"")
        self.files = 0
        self.size = 0

    def find(self, path: Path) -> TreeEntry | None:
        """What is at a path; a folder that was opened is shown as it was."""
        if not path:
            return self._root.entry
        parent = self._folder(path[:-1])
        found = parent.entries.get(path[-1]) if parent is not None else None
        return found.entry if isinstance(found, _Folder) else found

    def put(self, path: Path, entry: TreeEntry) -> None:
        """Put a file or link at a path, in place of a file or link that is there; folders are made on the way.

        Raises:
            PathTaken: a folder is at the path, or something else on the way.
        """
        parent = self._make_folders(path[:-1])
        name = path[-1]
        there = parent.entries.get(name)
        if isinstance(there, _Folder) or (there is not None and there.kind is EntryKind.DIRECTORY):
            raise PathTaken(f"{_shown(path)} is a folder; delete it first, or choose another name")
        if there is not None:
            self._count(there, -1)
        parent.entries[name] = msgspec.structs.replace(entry, name=name)
        self._count(entry, 1)

    def make_folder(self, path: Path) -> None:
        """Make sure that a folder is at a path.

        Raises:
            PathTaken: something else is there or on the way.
        """
        self._make_folders(path)

    def remove(self, path: Path) -> bool:
        """Remove what is at a path, with all that is in it; whether there was anything."""
        parent = self._folder(path[:-1])
        if parent is None or path[-1] not in parent.entries:
            return False
        gone = parent.entries.pop(path[-1])
        for entry in self._below(gone):
            self._count(entry, -1)
        return True

    def remove_if_empty(self, path: Path) -> None:
        """Remove the folder at a path where it has no entries."""
        folder = self._folder(path)
        if path and folder is not None and not folder.entries:
            self.remove(path)

    def paths_below(self, path: Path) -> list[Path]:
        """The paths of all files and links in the folder at a path, if it is one."""
        folder = self._folder(path)
        found: list[Path] = []
        pending: list[tuple[Path, TreeEntry | _Folder]] = [(path, folder)] if folder is not None else []
        while pending:
            place, one = pending.pop()
            if isinstance(one, TreeEntry) and one.kind is EntryKind.DIRECTORY:
                one = self._open(one)
            if isinstance(one, _Folder):
                pending.extend(((*place, name), child) for name, child in one.entries.items())
            else:
                found.append(place)
        return found

    def finish(self, put: Callable[[bytes], bytes]) -> bytes:
        """The hash of the tree as it is now; `put` stores an encoded tree.

        Raises:
            FolderRefused: a name is none that a tree can have, or a folder has too many.
        """
        return self._finish(self._root, put).content

    def _finish(self, folder: _Folder, put: Callable[[bytes], bytes]) -> TreeEntry:
        entries = [self._finish(one, put) if isinstance(one, _Folder) else one for one in folder.entries.values()]
        return msgspec.structs.replace(folder.entry, content=put(_encode(entries)))

    def _folder(self, path: Path) -> _Folder | None:
        """The folder at a path, opened; None where there is none."""
        folder = self._root
        for name in path:
            child = folder.entries.get(name)
            if isinstance(child, TreeEntry) and child.kind is EntryKind.DIRECTORY:
                child = folder.entries[name] = self._open(child)
            if not isinstance(child, _Folder):
                return None
            folder = child
        return folder

    def _make_folders(self, path: Path) -> _Folder:
        for depth in range(1, len(path) + 1):
            folder = self._folder(path[: depth - 1])
            assert folder is not None  # noqa: S101 - for the type checker: the last step made it
            there = folder.entries.setdefault(path[depth - 1], _new_folder(path[depth - 1]))
            if isinstance(there, TreeEntry) and there.kind is not EntryKind.DIRECTORY:
                raise PathTaken(f"{_shown(path[:depth])} is no folder, so nothing can be put below it")
        folder = self._folder(path)
        assert folder is not None  # noqa: S101 - for the type checker: as above
        return folder

    def _open(self, entry: TreeEntry) -> _Folder:
        return _Folder(entry, {one.name: one for one in decode_tree(self._reader.get(entry.content)).entries})

    def _below(self, one: TreeEntry | _Folder) -> Iterator[TreeEntry]:
        """Every file and link at and below an entry."""
        pending = [one]
        while pending:
            current = pending.pop()
            if isinstance(current, TreeEntry) and current.kind is EntryKind.DIRECTORY:
                current = self._open(current)
            if isinstance(current, _Folder):
                pending.extend(current.entries.values())
            else:
                yield current

    def _count(self, entry: TreeEntry, by: int) -> None:
        self.files += by
        self.size += by * entry.size


def _encode(entries: list[TreeEntry]) -> bytes:
    try:
        data = encode_tree(entries)
    except SnapshotError as error:
        raise FolderRefused(str(error)) from error
    if len(data) > MAX_OBJECT_SIZE:
        raise FolderRefused(f"{len(entries)} names are more than one folder can have; use several")
    return data


def _new_folder(name: bytes) -> _Folder:
    return _Folder(TreeEntry(name, EntryKind.DIRECTORY, FOLDER_MODE, 0, 0, bytes(32)), {})


def _shown(path: Path) -> str:
    """A path for people to read, on one line and not too long."""
    return repr(b"/".join(path)[:120].decode("utf-8", "backslashreplace"))
