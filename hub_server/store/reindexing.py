"""Making the rows of runs anew: what was read from their records goes in, and all that is derived from it again.

Runs keep their keys and numbers where they have any. What nobody derives from records, such as when a run arrived, is
left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from dotscience.record import RunRecord
from hub_server.store import models, objects, runs
from hub_server.store.projects import ProjectRef
from hub_server.store.schema import commit, model, model_version, project, run, run_edit, run_file, run_key, run_value

_COMMITS = (
    select(commit.c.id, commit.c.hash, commit.c.pushed_at)
    .where(commit.c.dot_id == bindparam("dot"), commit.c.id > bindparam("after"))
    .order_by(commit.c.id)
    .limit(bindparam("limit"))
)
_RUNS = (
    select(
        run.c.id,
        run.c.uuid,
        run.c.seq,
        run.c.happened_at,
        run.c.ingested_at,
        run.c.deleted_at,
        run.c.doc,
        run_edit.c.tags,
    )
    .outerjoin(run_edit, (run_edit.c.project_id == run.c.project_id) & (run_edit.c.run_uuid == run.c.uuid))
    .where(run.c.project_id == bindparam("project"), run.c.seq > bindparam("after"))
    .order_by(run.c.seq)
    .limit(bindparam("limit"))
)
_STORED = select(run.c.id, run.c.uuid, run.c.commit_id, run.c.record_hash).where(
    run.c.project_id == bindparam("project"), run.c.uuid.in_(bindparam("ids", expanding=True))
)
_SETTLE = update(run).where(run.c.id == bindparam("key"))
_PROJECTS = select(project.c.id, project.c.uuid).order_by(project.c.id)

_Stored = Row[Any, Any, Any, Any]


class CommitRow(Struct, frozen=True):
    """A commit that was pushed: its key, its hash, and when it came."""

    key: int
    hash: bytes
    pushed_at: datetime


class StoredRun(Struct, frozen=True, kw_only=True):
    """A run as it is stored, with what people have tagged it; `number` is its place among those of its project."""

    key: int
    id: str
    number: int
    happened_at: datetime
    ingested_at: datetime
    is_trashed: bool
    tags: list[str]
    doc: str


def count_work(connection: Connection) -> tuple[int, int]:
    """How many commits there are, and how many runs they list."""
    row = connection.execute(select(func.count(), func.coalesce(func.sum(commit.c.runs), 0)).select_from(commit)).one()
    return row[0], row[1]


def all_projects(connection: Connection) -> list[ProjectRef]:
    """Every project."""
    return [ProjectRef(row.id, row.uuid) for row in connection.execute(_PROJECTS)]


def commit_page(connection: Connection, dot_id: str, after: int, limit: int) -> list[CommitRow]:
    """The next commits of a dot, in the order in which they came."""
    rows = connection.execute(_COMMITS, {"dot": dot_id, "after": after, "limit": limit})
    return [CommitRow(row.id, row.hash, row.pushed_at) for row in rows]


def run_page(connection: Connection, project_key: int, after: int, limit: int) -> list[StoredRun]:
    """The next runs of a project, in the order of their numbers."""
    rows = connection.execute(_RUNS, {"project": project_key, "after": after, "limit": limit})
    return [
        StoredRun(
            key=row.id,
            id=row.uuid,
            number=row.seq,
            happened_at=row.happened_at,
            ingested_at=row.ingested_at,
            is_trashed=row.deleted_at is not None,
            tags=msgspec.json.decode(row.tags or "[]"),
            doc=row.doc,
        )
        for row in rows
    ]


def settle_runs(connection: Connection, place: runs.Ingest, found: Sequence[runs.NewRun]) -> int:
    """Make the rows of the runs of a commit say what their records do; how many rows were missing.

    Commits come in the order in which they were pushed: as at a push, a run keeps its first content, and where this
    one differs it gets a warning.
    """
    stored = {row.uuid: row for row in _stored(connection, place.project_key, found)}
    kept = {run_id: row.record_hash for run_id, row in stored.items() if row.commit_id < place.commit_key}
    mine, differing = runs.sort_out(kept, found)
    missing = [one for one in mine if one.record.run_id not in stored]
    if missing:
        runs.insert_runs(connection, place, missing)
    for one in mine:
        if (row := stored.get(one.record.run_id)) is not None:
            connection.execute(_SETTLE, {"key": row.id, **runs.columns_of(one, place.commit_key)})
    for run_id in differing:
        runs.warn(connection, place, run_id)
    return len(missing)


def _stored(
    connection: Connection, project_key: int, found: Iterable[runs.NewRun]
) -> Iterator[Row[Any, Any, Any, Any]]:
    for some in objects.batches(one.record.run_id for one in found):
        yield from connection.execute(_STORED, {"project": project_key, "ids": some})


def forget_derived(connection: Connection) -> None:
    """Delete all that is derived from the runs of all projects; names keep their keys until `forget_unused`."""
    for table in (run_value, run_file, model_version):
        connection.execute(delete(table))
    connection.execute(update(run_key).values(runs=0))
    connection.execute(update(model).values(versions=0))
    connection.execute(update(project).values(runs=0, last_run_at=None))


def derive(connection: Connection, project_key: int, page: Sequence[tuple[StoredRun, RunRecord]]) -> None:
    """Store what is derived from the next runs of a project; of those in the trash these are their models alone."""
    shown = [(one, record) for one, record in page if not one.is_trashed]
    runs.index_runs(connection, project_key, [(one.key, record) for one, record in shown])
    for one, _ in shown:
        runs.add_tags(connection, project_key, one.key, one.tags)
    for ingested_at, group in groupby(page, key=lambda pair: pair[0].ingested_at):
        models.add_versions(connection, project_key, [(one.key, record) for one, record in group], ingested_at)
    runs.count_runs(connection, project_key, len(shown), max(one.happened_at for one, _ in page))


def forget_unused(connection: Connection) -> None:
    """Delete the names that no run uses."""
    connection.execute(delete(run_key).where(run_key.c.runs == 0))
    connection.execute(delete(model).where(model.c.versions == 0))
