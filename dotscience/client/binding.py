"""Binding a workspace to a project on a hub: the project itself, the committer's token, the project file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dotscience.client import credentials
from dotscience.client.hub import HubClient
from dotscience.client.problems import is_zfs_off
from dotscience.errors import Forbidden, NotFound, Unauthenticated
from dotscience.workspace import HubBinding, Workspace, write_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dotscience.client.hub import Project

COMMITTER_SCOPES = ("commits:write", "runs:read")
"""All that a committer may do: it cannot delete, and moves heads only by expected parent."""

READER_SCOPES = ("runs:read",)
"""What the committer of a project's viewer may do: the workspace's commits stay on this disk."""

ZFS_SCOPE = "zfs:receive"
"""What one may besides that sends its dataset, too (docs/zfs.md)."""


def bind(workspace: Workspace, hub: HubClient, *, name: str | None = None, sends_zfs: bool = False) -> Workspace:
    """Give the workspace its project on `hub` and its committer a token that works; returns the bound workspace.

    Idempotent: the dot's project is found by the dot's id, and a saved token that still works is kept. A workspace that
    was bound to another hub is bound to this one instead; its committer then pushes the whole history here.

    Args:
        workspace: The workspace, bound or not.
        hub: A client that may make projects and tokens.
        name: The project's name where it has to be made; the folder's name otherwise.
        sends_zfs: Whether the token is for sending ZFS streams, too.
    """
    project = hub.create_project(name or workspace.root.name or "project", dot_id=workspace.dot_id)
    _ensure_token(workspace, hub, project, sends_zfs=sends_zfs)
    binding = HubBinding(url=hub.url, project_id=project.id, project_name=project.name)
    if workspace.hub != binding:
        workspace = msgspec.structs.replace(workspace, hub=binding)
        write_project(workspace)
    return workspace


def ensure_token(workspace: Workspace, hub: HubClient, project: Project, *, sends_zfs: bool = False) -> None:
    """Give the committer of a workspace that is bound to `project` a token: a viewer's is for reading alone.

    A saved token that still works is kept.

    Raises:
        Forbidden: the account's own token may make no others.
    """
    if project.role != "viewer":
        _ensure_token(workspace, hub, project, sends_zfs=sends_zfs)
        return
    saved = credentials.load(hub.url, project.id)
    if saved is None or not _reads(hub.url, saved, workspace.dot_id):
        _make_token(workspace, hub, project, READER_SCOPES)


def _ensure_token(workspace: Workspace, hub: HubClient, project: Project, *, sends_zfs: bool) -> None:
    saved = credentials.load(hub.url, project.id)
    if saved is not None and _works(hub.url, saved, workspace.dot_id, sends_zfs=sends_zfs):
        return
    _make_token(workspace, hub, project, (*COMMITTER_SCOPES, ZFS_SCOPE) if sends_zfs else COMMITTER_SCOPES)


def _make_token(workspace: Workspace, hub: HubClient, project: Project, scopes: Sequence[str]) -> None:
    made = hub.create_token(f"committer of {workspace.root.name}", scopes, project_id=project.id)
    credentials.save(hub.url, project.id, made.token)


def _reads(hub_url: str, token: str, dot_id: str) -> bool:
    with HubClient(hub_url, token) as client:
        try:
            client.objects(dot_id, [])
        except (Unauthenticated, Forbidden, NotFound):
            return False
    return True


def _works(hub_url: str, token: str, dot_id: str, *, sends_zfs: bool) -> bool:
    with HubClient(hub_url, token) as client:
        try:
            client.dot(dot_id)
            if sends_zfs:
                client.zfs_state(dot_id)
        except (Unauthenticated, Forbidden, NotFound) as error:
            return is_zfs_off(error)
    return True
