"""Which run made what another one read: runs joined by the contents of their files.

An input was made by the run that wrote the same content and did not begin later. Where several did, it is one of the
same project before one of another, one that wrote it at the same path before one that did not, and the latest of these.
So every input has one maker at most, whichever end the question comes from. Nobody's is what no run wrote, and what is
empty: an empty file is equal to every other one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select, case, select

from committer.storage.codec import digest
from hub_server.domain.types import Trace, TraceEdge, TraceRun, UnclaimedInput
from hub_server.store.schema import commit, project, run, run_file
from hub_server.thread_pool import check_cancelled

Direction = Literal["upstream", "downstream"]

EMPTY = digest(b"")
MOST_READERS = 500
"""Runs that read one content, beyond which no more are looked at; the answer says so."""


class Limits(Struct, frozen=True, kw_only=True):
    """How far to go: `depth` steps, `runs` in all, for so many seconds; within the projects whose keys a query gives.

    What was not gone into is said in the answer.
    """

    depth: int
    runs: int
    seconds: float
    within: Select[tuple[int]] | None = None


class _File(Struct, frozen=True):
    """A file of a run, with what decides about who made it."""

    run: int
    project: int
    began: datetime
    path: str
    content: bytes | None


class _Link(Struct, frozen=True):
    """One run made what the other one read."""

    maker: int
    reader: int
    path: str
    made_as: str
    content: bytes


def trace(connection: Connection, starts: Sequence[int], direction: Direction, limits: Limits) -> Trace:
    """The runs from which runs (by their keys) come, or which come from them; themselves first, then the nearest."""
    until = time.monotonic() + limits.seconds
    search = _Search(connection, direction, limits)
    steps, links, unclaimed = dict.fromkeys(starts, 0), [], []
    pending, more = deque(starts), dict[int, None]()
    while pending:
        key = pending.popleft()
        if steps[key] == limits.depth or time.monotonic() > until:
            more[key] = None
            continue
        found, nobodys, is_whole = search.around(key)
        unclaimed += nobodys
        if not is_whole:
            more[key] = None
        for link in found:
            other = link.maker if direction == "upstream" else link.reader
            if other not in steps and len(steps) >= limits.runs:
                more[key] = None
                continue
            links.append(link)
            if other not in steps:
                steps[other] = steps[key] + 1
                pending.append(other)
    return _described(connection, list(steps), links, unclaimed, list(more))


def find_run_key(connection: Connection, project_key: int, run_id: str) -> int | None:
    """The database key of a run of the project."""
    return connection.scalar(select(run.c.id).where(run.c.project_id == project_key, run.c.uuid == run_id))


def find_file_runs(
    connection: Connection, project_key: int, content: bytes, direction: Direction, limits: Limits
) -> list[int]:
    """Where a trace of a file's content begins: with the run that made it, or with those that read it, latest first.

    Of several makers one of this project comes first, then the latest.
    """
    side = "output" if direction == "upstream" else "input"
    query = select(run_file.c.run_id).join(run, run.c.id == run_file.c.run_id).distinct()
    query = query.where(run_file.c.content_hash == content, run_file.c.direction == side)
    query = query.add_columns(run.c.happened_at, case((run.c.project_id == project_key, 0), else_=1).label("distance"))
    if limits.within is not None:
        query = query.where(run.c.project_id.in_(limits.within))
    query = query.order_by("distance", run.c.happened_at.desc(), run_file.c.run_id.desc())
    most = 1 if direction == "upstream" else limits.runs
    return [row.run_id for row in connection.execute(query.limit(most))]


class _Search:
    """One step in one direction."""

    def __init__(self, connection: Connection, direction: Direction, limits: Limits) -> None:
        self._connection = connection
        self._direction = direction
        self._within = limits.within

    def around(self, key: int) -> tuple[list[_Link], list[_File], bool]:
        """The links from a run on, the inputs of it that nobody made, and whether that is all."""
        if self._direction == "downstream":
            links, is_whole = self._read_from(key)
            return links, [], is_whole
        links, nobodys = [], []
        for file in self._files(_files().where(run_file.c.run_id == key, run_file.c.direction == "input")):
            check_cancelled()
            link = self._made(file)
            if link is None:
                nobodys.append(file)
            else:
                links.append(link)
        return links, nobodys, True

    def _read_from(self, key: int) -> tuple[list[_Link], bool]:
        """The inputs of others that this run made, and whether all who read the same were looked at."""
        links, is_whole = [], True
        contents = select(run_file.c.content_hash, run.c.happened_at).join(run, run.c.id == run_file.c.run_id)
        mine = contents.where(run_file.c.run_id == key, run_file.c.direction == "output").distinct()
        for content, began in self._connection.execute(mine).all():
            if content is None or content == EMPTY:
                continue
            query = _files().where(run_file.c.content_hash == content, run_file.c.direction == "input")
            query = self._visible(query).where(run_file.c.run_id != key, run.c.happened_at >= began)
            readers = list(self._files(query.order_by(run.c.happened_at, run.c.id).limit(MOST_READERS + 1)))
            is_whole = is_whole and len(readers) <= MOST_READERS
            made = map(self._made, readers[:MOST_READERS])
            links += [link for link in made if link is not None and link.maker == key]
        return links, is_whole

    def _made(self, file: _File) -> _Link | None:
        """Who made what a run read."""
        if file.content is None or file.content == EMPTY:
            return None
        query = (
            self._visible(_files())
            .where(run_file.c.content_hash == file.content, run_file.c.direction == "output")
            .where(run_file.c.run_id != file.run, run.c.happened_at <= file.began)
            .order_by(
                case((run.c.project_id == file.project, 0), else_=1),
                case((run_file.c.path == file.path, 0), else_=1),
                run.c.happened_at.desc(),
                run.c.id.desc(),
            )
            .limit(1)
        )
        found = next(self._files(query), None)
        return None if found is None else _Link(found.run, file.run, file.path, found.path, file.content)

    def _files(self, query: Select[Any]) -> Iterator[_File]:
        return (_File(*row) for row in self._connection.execute(query).all())

    def _visible(self, query: Select[Any]) -> Select[Any]:
        return query if self._within is None else query.where(run.c.project_id.in_(self._within))


def _files() -> Select[Any]:
    return select(
        run_file.c.run_id, run.c.project_id, run.c.happened_at, run_file.c.path, run_file.c.content_hash
    ).join(run, run.c.id == run_file.c.run_id)


def _described(
    connection: Connection, keys: list[int], links: list[_Link], unclaimed: list[_File], more: list[int]
) -> Trace:
    query = (
        select(run, project.c.uuid.label("project_uuid"), commit.c.hash.label("commit_hash"))
        .join(project, project.c.id == run.c.project_id)
        .join(commit, commit.c.id == run.c.commit_id)
        .where(run.c.id.in_(keys))
    )
    found = {row.id: _run(row) for row in connection.execute(query)}
    ids = {key: one.id for key, one in found.items()}
    return Trace(
        runs=[found[key] for key in keys],
        edges=[
            TraceEdge(
                maker=ids[one.maker],
                reader=ids[one.reader],
                path=one.path,
                made_as=one.made_as,
                content_hash=one.content.hex(),
            )
            for one in dict.fromkeys(links)
        ],
        unclaimed=[
            UnclaimedInput(run=ids[one.run], path=one.path, content_hash=one.content.hex() if one.content else None)
            for one in unclaimed
        ],
        more=[ids[key] for key in more],
    )


class _Named(Struct):
    description: str | None = None
    workload_file: str | None = None


def _run(row: Row[Any]) -> TraceRun:
    named = msgspec.json.decode(row.doc, type=_Named)
    return TraceRun(
        id=row.uuid,
        project_id=row.project_uuid,
        number=row.seq,
        commit=row.commit_hash.hex(),
        status=row.status,
        started_at=row.happened_at,
        title=named.description or named.workload_file,
    )
