"""Who works on a project, and as what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.problems import invalid, not_found
from hub_server.domain.scopes import ProjectRole
from hub_server.domain.types import Collaborator, Person
from hub_server.store import collaborators, people
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef


class Collaborators:
    """The people of projects. A project always has an owner."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def list(self, project: ProjectRef, after: Position | None, limit: int) -> Slice[Collaborator]:
        """The people who work on a project, by name."""
        return await self._database.read(lambda c: collaborators.list_collaborators(c, project.key, after, limit))

    async def put(self, project: ProjectRef, name: str, role: ProjectRole) -> Collaborator:
        """Let somebody work on a project, or give them another role in it. Idempotent.

        Raises:
            Problem: not-found, for the account; invalid, where no owner would be left.
        """
        found = await self._database.write(lambda c: _put(c, project.key, name, role, self._clock()))
        if found is None:
            raise not_found("collaborator", name)
        return found

    async def remove(self, project: ProjectRef, name: str) -> None:
        """Let somebody work on a project no longer.

        Raises:
            Problem: not-found; invalid, where no owner would be left.
        """
        if not await self._database.write(lambda c: _remove(c, project.key, name)):
            raise not_found("collaborator", name)


def _put(connection: Connection, project_key: int, name: str, role: ProjectRole, now: datetime) -> Collaborator | None:
    person = people.find_person(connection, name)
    if person is None:
        return None
    if role != "owner":
        _check_owner_left(connection, project_key, person)
    collaborators.put_collaborator(connection, project_key, person.id, role, now)
    return collaborators.find_collaborator(connection, project_key, name)


def _remove(connection: Connection, project_key: int, name: str) -> bool:
    person = people.find_person(connection, name)
    if person is None or collaborators.find_collaborator(connection, project_key, name) is None:
        return False
    _check_owner_left(connection, project_key, person)
    collaborators.remove_collaborator(connection, project_key, person.id)
    return True


def _check_owner_left(connection: Connection, project_key: int, person: Person) -> None:
    present = collaborators.find_collaborator(connection, project_key, person.name)
    is_owner = present is not None and present.role == "owner"
    if is_owner and not collaborators.count_other_owners(connection, project_key, person.id):
        raise invalid("/role", f"{person.name!r} is the only owner; make somebody else one first")
