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


class ProjectChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be different; what is left out stays as it is. A public project can be read by everybody."""

    name: str | None = None
    is_public: bool | None = None


class ProjectsQuery(PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`trash`: those in the trash that the caller owns."""

    trash: bool = False


class ProjectToRestore(Struct, frozen=True, forbid_unknown_fields=True):
    """A project in the trash."""

    project_id: str


@operation("GET", "/api/v1/projects", scope="projects:read", query=ProjectsQuery, response=Page[ProjectInfo])
async def list_projects(hub: Services, call: Call[ProjectsQuery, None]) -> Page[ProjectInfo]:
    """The projects that the caller sees, newest first."""
    query = call.query
    cursors = Cursors(hub, f"projects:{call.caller.account_id}:{query.trash}")
    after = cursors.read(query.cursor)
    found = await hub.projects.list(call.caller, in_trash=query.trash, after=after, limit=query.limit)
    return cursors.page(found)


@operation(
    "POST",
    "/api/v1/projects",
    scope="projects:write",
    body=NewProject,
    response=ProjectInfo,
    answers=(200, 201),
    noted=lambda call: call.body.name,
)
async def create_project(hub: Services, call: Call[Nothing, NewProject]) -> Reply:
    """Make a project; the name is numbered when taken. A dot that has a project gets that one, with 200."""
    made, is_new = await hub.projects.create(call.caller, call.body.name, call.body.dot_id)
    return Reply(body=made, status=201 if is_new else 200, about=made.id)


@operation("GET", "/api/v1/projects/{project}", scope="projects:read", response=ProjectInfo)
async def get_project(hub: Services, call: Call[Nothing, None]) -> ProjectInfo:
    """One project."""
    return await hub.projects.get(call.caller, call.project)


@operation(
    "PATCH",
    "/api/v1/projects/{project}",
    scope="projects:admin",
    body=ProjectChange,
    response=ProjectInfo,
    noted=lambda call: f"name={call.body.name!r} is_public={call.body.is_public}",
)
async def change_project(hub: Services, call: Call[Nothing, ProjectChange]) -> ProjectInfo:
    """Rename a project, or open it to the public or close it."""
    wanted = call.body
    return await hub.projects.change(call.caller, call.project, name=wanted.name, is_public=wanted.is_public)


@operation("DELETE", "/api/v1/projects/{project}", scope="projects:admin", answers=(204,))
async def trash_project(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Move a project to the trash: nobody sees it, nothing of it is lost, and it can be restored."""
    await hub.projects.trash(call.project)
    return Reply(status=204)


@operation(
    "POST",
    "/api/v1/trash/restore",
    scope="projects:admin",
    body=ProjectToRestore,
    response=ProjectInfo,
    noted=lambda call: call.body.project_id,
)
async def restore_project(hub: Services, call: Call[Nothing, ProjectToRestore]) -> Reply:
    """Bring a project back from the trash."""
    restored = await hub.projects.restore(call.caller, call.body.project_id)
    return Reply(body=restored, about=restored.id)
