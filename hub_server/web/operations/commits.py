"""Commits and the files in them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from hub_server.domain.types import CommitInfo, Page, StoredCommit, TreeListing
from hub_server.services.services import Services
from hub_server.web.files import file_reply
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery
from hub_server.web.values import parse_hash

MAX_PATH_CHARS = 4096
BASE = "/api/v1/projects/{project}/commits"


class PathQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A path relative to the snapshot's root, `/`-separated; empty for the root itself."""

    path: Annotated[str, Meta(max_length=MAX_PATH_CHARS)] = ""


class ContentQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file's path; `download` asks for an attachment."""

    path: Annotated[str, Meta(max_length=MAX_PATH_CHARS)]
    download: bool = False


@operation("GET", BASE, scope="runs:read", query=PageQuery, response=Page[StoredCommit])
async def list_commits(hub: Services, call: Call[PageQuery, None]) -> Page[Raw]:
    """The project's commits in the order in which they arrived, newest first."""
    cursors = Cursors(hub, f"commits:{call.project.id}")
    found = await hub.history.commits(call.project, cursors.read(call.query.cursor), call.query.limit)
    return cursors.page(found)


@operation("GET", BASE + "/{commit}", scope="runs:read", response=CommitInfo)
async def get_commit(hub: Services, call: Call[Nothing, None]) -> Raw:
    """One commit."""
    return await hub.history.commit(call.project, _commit(call))


@operation(
    "GET",
    BASE + "/{commit}/tree",
    scope="runs:read",
    query=PathQuery,
    response=TreeListing,
    problems=("too-expensive",),
)
async def get_tree(hub: Services, call: Call[PathQuery, None]) -> TreeListing:
    """A folder of the snapshot."""
    return await hub.history.tree(call.project, _commit(call), call.query.path)


@operation(
    "GET",
    BASE + "/{commit}/content",
    scope="runs:read",
    query=ContentQuery,
    response=bytes,
    response_media="application/octet-stream",
    answers=(200, 206, 304),
    problems=("range-not-satisfiable", "too-expensive"),
)
async def get_content(hub: Services, call: Call[ContentQuery, None]) -> Reply:
    """A file's bytes, or one range of them; never as active content of the hub's own origin."""
    file = await hub.history.file(call.project, _commit(call), call.query.path)
    return file_reply(file, call.request.headers, download=call.query.download)


def _commit(call: Call[Any, Any]) -> bytes:
    return parse_hash(call.path["commit"], "commit")
