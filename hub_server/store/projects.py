"""Projects and their dots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, Select, insert, select

from hub_server.domain.names import number_name
from hub_server.domain.types import ProjectInfo
from hub_server.store.schema import branch, dot, project

MAIN_BRANCH = "main"


class DotRow(Struct, frozen=True, kw_only=True):
    """A dot and the project that it belongs to; `project_key` is the project's key in the database."""

    id: str
    project_key: int
    project_id: str
    gc_epoch: int


class NewProject(Struct, frozen=True, kw_only=True):
    """A project to be stored; the name is numbered when taken."""

    id: str
    name: str
    dot_id: str | None
    created_by: str
    created_at: datetime


def project_key(connection: Connection, project_id: str) -> int | None:
    """The database's key of a project."""
    return connection.scalar(select(project.c.id).where(project.c.uuid == project_id))


def find_project(connection: Connection, project_id: str) -> ProjectInfo | None:
    """One project by its id."""
    row = connection.execute(_projects().where(project.c.uuid == project_id)).first()
    return None if row is None else _info(row)


def find_project_of_dot(connection: Connection, dot_id: str) -> ProjectInfo | None:
    """The project that a dot belongs to."""
    row = connection.execute(_projects().where(dot.c.id == dot_id)).first()
    return None if row is None else _info(row)


def list_projects(
    connection: Connection, *, only: str | None, before: int | None, limit: int
) -> list[tuple[int, ProjectInfo]]:
    """Projects, newest first, each with its key; `only` restricts to one id, `before` to keys below it."""
    query = _projects().order_by(project.c.id.desc()).limit(limit)
    if only is not None:
        query = query.where(project.c.uuid == only)
    if before is not None:
        query = query.where(project.c.id < before)
    return [(row.key, _info(row)) for row in connection.execute(query)]


def add_project(connection: Connection, new: NewProject) -> ProjectInfo:
    """Store a project, and its dot when it has one."""
    pattern = new.name[:190].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    taken = set(connection.scalars(select(project.c.name).where(project.c.name.like(pattern, escape="\\"))))
    key = connection.execute(
        insert(project)
        .values(
            uuid=new.id, name=number_name(new.name, taken), created_at=new.created_at, created_by=new.created_by
        )
        .returning(project.c.id)
    ).scalar_one()
    if new.dot_id is not None:
        connection.execute(insert(dot).values(id=new.dot_id, project_id=key, created_at=new.created_at))
    made = find_project(connection, new.id)
    if made is None:
        raise LookupError(f"project {new.id} vanished inside its own transaction")
    return made


def find_dot(connection: Connection, dot_id: str) -> DotRow | None:
    """A dot by its id."""
    row = connection.execute(
        select(dot.c.id, dot.c.gc_epoch, project.c.id.label("key"), project.c.uuid)
        .join(project, project.c.id == dot.c.project_id)
        .where(dot.c.id == dot_id)
    ).first()
    if row is None:
        return None
    return DotRow(id=row.id, project_key=row.key, project_id=row.uuid, gc_epoch=row.gc_epoch)


def _projects() -> Select[Any]:
    head = (
        select(branch.c.head)
        .where(branch.c.dot_id == dot.c.id, branch.c.name == MAIN_BRANCH)
        .scalar_subquery()
        .label("head")
    )
    return select(
        project.c.id.label("key"),
        project.c.uuid,
        project.c.name,
        project.c.created_at,
        project.c.runs,
        project.c.last_run_at,
        dot.c.id.label("dot_id"),
        head,
    ).outerjoin(dot, dot.c.project_id == project.c.id)


def _info(row: Row[Any]) -> ProjectInfo:
    return ProjectInfo(
        id=row.uuid,
        name=row.name,
        dot_id=row.dot_id,
        created_at=row.created_at,
        runs=row.runs,
        last_run_at=row.last_run_at,
        head=None if row.head is None else row.head.hex(),
    )
