"""Reading whole folders of a workspace: as lists of keys, and as tar archives."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import islice

from msgspec import Struct

from committer.storage.census import take_census
from committer.storage.reader import Reader, read_file, resolve, walk
from committer.storage.tree import EntryKind, TreeEntry
from dotscience.errors import NoSuchPath
from hub_server.content.paths import Path
from hub_server.domain.problems import Problem, not_found
from hub_server.services.history import entry_time
from hub_server.services.hub_commits import HubCommits
from hub_server.services.objects import ProjectObjects
from hub_server.services.read_budget import lookup_reader
from hub_server.store.projects import DotRow
from hub_server.thread_pool import ThreadPool

MAX_ENTRIES = 1_000_000
"""Names in a folder and below it, beyond which it is neither listed nor packed."""

PIECE_SIZE = 2**18
"""Bytes of an archive that are made at once; one piece is at most a chunk longer."""


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

    def __init__(self, commits: HubCommits, workers: ThreadPool) -> None:
        self._commits = commits
        self._workers = workers

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
        await self._workers.run(lambda: _check_size(source, entry))
        return self._pieces(_gather(_pack(source, entry.content)))

    async def _find(self, dot: DotRow, root: bytes, path: str) -> TreeEntry:
        source = self._commits.objects(dot)
        try:
            return await self._workers.run(lambda: resolve(lookup_reader(source), root, path))
        except NoSuchPath as error:
            raise not_found("path", path[:200]) from error

    async def _pieces(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while (piece := await self._workers.run(lambda: next(pieces, None))) is not None:
            yield piece


def _keys(source: ProjectObjects, root: bytes, wanted: Wanted) -> Keys:
    prefix = b"/".join(wanted.prefix)
    try:
        folder = resolve(lookup_reader(source), root, prefix.decode("utf-8", "surrogateescape"))
    except NoSuchPath:
        return Keys([], 0)
    if folder.kind is not EntryKind.DIRECTORY:
        return Keys([_key(prefix, folder)], 1)
    _check_size(source, folder)
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


def _check_size(reader: Reader, entry: TreeEntry) -> None:
    found = take_census(reader, entry).entries
    if found > MAX_ENTRIES:
        raise Problem("too-large", f"the folder has {found} entries, more than {MAX_ENTRIES}; ask for its parts")


def _pack(reader: Reader, root: bytes) -> Iterator[bytes]:
    for path, entry in islice(walk(reader, root), MAX_ENTRIES):
        yield _header(path, entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if entry.is_file:
            yield from read_file(reader, entry)
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _gather(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: each is a piece of work for a thread."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= PIECE_SIZE:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


def _header(path: bytes, entry: TreeEntry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path.decode("utf-8", "surrogateescape"))
    header.mode = entry.mode
    header.mtime = entry.mtime_ns // 10**9
    match entry.kind:
        case EntryKind.DIRECTORY:
            header.type = tarfile.DIRTYPE
        case EntryKind.SYMLINK:
            header.type, header.linkname = tarfile.SYMTYPE, entry.content.decode("utf-8", "surrogateescape")
        case _:
            header.size = entry.size
    return header
