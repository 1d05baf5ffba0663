"""What the original's API asks about projects and their workspaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, func, insert, select

from dotscience.record import RunRecord, decode_json
from hub_server.domain.types import CommitInfo
from hub_server.store.projects import DotRow, ProjectRef
from hub_server.store.schema import commit, dot, model, model_version, project, run


class NamedProject(Struct, frozen=True):
    """A project, its name, and its workspace's dot, if it has one yet."""

    ref: ProjectRef
    name: str
    dot: DotRow | None


class ModelRow(Struct, frozen=True):
    """One version of a model, and the run that published it."""

    project_id: str
    key: int
    name: str
    number: int
    run_id: str
    doc: str


def projects_by_prefix(connection: Connection, prefix: str) -> list[NamedProject]:
    """The projects whose id begins so."""
    return _projects(connection, _PROJECTS.where(project.c.uuid.startswith(prefix, autoescape=True)))


def projects_by_name(connection: Connection, name: str) -> list[NamedProject]:
    """The projects of this name."""
    return _projects(connection, _PROJECTS.where(project.c.name == name))


def ensure_dot(connection: Connection, ref: ProjectRef, new_id: str, now: datetime) -> DotRow:
    """The dot of a project's workspace; made, with `new_id`, where it has none."""
    found = dot_of(connection, ref)
    if found is None:
        connection.execute(insert(dot).values(id=new_id, project_id=ref.key, created_at=now))
        found = dot_of(connection, ref)
    assert found is not None  # noqa: S101 - for the type checker: it was just made
    return found


def dot_of(connection: Connection, ref: ProjectRef) -> DotRow | None:
    """The dot of a project's workspace, if it has one."""
    return _projects(connection, _PROJECTS.where(project.c.id == ref.key))[0].dot


def count_commits(connection: Connection, dot_ids: Sequence[str]) -> dict[str, int]:
    """How many commits dots have; those without any are left out."""
    query = (
        select(commit.c.dot_id, func.count().label("commits"))
        .where(commit.c.dot_id.in_(dot_ids))
        .group_by(commit.c.dot_id)
    )
    return {row.dot_id: row.commits for row in connection.execute(query)}


def read_log(connection: Connection, dot_id: str, branch: str, limit: int) -> list[tuple[CommitInfo, list[RunRecord]]]:
    """The last commits of a branch, oldest first, each with the runs that it brought and that are not in the trash."""
    mine = (commit.c.dot_id == dot_id) & (commit.c.branch == branch)
    rows = connection.execute(
        select(commit.c.id, commit.c.doc).where(mine).order_by(commit.c.id.desc()).limit(limit)
    ).all()
    runs: dict[int, list[RunRecord]] = defaultdict(list)
    if rows:
        kept = (commit.c.id == run.c.commit_id) & run.c.deleted_at.is_(None)
        brought = select(run.c.commit_id, run.c.doc).join(commit, kept)
        for row in connection.execute(brought.where(mine, commit.c.id >= rows[-1].id).order_by(run.c.seq)):
            runs[row.commit_id].append(decode_json(row.doc, RunRecord))
    return [(msgspec.json.decode(row.doc, type=CommitInfo), runs[row.id]) for row in reversed(rows)]


def projects_with_models(connection: Connection) -> list[tuple[int, str]]:
    """The key and id of each project that has models."""
    query = select(project.c.id, project.c.uuid).where(project.c.id.in_(select(model.c.project_id)))
    return [(row.id, row.uuid) for row in connection.execute(query)]


def newest_models(connection: Connection, projects: Sequence[int], limit: int) -> list[ModelRow]:
    """The versions of models that came last in these projects, named by their keys, newest first."""
    query = (
        _MODELS.where(project.c.id.in_(projects)).order_by(run.c.id.desc(), model_version.c.number.desc()).limit(limit)
    )
    return [_model(row) for row in connection.execute(query)]


def find_model(connection: Connection, key: int, number: int) -> ModelRow | None:
    """One version of a model."""
    row = connection.execute(_MODELS.where(model.c.id == key, model_version.c.number == number)).first()
    return None if row is None else _model(row)


_PROJECTS = select(project.c.id.label("key"), project.c.uuid, project.c.name, dot.c.id, dot.c.gc_epoch).outerjoin(
    dot, dot.c.project_id == project.c.id
)
_MODELS = (
    select(
        model.c.id, model.c.name, model_version.c.number, model_version.c.doc, run.c.uuid, project.c.uuid.label("of")
    )
    .select_from(model_version)
    .join(model, model.c.id == model_version.c.model_id)
    .join(run, (run.c.id == model_version.c.run_id) & run.c.deleted_at.is_(None))
    .join(project, project.c.id == model.c.project_id)
)


def _projects(connection: Connection, query: Select[Any]) -> list[NamedProject]:
    return [_named(row) for row in connection.execute(query.order_by(project.c.id))]


def _named(row: Any) -> NamedProject:
    ref = ProjectRef(row.key, row.uuid)
    return NamedProject(
        ref, row.name, None if row.id is None else DotRow(id=row.id, project=ref, gc_epoch=row.gc_epoch)
    )


def _model(row: Any) -> ModelRow:
    return ModelRow(row.of, row.id, row.name, row.number, row.uuid, row.doc)
