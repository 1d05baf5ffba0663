"""Projects: making them, and who may do what in which."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.names import check_uuid, clean_name
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.scopes import ACCESS_LEVELS, BEYOND_PROJECTS, Caller, project_scopes
from hub_server.domain.types import ProjectInfo
from hub_server.services.events import PROJECTS, EventBus, project_topic
from hub_server.services.identity import sign_in_required, utc_now
from hub_server.store import collaborators, projects
from hub_server.store.collaborators import Access
from hub_server.store.database import Database
from hub_server.store.projects import DotRow, ProjectRef


class Projects:
    """The hub's projects as callers see them."""

    def __init__(self, database: Database, events: EventBus, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def enter(self, caller: Caller, project_id: str, scope: str) -> ProjectRef:
        """The project, for a caller who may do there what `scope` stands for.

        Raises:
            Problem: not-found where the caller does not see it (unauthenticated, where nobody has signed in);
                forbidden where the caller's role in it does not allow this.
        """
        access = await self._database.read(lambda c: _see(c, caller, project_id))
        if access is None:
            raise sign_in_required() if caller.is_anonymous else not_found("project", project_id)
        _check(caller, access, scope)
        return ProjectRef(access.key, project_id)

    async def enter_dot(self, caller: Caller, dot_id: str, scope: str) -> DotRow:
        """The dot, for a caller who may do in its project what `scope` stands for.

        Raises:
            Problem: as `enter` does.
        """
        found = await self._database.read(lambda c: _see_dot(c, caller, dot_id))
        if found is None:
            raise sign_in_required() if caller.is_anonymous else not_found("dot", dot_id)
        dot, access = found
        _check(caller, access, scope)
        return dot

    async def get(self, caller: Caller, project: ProjectRef) -> ProjectInfo:
        """One project."""
        found = await self._database.read(lambda c: projects.find_project(c, caller, project.id))
        if found is None:
            raise not_found("project", project.id)
        return found

    async def list(self, caller: Caller, *, in_trash: bool, after: Position | None, limit: int) -> Slice[ProjectInfo]:
        """The projects that the caller sees, newest first; or those in the trash that they own."""
        return await self._database.read(
            lambda c: projects.list_projects(c, caller, in_trash=in_trash, after=after, limit=limit)
        )

    async def create(self, caller: Caller, name: str, dot_id: str | None) -> tuple[ProjectInfo, bool]:
        """Make a project, or find the one that the dot has; whether it is new. The name is numbered when taken.

        Raises:
            Problem: invalid, for the name or the dot's id; also where the dot's project is none that the caller sees.
        """
        new = projects.NewProject(
            id=str(uuid4()),
            name=clean_name(name),
            dot_id=None if dot_id is None else check_uuid(dot_id, "/dot_id"),
            created_by=caller.account_id,
            created_at=self._clock(),
        )
        made = await self._database.write(lambda c: _ensure(c, caller, new))
        if made is None:
            raise invalid(
                "/dot_id",
                "this workspace belongs to a project that you cannot see, or that is in the trash; its owner can let "
                "you in, or bring it back",
            )
        created = made.id == new.id
        if created:
            self._events.publish(PROJECTS, "project.created", made.id)
        return made, created

    async def change(
        self, caller: Caller, project: ProjectRef, *, name: str | None, is_public: bool | None
    ) -> ProjectInfo:
        """Rename a project, or open it to the public or close it; what is None stays as it is.

        Raises:
            Problem: invalid, for a name that is not acceptable or taken.
        """
        cleaned = None if name is None else clean_name(name)
        changed = await self._database.write(
            lambda c: projects.change_project(c, project.key, name=cleaned, is_public=is_public)
        )
        if not changed:
            raise invalid("/name", f"another project has the name {cleaned!r}; choose another one")
        self._changed(project.id)
        return await self.get(caller, project)

    async def trash(self, project: ProjectRef) -> None:
        """Move a project to the trash: nobody sees it there, nothing of it is lost, and `restore` brings it back."""
        await self._database.write(lambda c: projects.trash_project(c, project.key, self._clock()))
        self._changed(project.id)

    async def has_in_trash(self, caller: Caller, project_id: str) -> bool:
        """Whether a project is in the trash that the caller owns."""
        return await self._database.read(lambda c: projects.find_in_trash(c, caller, project_id)) is not None

    async def restore(self, caller: Caller, project_id: str) -> ProjectInfo:
        """Bring a project back from the trash.

        Raises:
            Problem: not-found, also for a project that the caller does not own.
        """
        if not await self._database.write(lambda c: projects.restore_project(c, caller, project_id)):
            raise Problem("not-found", f"there is no project {project_id!r} of yours in the trash")
        self._changed(project_id)
        found = await self._database.read(lambda c: projects.find_project(c, caller, project_id))
        if found is None:
            raise not_found("project", project_id)
        return found

    def _changed(self, project_id: str) -> None:
        self._events.publish(PROJECTS, "project.changed", project_id)
        self._events.publish(project_topic(project_id), "project.changed", project_id)


def _ensure(connection: Connection, caller: Caller, new: projects.NewProject) -> ProjectInfo | None:
    """The project of the dot, or a new one; None where the dot's project is not for this caller."""
    known = None if new.dot_id is None else projects.find_project_of_dot(connection, new.dot_id)
    if known is None:
        projects.add_project(connection, new)
        return projects.find_project(connection, caller, new.id)
    if _see(connection, caller, known) is None:
        return None
    return projects.find_project(connection, caller, known)


def _see(connection: Connection, caller: Caller, project_id: str) -> Access | None:
    """How the caller finds a project; None where it does not exist for them."""
    if not caller.sees(project_id):
        return None
    found = collaborators.find_access(connection, project_id, caller.account_id)
    return None if found is None or not _scopes(caller, found) else found


def _see_dot(connection: Connection, caller: Caller, dot_id: str) -> tuple[DotRow, Access] | None:
    """A dot, and how the caller finds its project; None where either does not exist for them."""
    dot = projects.find_dot(connection, dot_id)
    if dot is None:
        return None
    access = _see(connection, caller, dot.project.id)
    return None if access is None else (dot, access)


def _scopes(caller: Caller, access: Access) -> frozenset[str]:
    return project_scopes(caller, access.role, is_public=access.is_public)


def _check(caller: Caller, access: Access, scope: str) -> None:
    if scope in ACCESS_LEVELS | BEYOND_PROJECTS or scope in _scopes(caller, access):
        return
    if caller.is_anonymous:
        raise sign_in_required()
    role = access.role or "visitor"
    raise Problem("forbidden", f"you are a {role} of this project, which does not include {scope}; ask its owner")
