"""`/v2/version` and `/v2/projects`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from msgspec import Struct

from hub_server.domain.scopes import ANONYMOUS
from hub_server.domain.types import ProjectInfo
from hub_server.services.services import Services
from hub_server.services.volumes import workspace_name
from hub_server.web.operation import Call, Nothing, Reply, operation


class NewProject(Struct, frozen=True):
    """The project to make."""

    name: str


class LegacyProject(Struct, frozen=True):
    """A project as the original's clients know it."""

    id: str
    name: str
    dot: str


@operation("GET", "/v2/version", scope=ANONYMOUS, response=dict[str, Any])
async def get_version(hub: Services, _call: Call[Nothing, None]) -> dict[str, Any]:
    """The hub's version."""
    return {"version": hub.version}


@operation("GET", "/v2/projects", scope="projects:read", response=list[LegacyProject])
async def list_projects(hub: Services, call: Call[Nothing, None]) -> list[LegacyProject]:
    """All projects that the caller sees."""
    return [_project(one) for one in await hub.volumes.projects(call.caller)]


@operation(
    "POST",
    "/v2/projects",
    scope="projects:write",
    body=NewProject,
    response=LegacyProject,
    answers=(201,),
    problems=("path-taken",),
    noted=lambda call: call.body.name,
)
async def create_project(hub: Services, call: Call[Nothing, NewProject]) -> Reply:
    """Make a project with a workspace; the name is numbered when one that the caller sees has it."""
    await hub.volumes.check_name(call.caller, call.body.name)
    made, _ = await hub.projects.create(call.caller, call.body.name, str(uuid4()))
    return Reply(body=_project(made), status=201, about=made.id)


def _project(info: ProjectInfo) -> LegacyProject:
    return LegacyProject(info.id, info.name, workspace_name(info.id))
