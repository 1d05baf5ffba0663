"""Reading what was pushed: runs, commits, and the files of a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, TypeVar
from urllib.parse import quote_from_bytes

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection

from committer.storage.reader import list_directory, resolve
from committer.storage.tree import EntryKind, TreeEntry
from dotscience.record import RunRecord
from hub_server.content.packs import Packs
from hub_server.domain.cursor import Position, Slice
from hub_server.domain.filters import Filter
from hub_server.domain.problems import Problem, not_found
from hub_server.domain.types import NULL, Columns, RunDetail, RunInfo, TreeItem, TreeListing
from hub_server.services.objects import ProjectObjects
from hub_server.services.read_budget import lookup_reader
from hub_server.services.slices import read_slices
from hub_server.services.snapshots import Snapshot, look_up, open_snapshot
from hub_server.store import commits, run_names, run_order, runs
from hub_server.store.backends.backend import QueryTimeout
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef
from hub_server.store.run_drives import RecentDrives
from hub_server.store.run_order import Order, RunsPage
from hub_server.store.run_plan import Narrowing, Selection, Total, count_runs
from hub_server.thread_pool import ThreadPool

MAX_TREE_ITEMS = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS: dict[EntryKind, Literal["file", "directory", "symlink"]] = {
    EntryKind.FILE: "file",
    EntryKind.CHUNKED_FILE: "file",
    EntryKind.DIRECTORY: "directory",
    EntryKind.SYMLINK: "symlink",
}

WALK_S = 0.25
DRIVE_S = 2.0
COUNT_S = 0.1
"""What a page may take by the first way that is tried, by the second, and what counting may take besides."""

T = TypeVar("T")


class File(Struct, frozen=True, kw_only=True):
    """A file of a commit; `hash` names its content, `read` gives the bytes from one offset to before another."""

    name: bytes
    size: int
    hash: bytes
    read: Callable[[int, int], AsyncIterator[bytes]]


class History:
    """Everything that can be read of a project's runs and commits."""

    def __init__(
        self,
        database: Database,
        packs: Packs,
        workers: ThreadPool,
        *,
        senders: ThreadPool,
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._database = database
        self._packs = packs
        self._workers = workers
        self._senders = senders
        self._recent_drives = RecentDrives()

    def select(self, project: ProjectRef, narrowed: Filter | None) -> Selection:
        """The project's runs, or those that meet a filter at this moment."""
        return Selection(project_key=project.key, filter=narrowed, now=self._clock())

    async def runs(self, selection: Selection, order: Order, after: Position | None, limit: int) -> Slice[RunInfo]:
        """A page of a project's runs. Those that meet a filter are counted as far as that takes no time.

        It is found by the way that looks best, and by the other one where that turns out to take too long.

        Raises:
            Problem: filter-too-slow.
        """

        def read(connection: Connection, *, may_walk: bool = True) -> Slice[RunInfo]:
            """All in one read: where the database is a server, each statement is a way there and back."""
            page = run_order.read_page(
                connection, selection, order, after, limit, may_walk=may_walk, recent=self._recent_drives
            )
            is_whole = after is None and page.position is None
            total, exact = (len(page.runs), True) if is_whole else self._total(connection, page)
            return Slice(items=page.runs, position=page.position, total=total, exact=exact)

        if selection.filter is None:
            return await self._database.read(read)
        with suppress(QueryTimeout):
            return await self._database.read(read, limit_s=WALK_S)
        try:
            return await self._database.search(partial(read, may_walk=False), limit_s=DRIVE_S)
        except QueryTimeout as error:
            raise Problem(
                "filter-too-slow",
                "too many runs would have to be looked at one by one for this filter; add a condition that few runs "
                "meet, or sort by a value that it names",
            ) from error

    def _total(self, connection: Connection, page: RunsPage) -> Total:
        """How many runs the list has."""
        if not isinstance(page.total, Narrowing):
            return page.total
        try:
            with self._database.limited(connection, COUNT_S):
                return count_runs(connection, page.total)
        except QueryTimeout:
            return len(page.runs), False

    async def columns(self, project: ProjectRef) -> Columns:
        """The names that the project's runs use."""
        return await self._database.read(lambda c: runs.list_columns(c, project.key))

    async def kinds(self, project: ProjectRef, names: Collection[str]) -> dict[str, set[str]]:
        """The kinds of value (param, summary, label) that the project's runs have under each of some names."""
        wanted = {(kind, name) for kind in run_names.KINDS for name in names}
        found = await self._database.read(lambda c: run_names.find_names(c, project.key, wanted))
        used = [(kind, name) for (kind, name), row in found.keys.items() if row.runs > 0]
        return {name: {kind for kind, other in used if other == name} for name in names}

    async def run(self, project: ProjectRef, run_id: str) -> RunDetail:
        """One run with its environment.

        Raises:
            Problem: not-found.
        """
        found = await self._database.read(lambda c: runs.find_run(c, project.key, run_id))
        if found is None:
            raise not_found("run", run_id)
        named = msgspec.json.decode(found.record, type=RunRecord).environment
        environment = await self._environment(project, named)
        return RunDetail(environment=environment, **msgspec.structs.asdict(found))

    async def commits(self, project: ProjectRef, after: Position | None, limit: int) -> Slice[Raw]:
        """A page of the project's commits, newest first."""
        return await self._database.read(lambda c: commits.list_commits(c, project.key, after=after, limit=limit))

    async def commit(self, project: ProjectRef, commit: bytes) -> Raw:
        """One commit's `CommitInfo`, as stored.

        Raises:
            Problem: not-found.
        """
        return (await self._open(project, commit)).info

    async def tree(self, project: ProjectRef, commit: bytes, path: str) -> TreeListing:
        """A folder of a commit; at most its first 10,000 entries.

        Raises:
            Problem: not-found; too-expensive.
        """
        _, root, source = await self._open(project, commit)
        return await look_up(
            self._workers, path, lambda: _listing(path, list_directory(lookup_reader(source), root, path))
        )

    async def file(self, project: ProjectRef, commit: bytes, path: str) -> File:
        """A file of a commit.

        Raises:
            Problem: not-found, also for folders and links; too-expensive.
        """
        _, root, source = await self._open(project, commit)
        entry = await look_up(self._workers, path, lambda: resolve(lookup_reader(source), root, path))
        if not entry.is_file:
            raise not_found("file", path)
        return File(
            name=entry.name,
            size=entry.size,
            hash=entry.content,
            read=lambda start, stop: self._senders.stream(read_slices(source, entry, start, stop)),
        )

    async def _open(self, project: ProjectRef, commit: bytes) -> Snapshot:
        return await open_snapshot(self._database, self._packs, project, commit)

    async def _environment(self, project: ProjectRef, named: str | None) -> Raw:
        if named is None:
            return NULL
        source = ProjectObjects(self._database, self._packs, project.key)
        return Raw(await self._workers.run(lambda: source.get(bytes.fromhex(named))))


def _listing(path: str, entries: Sequence[TreeEntry]) -> TreeListing:
    visible = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    shown = [_item(entry) for entry in entries[:MAX_TREE_ITEMS]]
    return TreeListing(path=visible, entries=shown, total=len(entries))


def _item(entry: TreeEntry) -> TreeItem:
    name = entry.name.decode("utf-8", "replace")
    is_hashed = entry.kind is not EntryKind.SYMLINK
    return TreeItem(
        name=name,
        quoted_name=None if name.encode() == entry.name else quote_from_bytes(entry.name),
        kind=KINDS[entry.kind],
        size=entry.size,
        mode=entry.mode,
        modified_at=None if entry.kind is EntryKind.DIRECTORY else entry_time(entry.mtime_ns),
        content_hash=entry.content.hex() if is_hashed else None,
        target=None if is_hashed else entry.content.decode("utf-8", "replace"),
    )


def entry_time(ns: int) -> datetime | None:
    """The time of an entry, from nanoseconds since the epoch; None where no calendar has it."""
    try:
        return EPOCH + timedelta(microseconds=ns // 1000)
    except OverflowError:  # a file system may hold times that no calendar has
        return None
