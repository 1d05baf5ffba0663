"""What a project has as one archive to download: a commit or a folder of it, and the files of a model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from functools import partial
from itertools import chain, islice

from msgspec import Struct

from committer.storage.census import take_census
from committer.storage.reader import Reader, resolve, root_entry, walk
from committer.storage.tree import EntryKind, TreeEntry
from hub_server.content.packs import Packs
from hub_server.domain.problems import Problem
from hub_server.services.archive_formats import ArchiveFormat, Member, pieces_of
from hub_server.services.objects import ProjectObjects
from hub_server.services.read_budget import lookup_reader
from hub_server.services.snapshots import look_up, open_snapshot
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef
from hub_server.thread_pool import ThreadPool

MAX_ENTRIES = 1_000_000
"""Names in a folder and below it, beyond which it is neither listed nor packed."""

MAX_NAME_BYTES = 150
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


class Archive(Struct, frozen=True, kw_only=True):
    """An archive that is made while it is read; `name` is that of the file."""

    name: bytes
    pieces: AsyncIterator[bytes]


class Archives:
    """Makes archives. Belongs to the event loop."""

    def __init__(self, database: Database, packs: Packs, workers: ThreadPool, *, senders: ThreadPool) -> None:
        self._database = database
        self._packs = packs
        self._workers = workers
        self._senders = senders

    async def folder(
        self, project: ProjectRef, commit: bytes, path: str, *, named: str, form: ArchiveFormat
    ) -> Archive:
        """What a commit has at a path, as the path's last name; all of the commit as a folder that is called `named`.

        Raises:
            Problem: not-found; too-large; too-expensive.
        """
        _, root, source = await open_snapshot(self._database, self._packs, project, commit)
        top = safe_name(path.rpartition("/")[2] or named)
        entry = await look_up(self._workers, path, lambda: _find(source, root, path))
        return self._archive(top, form, source, _tree(source, _encoded(top), entry))

    async def files(
        self, project: ProjectRef, commit: bytes, paths: Collection[str], *, named: str, form: ArchiveFormat
    ) -> Archive:
        """Files and folders of a commit, by their paths below one folder that is called `named`.

        Raises:
            Problem: not-found, for the first that the commit does not have; too-large; too-expensive.
        """
        _, root, source = await open_snapshot(self._database, self._packs, project, commit)
        top = safe_name(named)
        outermost = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
        found = {
            path: await look_up(self._workers, path, partial(_find, source, root, path))
            for path in sorted(set(outermost))
        }
        inner = (_tree(source, _encoded(f"{top}/{path}"), entry) for path, entry in found.items())
        members = chain([(_encoded(top), root_entry(root))], *inner)
        return self._archive(top, form, source, members)

    def _archive(self, top: str, form: ArchiveFormat, source: ProjectObjects, members: Iterable[Member]) -> Archive:
        pieces = pieces_of(form, source, islice(members, MAX_ENTRIES))
        return Archive(name=_encoded(f"{top}.{form}"), pieces=self._senders.stream(pieces))


def check_size(reader: Reader, entry: TreeEntry) -> None:
    """Refuse a folder that has too much in it.

    Raises:
        Problem: too-large.
    """
    found = take_census(reader, entry).entries
    if found > MAX_ENTRIES:
        raise Problem("too-large", f"the folder has {found} entries, more than {MAX_ENTRIES}; ask for its parts")


def safe_name(name: str) -> str:
    """A name that a file can have on any system that people download to, as like the given one as can be."""
    plain = _UNSAFE.sub("-", name).strip().lstrip(".-").rstrip(".")
    return _encoded(plain)[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "archive"


def _encoded(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _find(reader: Reader, root: bytes, path: str) -> TreeEntry:
    entry = resolve(lookup_reader(reader), root, path)
    check_size(reader, entry)
    return entry


def _tree(reader: Reader, at: bytes, entry: TreeEntry) -> Iterator[Member]:
    """An entry and what is below it, as members of an archive at a path in it."""
    yield at, entry
    if entry.kind is EntryKind.DIRECTORY:
        for path, inner in walk(reader, entry.content):
            yield at + b"/" + path, inner
