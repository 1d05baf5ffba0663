"""Who works on a project."""

from __future__ import annotations

from msgspec import Struct

from hub_server.domain.scopes import ProjectRole
from hub_server.domain.types import Collaborator, Page
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery

BASE = "/api/v1/projects/{project}/collaborators"


class CollaboratorRole(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody is to be in a project."""

    role: ProjectRole


@operation("GET", BASE, scope="projects:read", query=PageQuery, response=Page[Collaborator])
async def list_collaborators(hub: Services, call: Call[PageQuery, None]) -> Page[Collaborator]:
    """The people who work on a project, by name."""
    cursors = Cursors(hub, f"collaborators:{call.project.id}")
    found = await hub.collaborators.list(call.project, cursors.read(call.query.cursor), call.query.limit)
    return cursors.page(found)


@operation(
    "PUT",
    BASE + "/{account}",
    scope="projects:admin",
    body=CollaboratorRole,
    response=Collaborator,
    noted=lambda call: f"{call.path['account']} {call.body.role}",
)
async def put_collaborator(hub: Services, call: Call[Nothing, CollaboratorRole]) -> Collaborator:
    """Let an account, by its name, work on a project, or give it another role there."""
    return await hub.collaborators.put(call.project, call.path["account"], call.body.role)


@operation("DELETE", BASE + "/{account}", scope="projects:admin", answers=(204,))
async def remove_collaborator(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Let an account work on a project no longer."""
    await hub.collaborators.remove(call.project, call.path["account"])
    return Reply(status=204)


@operation("DELETE", "/api/v1/projects/{project}/membership", scope="projects:write", answers=(204,))
async def leave_project(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Stop working on a project oneself."""
    await hub.collaborators.remove(call.project, call.caller.account_name)
    return Reply(status=204)
