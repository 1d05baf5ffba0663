"""Which hub a command talks to, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from dotscience.errors import DotscienceError, NotAWorkspace, NotFound, Unauthenticated, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotscience.client.hub import HubClient, Project
    from dotscience.workspace import HubBinding

HUB = click.option("--hub", "hub_url", metavar="URL", help="The hub; by default the one of this folder's project.")


def folders_project() -> tuple[HubClient, str]:
    """A client that may read this folder's project, and the project's id.

    Raises:
        WorkspaceError: the folder is not tracked, or bound to no hub, or its token is gone.
    """
    from dotscience.client import credentials
    from dotscience.client.hub import HubClient

    hub = _binding()
    token = credentials.for_reading(hub.url, hub.project_id)
    if token is None:
        raise WorkspaceError(f"there is no token for {hub.url}; `ds login {hub.url}` gets one")
    return HubClient(hub.url, token), hub.project_id


def own_project() -> tuple[HubClient, str]:
    """A client that may do in this folder's project what the user's account may, and the project's id.

    Raises:
        WorkspaceError: the folder is bound to no hub, or the user has not logged in to it.
    """
    hub = _binding()
    return own_account(hub.url), hub.project_id


def own_account(hub_url: str | None) -> HubClient:
    """A client that may do what the user's account may: on a hub, else on that of this folder, else on the only one.

    Raises:
        WorkspaceError: it is not clear which hub is meant, or the user has not logged in to it.
    """
    from dotscience.client import credentials
    from dotscience.client.hub import HubClient

    url = hub_url or _likely_hub()
    token = credentials.load(url, credentials.ACCOUNT) or token_of_own_hub(url)
    if token is None:
        raise WorkspaceError(f"you are not logged in to {url}; `ds login {url}` does that")
    return HubClient(url, token)


class SignedIn(NamedTuple):
    """A client of a hub, and whether it has a token of the user's account."""

    client: HubClient
    by_token: bool


def reader_of(hub_url: str) -> SignedIn:
    """A client that may read what the user's account may, on this hub; without an account, what is public there."""
    from dotscience.client import credentials
    from dotscience.client.hub import HubClient

    token = credentials.load(hub_url, credentials.ACCOUNT) or token_of_own_hub(hub_url)
    return SignedIn(HubClient(hub_url, token), token is not None)


def project_named(projects: Iterable[Project], name: str, where: str) -> Project:
    """The project that a name or an id stands for.

    Raises:
        DotscienceError: there is none; `where` says among which.
    """
    for one in projects:
        if name in (one.id, one.name):
            return one
    raise DotscienceError(f"there is no project {name!r} {where} that you can see; `ds project ls` lists them")


def project_at(client: HubClient, project_id: str) -> Project:
    """The project of this id.

    Raises:
        WorkspaceError: the hub wants to know first who asks.
        NotFound: there is none that the caller sees.
    """
    try:
        return client.project(project_id)
    except Unauthenticated as error:
        raise WorkspaceError(
            f"{client.url} does not show that without a valid login; `ds login {client.url}`"
        ) from error
    except NotFound as error:
        raise NotFound(f"{client.url} has no project {project_id!r} that you can see; ask its owner") from error


def _likely_hub() -> str:
    from dotscience.client import credentials

    try:
        return _binding().url
    except WorkspaceError as error:
        from dotscience.client.local_hub import default_data_folder, hub_on

        own = hub_on(default_data_folder())
        known = list(dict.fromkeys([*credentials.hubs(), *([own.url] if own else [])]))
        if len(known) == 1:
            return known[0]
        named = ", ".join(known) or "none so far"
        raise WorkspaceError(f"say which hub with --hub URL; you are logged in to: {named}") from error


def token_of_own_hub(url: str) -> str | None:
    """The administrator's token of a hub that this user runs on this machine."""
    from dotscience.client.local_hub import default_data_folder, hub_on

    own = hub_on(default_data_folder())
    return own.admin_token if own is not None and own.url == url else None


def _binding() -> HubBinding:
    from dotscience.workspace import open_workspace

    try:
        workspace = open_workspace()
    except NotAWorkspace as error:
        raise WorkspaceError(f"{error}; or say which hub with --hub URL") from error
    if workspace.hub is None:
        raise WorkspaceError(f"{workspace.root} is bound to no hub; `ds init --hub URL` binds it")
    return workspace.hub
