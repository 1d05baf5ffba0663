"""What differs between commits."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hub_server.domain.types import CommitDiff, FileDiff
from hub_server.services.services import Services
from hub_server.web.operation import Call, operation
from hub_server.web.operations.commits import BASE, MAX_PATH_CHARS
from hub_server.web.values import parse_hash


class DiffQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The commit to compare with; by default the first parent."""

    against: Annotated[str, Meta(max_length=64)] | None = None


class FileDiffQuery(DiffQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file."""

    path: Annotated[str, Meta(max_length=MAX_PATH_CHARS)]


@operation("GET", BASE + "/{commit}/diff", scope="runs:read", query=DiffQuery, response=CommitDiff, in_turn=True)
async def diff_commits(hub: Services, call: Call[DiffQuery, None]) -> CommitDiff:
    """The paths that differ from another commit, or from the parent; at most 2,000, and what seconds suffice for."""
    return await hub.diffs.commits(call.project, parse_hash(call.path["commit"], "commit"), _against(call.query))


@operation(
    "GET",
    BASE + "/{commit}/diff/file",
    scope="runs:read",
    query=FileDiffQuery,
    response=FileDiff,
    problems=("too-expensive",),
    in_turn=True,
)
async def diff_file(hub: Services, call: Call[FileDiffQuery, None]) -> FileDiff:
    """How one file differs: as lines, notebooks cell by cell."""
    commit = parse_hash(call.path["commit"], "commit")
    return await hub.diffs.file(call.project, commit, _against(call.query), call.query.path)


def _against(query: DiffQuery) -> bytes | None:
    return None if query.against is None else parse_hash(query.against, "commit")
