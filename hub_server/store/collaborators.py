"""Who works on which project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, func, insert, select, true, update

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.scopes import Caller, ProjectRole
from hub_server.domain.types import Collaborator
from hub_server.store.counting import capped_count
from hub_server.store.schema import account, collaborator, project


class Access(Struct, frozen=True, kw_only=True):
    """A project that is not in the trash as one account finds it: its database key, and the account's role in it."""

    key: int
    role: str | None
    is_public: bool


# Made once, as most requests run it: to make a statement costs SQLAlchemy more than to run it.

_ACCESS = (
    select(project.c.id, project.c.is_public, collaborator.c.role)
    .outerjoin(
        collaborator,
        (collaborator.c.project_id == project.c.id) & (collaborator.c.account_id == bindparam("account")),
    )
    .where(project.c.uuid == bindparam("uuid"), project.c.deleted_at.is_(None))
)


def find_access(connection: Connection, project_id: str, account_id: str) -> Access | None:
    """How an account finds a project; None where there is no such project, or it is in the trash."""
    row = connection.execute(_ACCESS, {"uuid": project_id, "account": account_id}).first()
    return None if row is None else Access(key=row.id, role=row.role, is_public=row.is_public)


def seen_by(caller: Caller) -> ColumnElement[bool]:
    """Of the projects those that a caller sees."""
    bound = true() if caller.project_id is None else project.c.uuid == caller.project_id
    if caller.is_admin:
        return bound
    return bound & (project.c.is_public | _works_on(caller.account_id))


def seen_projects(caller: Caller) -> Select[tuple[int]]:
    """The keys of the projects that a caller sees, without those in the trash."""
    return select(project.c.id).where(project.c.deleted_at.is_(None), seen_by(caller))


def owned_by(caller: Caller) -> ColumnElement[bool]:
    """Of the projects those that a caller owns."""
    bound = true() if caller.project_id is None else project.c.uuid == caller.project_id
    return bound if caller.is_admin else bound & _works_on(caller.account_id, "owner")


def _works_on(account_id: str, role: str | None = None) -> ColumnElement[bool]:
    """Whether an account works on a project at all, or in one role."""
    mine = collaborator.alias()
    found = (mine.c.project_id == project.c.id) & (mine.c.account_id == account_id)
    return exists().where(found if role is None else found & (mine.c.role == role)).correlate(project)


def list_collaborators(
    connection: Connection, project_key: int, after: Position | None, limit: int
) -> Slice[Collaborator]:
    """The people who work on a project, by name."""
    query = _people(project_key).order_by(account.c.name).limit(limit + 1)
    if after is not None:
        query = query.where(account.c.name > after[0])
    rows = connection.execute(query).all()
    count = capped_count(connection, select(collaborator.c.account_id).where(collaborator.c.project_id == project_key))
    return slice_of(rows, limit, _info, lambda row: [row.name], count)


def find_collaborator(connection: Connection, project_key: int, name: str) -> Collaborator | None:
    """Somebody who works on a project."""
    row = connection.execute(_people(project_key).where(account.c.name == name)).first()
    return None if row is None else _info(row)


def put_collaborator(
    connection: Connection, project_key: int, account_id: str, role: ProjectRole, now: datetime
) -> None:
    """Let somebody work on a project, or give them another role in it."""
    mine = _one(project_key, account_id)
    if connection.execute(update(collaborator).where(mine).values(role=role)).rowcount == 0:
        connection.execute(
            insert(collaborator).values(project_id=project_key, account_id=account_id, role=role, added_at=now)
        )


def remove_collaborator(connection: Connection, project_key: int, account_id: str) -> None:
    """Let somebody work on a project no longer."""
    connection.execute(delete(collaborator).where(_one(project_key, account_id)))


def count_other_owners(connection: Connection, project_key: int, account_id: str) -> int:
    """How many others own a project."""
    others = (collaborator.c.project_id == project_key) & (collaborator.c.account_id != account_id)
    return connection.execute(select(func.count()).where(others, collaborator.c.role == "owner")).scalar_one()


def _one(project_key: int, account_id: str) -> ColumnElement[bool]:
    return (collaborator.c.project_id == project_key) & (collaborator.c.account_id == account_id)


def _people(project_key: int) -> Any:
    return (
        select(account.c.id, account.c.name, collaborator.c.role, collaborator.c.added_at)
        .join(account, account.c.id == collaborator.c.account_id)
        .where(collaborator.c.project_id == project_key)
    )


def _info(row: Any) -> Collaborator:
    return Collaborator(id=row.id, name=row.name, role=row.role, added_at=row.added_at)
