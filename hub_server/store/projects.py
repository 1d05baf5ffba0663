"""Projects and their dots."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, insert, literal, select, update

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.names import number_name
from hub_server.domain.scopes import Caller
from hub_server.domain.types import ProjectInfo
from hub_server.store.collaborators import owned_by, put_collaborator, seen_by
from hub_server.store.counting import capped_count
from hub_server.store.schema import branch, collaborator, dot, project

MAIN_BRANCH = "main"


class ProjectRef(Struct, frozen=True):
    """A project that exists: its key in the database and its id."""

    key: int
    id: str


class DotRow(Struct, frozen=True, kw_only=True):
    """A dot and the project that it belongs to."""

    id: str
    project: ProjectRef
    gc_epoch: int


class GcState(Struct, frozen=True):
    """How often objects of a project were deleted, and how often unused ones were looked for."""

    epoch: int
    cycle: int


class NewProject(Struct, frozen=True, kw_only=True):
    """A project to be stored; the name is numbered when taken."""

    id: str
    name: str
    dot_id: str | None
    created_by: str
    created_at: datetime


# Made once, as most requests run one of them: to make a statement costs SQLAlchemy more than to run it.

_DOTS = select(dot.c.id, dot.c.gc_epoch, project.c.id.label("key"), project.c.uuid).join(
    project, project.c.id == dot.c.project_id
)
_FIND_DOT = _DOTS.where(dot.c.id == bindparam("id"))
_GC_STATE = select(dot.c.gc_epoch, dot.c.gc_cycle).where(dot.c.id == bindparam("id"))


def find_project(connection: Connection, caller: Caller, project_id: str) -> ProjectInfo | None:
    """One project by its id, in the trash or not."""
    return _find(connection, caller, project.c.uuid == project_id)


def list_projects(
    connection: Connection, caller: Caller, *, in_trash: bool, after: Position | None, limit: int
) -> Slice[ProjectInfo]:
    """The projects that a caller sees, newest first; or those of the trash that they own."""
    trashed = project.c.deleted_at.is_not(None)
    mine = trashed & owned_by(caller) if in_trash else ~trashed & seen_by(caller)
    query = _projects(caller).where(mine).order_by(project.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(project.c.id < after[0])
    rows = connection.execute(query).all()
    count = capped_count(connection, select(project.c.id).where(mine))
    return slice_of(rows, limit, _info, lambda row: [row.key], count)


def find_project_of_dot(connection: Connection, dot_id: str) -> str | None:
    """The id of the project that a dot belongs to, in the trash or not."""
    query = select(project.c.uuid).join(dot, dot.c.project_id == project.c.id).where(dot.c.id == dot_id)
    return connection.scalar(query)


def add_project(connection: Connection, new: NewProject) -> int:
    """Store a project with its dot, when it has one, and with its owner; its database key."""
    key: int = connection.execute(
        insert(project)
        .values(
            uuid=new.id,
            name=number_name(new.name, _NamesTaken(connection)),
            created_at=new.created_at,
            created_by=new.created_by,
        )
        .returning(project.c.id)
    ).scalar_one()
    if new.dot_id is not None:
        connection.execute(insert(dot).values(id=new.dot_id, project_id=key, created_at=new.created_at))
    put_collaborator(connection, key, new.created_by, "owner", new.created_at)
    return key


def change_project(connection: Connection, key: int, *, name: str | None, is_public: bool | None) -> bool:
    """Rename a project, or open it to the public or close it; False where another one has the name."""
    if name is not None:
        others = select(project.c.id).where(project.c.name == name, project.c.id != key)
        if connection.scalar(others) is not None:
            return False
        connection.execute(update(project).where(project.c.id == key).values(name=name))
    if is_public is not None:
        connection.execute(update(project).where(project.c.id == key).values(is_public=is_public))
    return True


def trash_project(connection: Connection, key: int, now: datetime) -> None:
    """Move a project to the trash."""
    connection.execute(update(project).where(project.c.id == key).values(deleted_at=now))


def find_in_trash(connection: Connection, caller: Caller, project_id: str) -> int | None:
    """The database key of a project in the trash that the caller owns."""
    mine = (project.c.uuid == project_id) & project.c.deleted_at.is_not(None) & owned_by(caller)
    return connection.scalar(select(project.c.id).where(mine))


def restore_project(connection: Connection, caller: Caller, project_id: str) -> bool:
    """Move a project that the caller owns back from the trash; False where it is not there."""
    key = find_in_trash(connection, caller, project_id)
    if key is None:
        return False
    connection.execute(update(project).where(project.c.id == key).values(deleted_at=None))
    return True


def gc_state(connection: Connection, dot_id: str) -> GcState:
    """How far garbage collection has come in a dot's project."""
    row = connection.execute(_GC_STATE, {"id": dot_id}).one()
    return GcState(row.gc_epoch, row.gc_cycle)


def list_dots(connection: Connection) -> list[DotRow]:
    """Every dot, in the order of its id."""
    return [_dot(row) for row in connection.execute(_DOTS.order_by(dot.c.id))]


def find_dot(connection: Connection, dot_id: str) -> DotRow | None:
    """A dot by its id."""
    row = connection.execute(_FIND_DOT, {"id": dot_id}).first()
    return None if row is None else _dot(row)


def _dot(row: Any) -> DotRow:
    return DotRow(id=row.id, project=ProjectRef(row.key, row.uuid), gc_epoch=row.gc_epoch)


class _NamesTaken(Container[str]):
    """The names of all projects, asked one by one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __contains__(self, name: object) -> bool:
        return self._connection.scalar(select(project.c.id).where(project.c.name == name)) is not None


def _find(connection: Connection, caller: Caller, condition: ColumnElement[bool]) -> ProjectInfo | None:
    row = connection.execute(_projects(caller).where(condition)).first()
    return None if row is None else _info(row)


def _projects(caller: Caller) -> Select[Any]:
    mine = (collaborator.c.project_id == project.c.id) & (collaborator.c.account_id == caller.account_id)
    role = literal("owner") if caller.is_admin else collaborator.c.role
    head = (
        select(branch.c.head)
        .where(branch.c.dot_id == dot.c.id, branch.c.name == MAIN_BRANCH)
        .scalar_subquery()
        .label("head")
    )
    return (
        select(
            project.c.id.label("key"),
            project.c.uuid,
            project.c.name,
            project.c.created_at,
            project.c.runs,
            project.c.last_run_at,
            project.c.is_public,
            role.label("role"),
            dot.c.id.label("dot_id"),
            head,
        )
        .outerjoin_from(project, dot, dot.c.project_id == project.c.id)
        .outerjoin(collaborator, mine)
    )


def _info(row: Row[Any]) -> ProjectInfo:
    return ProjectInfo(
        id=row.uuid,
        name=row.name,
        dot_id=row.dot_id,
        created_at=row.created_at,
        runs=row.runs,
        last_run_at=row.last_run_at,
        head=None if row.head is None else row.head.hex(),
        is_public=row.is_public,
        role=row.role,
    )
