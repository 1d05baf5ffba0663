"""Binding a workspace to a project on a hub: the project itself, the committer's token, the project file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dotscience.client import credentials
from dotscience.client.hub import HubClient
from dotscience.errors import NotFound, Unauthenticated
from dotscience.workspace import HubBinding, Workspace, write_project

if TYPE_CHECKING:
    from dotscience.client.hub import Project

COMMITTER_SCOPES = ("commits:write", "runs:read")
"""All that a committer may do: it cannot delete, and moves heads only by expected parent."""


def bind(workspace: Workspace, hub: HubClient, *, name: str | None = None) -> Workspace:
    """Give the workspace its project on `hub` and its committer a token that works; returns the bound workspace.

    Idempotent: the dot's project is found by the dot's id, and a saved token that still works is kept. A workspace that
    was bound to another hub is bound to this one instead; its committer then pushes the whole history here.

    Args:
        workspace: The workspace, bound or not.
        hub: A client that may make projects and tokens.
        name: The project's name where it has to be made; the folder's name otherwise.
    """
    project = hub.create_project(name or workspace.root.name or "project", dot_id=workspace.dot_id)
    _ensure_token(workspace, hub, project)
    binding = HubBinding(url=hub.url, project_id=project.id, project_name=project.name)
    if workspace.hub != binding:
        workspace = msgspec.structs.replace(workspace, hub=binding)
        write_project(workspace)
    return workspace


def _ensure_token(workspace: Workspace, hub: HubClient, project: Project) -> None:
    saved = credentials.load(hub.url, project.id)
    if saved is not None and _works(hub.url, saved, workspace.dot_id):
        return
    made = hub.create_token(f"committer of {workspace.root.name}", COMMITTER_SCOPES, project_id=project.id)
    credentials.save(hub.url, project.id, made.token)


def _works(hub_url: str, token: str, dot_id: str) -> bool:
    with HubClient(hub_url, token) as client:
        try:
            client.dot(dot_id)
        except (Unauthenticated, NotFound):
            return False
    return True
