"""Projects: making them, and who sees which."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.names import check_uuid, clean_name
from hub_server.domain.problems import not_found
from hub_server.domain.scopes import Caller
from hub_server.domain.types import ProjectInfo
from hub_server.services.events import PROJECTS, EventBus
from hub_server.services.identity import utc_now
from hub_server.store import projects
from hub_server.store.database import Database
from hub_server.store.projects import DotRow, ProjectRef


class Projects:
    """The hub's projects as callers see them."""

    def __init__(self, database: Database, events: EventBus, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def visible(self, caller: Caller, project_id: str) -> ProjectRef:
        """The project, if the caller sees it.

        Raises:
            Problem: not-found.
        """
        key = None
        if caller.sees(project_id):
            key = await self._database.read(lambda c: projects.project_key(c, project_id))
        if key is None:
            raise not_found("project", project_id)
        return ProjectRef(key, project_id)

    async def visible_dot(self, caller: Caller, dot_id: str) -> DotRow:
        """The dot, if the caller sees its project.

        Raises:
            Problem: not-found.
        """
        dot = await self._database.read(lambda c: projects.find_dot(c, dot_id))
        if dot is None or not caller.sees(dot.project.id):
            raise not_found("dot", dot_id)
        return dot

    async def get(self, project: ProjectRef) -> ProjectInfo:
        """One project."""
        found = await self._database.read(lambda c: projects.find_project(c, project.id))
        if found is None:
            raise not_found("project", project.id)
        return found

    async def list(self, caller: Caller, after: Position | None, limit: int) -> Slice[ProjectInfo]:
        """The projects that the caller sees, newest first."""
        return await self._database.read(
            lambda c: projects.list_projects(c, only=caller.project_id, after=after, limit=limit)
        )

    async def create(self, caller: Caller, name: str, dot_id: str | None) -> tuple[ProjectInfo, bool]:
        """Make a project, or find the one that the dot has; whether it is new. The name is numbered when taken.

        Raises:
            Problem: invalid, for the name or the dot's id.
        """
        new = projects.NewProject(
            id=str(uuid4()),
            name=clean_name(name),
            dot_id=None if dot_id is None else check_uuid(dot_id, "/dot_id"),
            created_by=caller.account_id,
            created_at=self._clock(),
        )
        made = await self._database.write(lambda c: projects.ensure_project(c, new))
        created = made.id == new.id
        if created:
            self._events.publish(PROJECTS, "project.created", made.id)
        return made, created
