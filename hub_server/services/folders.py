"""Reading whole folders of a workspace: as lists of keys, and as tar archives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice

from msgspec import Struct

from committer.storage.reader import resolve, walk
from committer.storage.tree import EntryKind, TreeEntry
from dotscience.errors import NoSuchPath
from hub_server.content.paths import Path
from hub_server.services.archive_formats import pieces_of
from hub_server.services.archives import MAX_ENTRIES, check_size
from hub_server.services.history import entry_time
from hub_server.services.hub_commits import HubCommits
from hub_server.services.objects import ProjectObjects
from hub_server.services.read_budget import lookup_reader
from hub_server.services.snapshots import look_up
from hub_server.store.projects import DotRow
from hub_server.thread_pool import ThreadPool


class Key(Struct, frozen=True):
    """A file or folder by its path from the root."""

    key: str
    size: int
    modified_at: datetime | None
    is_folder: bool


class Keys(Struct, frozen=True):
    """One page of keys, and how many there are."""

    keys: list[Key]
    total: int


class Wanted(Struct, frozen=True, kw_only=True):
    """Which keys: those below a folder, or only those right in it; with folders or without; and a page of them."""

    prefix: Path
    recursive: bool
    folders: bool
    page: int
    size: int


class Folders:
    """Reads folders. Belongs to the event loop."""

    def __init__(self, commits: HubCommits, workers: ThreadPool, *, senders: ThreadPool) -> None:
        self._commits = commits
        self._workers = workers
        self._senders = senders

    async def keys(self, dot: DotRow, root: bytes | None, wanted: Wanted) -> Keys:
        """A page of the keys in a tree, by their bytes; names that begin with a dot are left out, as they always were.

        Raises:
            Problem: too-large, for a folder that has too much in it; too-expensive.
        """
        if root is None:
            return Keys([], 0)
        source = self._commits.objects(dot)
        return await self._workers.run(lambda: _keys(source, root, wanted))

    async def is_folder(self, dot: DotRow, root: bytes, path: str) -> bool:
        """Whether a folder is at a path.

        Raises:
            Problem: not-found, where nothing is; too-expensive.
        """
        return (await self._find(dot, root, path)).kind is EntryKind.DIRECTORY

    async def archive(self, dot: DotRow, root: bytes, path: str) -> AsyncIterator[bytes]:
        """A folder as a tar archive, piece by piece.

        Raises:
            Problem: not-found; too-large; too-expensive.
        """
        entry = await self._find(dot, root, path)
        source = self._commits.objects(dot)
        await self._workers.run(lambda: check_size(source, entry))
        return self._senders.stream(pieces_of("tar", source, islice(walk(source, entry.content), MAX_ENTRIES)))

    async def _find(self, dot: DotRow, root: bytes, path: str) -> TreeEntry:
        source = self._commits.objects(dot)
        return await look_up(self._workers, path, lambda: resolve(lookup_reader(source), root, path))


def _keys(source: ProjectObjects, root: bytes, wanted: Wanted) -> Keys:
    prefix = b"/".join(wanted.prefix)
    try:
        folder = resolve(lookup_reader(source), root, prefix.decode("utf-8", "surrogateescape"))
    except NoSuchPath:
        return Keys([], 0)
    if folder.kind is not EntryKind.DIRECTORY:
        return Keys([_key(prefix, folder)], 1)
    check_size(source, folder)
    start = wanted.page * wanted.size
    keys: list[Key] = []
    total = 0
    for path, entry in walk(source, folder.content):
        if _is_hidden(path) or (b"/" in path and not wanted.recursive):
            continue
        if entry.kind is EntryKind.SYMLINK or (entry.kind is EntryKind.DIRECTORY and not wanted.folders):
            continue
        if start <= total < start + wanted.size:
            keys.append(_key(prefix + b"/" + path if prefix else path, entry))
        total += 1
    return Keys(keys, total)


def _is_hidden(path: bytes) -> bool:
    return path.startswith(b".") or b"/." in path


def _key(path: bytes, entry: TreeEntry) -> Key:
    is_folder = entry.kind is EntryKind.DIRECTORY
    modified_at = None if is_folder else entry_time(entry.mtime_ns)
    return Key(path.decode("utf-8", "replace"), entry.size, modified_at, is_folder)
