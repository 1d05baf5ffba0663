"""Projects."""

from __future__ import annotations

from msgspec import Struct

from hub_server.domain.types import Page, ProjectInfo
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery


class NewProject(Struct, frozen=True, forbid_unknown_fields=True):
    """The project to make; `dot_id` is the id of its workspace, when there is one already."""

    name: str
    dot_id: str | None = None


@operation("GET", "/api/v1/projects", scope="projects:read", query=PageQuery, response=Page[ProjectInfo])
async def list_projects(hub: Services, call: Call[PageQuery, None]) -> Page[ProjectInfo]:
    """The projects that the caller sees, newest first."""
    cursors = Cursors(hub, f"projects:{call.caller.account_id}")
    found = await hub.projects.list(call.caller, cursors.read(call.query.cursor), call.query.limit)
    return cursors.page(found)


@operation(
    "POST",
    "/api/v1/projects",
    scope="projects:write",
    body=NewProject,
    response=ProjectInfo,
    answers=(200, 201),
)
async def create_project(hub: Services, call: Call[Nothing, NewProject]) -> Reply:
    """Make a project; the name is numbered when taken. A dot that has a project gets that one, with 200."""
    made, is_new = await hub.projects.create(call.caller, call.body.name, call.body.dot_id)
    return Reply(body=made, status=201 if is_new else 200)


@operation("GET", "/api/v1/projects/{project}", scope="projects:read", response=ProjectInfo)
async def get_project(hub: Services, call: Call[Nothing, None]) -> ProjectInfo:
    """One project."""
    return await hub.projects.get(call.project)
