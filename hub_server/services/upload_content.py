"""What an upload holds, as entries of a snapshot; its content is put on the way."""

from __future__ import annotations

import os
from datetime import datetime
from typing import NamedTuple

import msgspec

from committer.storage.ingest import SMALL_FILE, FileContent, FileIngest
from committer.storage.sink import ObjectSink
from committer.storage.tree import EntryKind, TreeEntry
from committer.storage.tree_edit import TreeEdit
from hub_server.content.archive import MAX_ENTRIES, ArchiveEntry, ArchiveKind, read_archive
from hub_server.content.paths import Path, check_path, check_target, shown
from hub_server.content.staging import StagedFile
from hub_server.domain.problems import Problem

FILE_MODE = 0o644
_NS_PER_US = 1000


class UploadContent(NamedTuple):
    """Files and links with their paths in the workspace, and folders; later ones win over earlier ones."""

    entries: list[tuple[Path, TreeEntry]]
    folders: list[Path]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for _, entry in self.entries)

    def put_into(self, edit: TreeEdit) -> None:
        """Put all of it into a tree.

        Raises:
            PathTaken: something of another kind is there.
        """
        for folder in self.folders:
            edit.make_folder(folder)
        for path, entry in self.entries:
            edit.put(path, entry)


def take_file(staged: StagedFile, path: Path, now: datetime, sink: ObjectSink) -> UploadContent:
    """A single file at `path`, changed `now`. Blocks."""
    staged.flush()
    with FileIngest(sink) as ingest:
        content = ingest.put(staged.open().fileno(), staged.size)
    mtime_ns = int(now.timestamp() * 1_000_000) * _NS_PER_US
    entry = TreeEntry(path[-1], content.kind, FILE_MODE, content.size, mtime_ns, content.hash)
    return UploadContent([(path, entry)], [])


def take_archive(staged: StagedFile, folder: Path, sink: ObjectSink) -> UploadContent:
    """The entries of a tar archive, below `folder`. Blocks.

    Raises:
        Problem: corrupt-archive, or invalid for a path or link that no workspace can have.
    """
    staged.flush()
    with FileIngest(sink) as ingest:
        taken = _Unpacked(staged.open().fileno(), folder, ingest)
        for entry in read_archive(staged.open().fileno(), staged.size):
            taken.add(entry)
    return UploadContent(list(taken.entries.items()), [*taken.folders, folder])


class _Unpacked:
    def __init__(self, descriptor: int, folder: Path, ingest: FileIngest) -> None:
        self._descriptor = descriptor
        self._folder = folder
        self._ingest = ingest
        self.entries: dict[Path, TreeEntry] = {}
        self.folders: list[Path] = []

    def add(self, entry: ArchiveEntry) -> None:
        path = check_path(self._folder + entry.path, "/archive")
        if len(self.entries) + len(self.folders) >= MAX_ENTRIES:
            raise Problem("corrupt-archive", f"the archive has more than {MAX_ENTRIES} entries; send it in parts")
        if entry.kind is ArchiveKind.FOLDER:
            self.folders.append(path)
        else:
            self.entries[path] = self._entry(path, entry)

    def _entry(self, path: Path, entry: ArchiveEntry) -> TreeEntry:
        match entry.kind:
            case ArchiveKind.SYMLINK:
                check_target(path, entry.target, "/archive")
                return TreeEntry(path[-1], EntryKind.SYMLINK, 0o777, len(entry.target), entry.mtime_ns, entry.target)
            case ArchiveKind.HARD_LINK:
                return self._linked(path, entry)
        content = self._content(entry)
        kind, mode = content.kind, entry.mode or FILE_MODE
        return TreeEntry(path[-1], kind, mode, content.size, entry.mtime_ns, content.hash)

    def _content(self, entry: ArchiveEntry) -> FileContent:
        if entry.size <= SMALL_FILE:
            return self._ingest.put_bytes(os.pread(self._descriptor, entry.size, entry.offset))
        return self._ingest.put(self._descriptor, entry.size, start=entry.offset)

    def _linked(self, path: Path, entry: ArchiveEntry) -> TreeEntry:
        """Another name of a file: a copy, which costs nothing here."""
        named = self.entries.get(self._folder + entry.named)
        if named is None or not named.is_file:
            raise Problem(
                "corrupt-archive",
                f"{shown(b'/'.join(path))} is a hard link to {shown(entry.target)}, which is no file before it",
            )
        return msgspec.structs.replace(named, name=path[-1])
