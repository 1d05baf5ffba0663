"""What people do with runs: compare them, name, describe and tag them, comment on them, move them to the trash."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from hub_server.domain.types import Comment, Comparison, Page, RunInfo
from hub_server.services import comments as comments_service
from hub_server.services.run_edits import MAX_NOTES_CHARS, MAX_TAGS, RunChange
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery
from hub_server.web.values import expected_version, parse_number, version_tag

PROJECT = "/api/v1/projects/{project}"
RUN = PROJECT + "/runs/{run}"


class CompareQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The ids of the runs, with commas between them."""

    runs: Annotated[str, Meta(min_length=1, max_length=2_000)]


class RunChangeBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be said about the run; what is left out stays as it is, and empty texts and lists take it away."""

    name: Annotated[str, Meta(max_length=1_000)] | None = None
    notes: Annotated[str, Meta(max_length=2 * MAX_NOTES_CHARS)] | None = None
    tags: Annotated[list[Annotated[str, Meta(max_length=1_000)]], Meta(max_length=2 * MAX_TAGS)] | None = None


class CommentBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What to say, as plain text."""

    text: Annotated[str, Meta(max_length=2 * comments_service.MAX_CHARS)]


@operation("GET", PROJECT + "/compare", scope="runs:read", query=CompareQuery, response=Comparison)
async def compare_runs(hub: Services, call: Call[CompareQuery, None]) -> Comparison:
    """Two to 50 runs side by side: their values and files, those that differ first."""
    return await hub.comparing.compare(call.project, call.query.runs.split(","))


@operation(
    "PATCH",
    RUN,
    scope="runs:write",
    body=RunChangeBody,
    response=RunInfo,
    problems=("changed-meanwhile", "precondition-required"),
)
async def change_run(hub: Services, call: Call[Nothing, RunChangeBody]) -> Reply:
    """Name, describe or tag a run; If-Match is the ETag of the run as it was read."""
    wanted = RunChange(name=call.body.name, notes=call.body.notes, tags=call.body.tags)
    expected = expected_version(call.request.headers)
    changed = await hub.run_edits.change(call.caller, call.project, call.path["run"], wanted, expected=expected)
    return Reply(body=changed, etag=version_tag(changed))


@operation("DELETE", RUN, scope="runs:write", answers=(204,))
async def trash_run(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Move a run to the trash: lists, filters and traces leave it out, and nothing of it is lost."""
    await hub.run_edits.trash(call.project, call.path["run"])
    return Reply(status=204)


@operation("POST", RUN + "/restore", scope="runs:write", body=Nothing, response=RunInfo)
async def restore_run(hub: Services, call: Call[Nothing, Nothing]) -> RunInfo:
    """Move a run back from the trash."""
    return await hub.run_edits.restore(call.project, call.path["run"])


@operation("GET", PROJECT + "/trash", scope="runs:read", query=PageQuery, response=Page[RunInfo])
async def list_trash(hub: Services, call: Call[PageQuery, None]) -> Page[RunInfo]:
    """The project's runs in the trash, those that came there last first."""
    cursors = Cursors(hub, f"trash:{call.project.id}")
    return cursors.page(await hub.run_edits.trashed(call.project, cursors.read(call.query.cursor), call.query.limit))


@operation("GET", RUN + "/comments", scope="runs:read", query=PageQuery, response=Page[Comment])
async def list_comments(hub: Services, call: Call[PageQuery, None]) -> Page[Comment]:
    """The comments on a run, oldest first."""
    run = call.path["run"]
    cursors = Cursors(hub, f"comments:{call.project.id}:{run}")
    after = cursors.read(call.query.cursor)
    return cursors.page(await hub.comments.of_run(call.project, run, after, call.query.limit))


@operation("POST", RUN + "/comments", scope="comments:write", body=CommentBody, response=Comment, answers=(201,))
async def add_comment(hub: Services, call: Call[Nothing, CommentBody]) -> Reply:
    """Comment on a run."""
    made = await hub.comments.add(call.caller, call.project, call.path["run"], call.body.text)
    return Reply(body=made, status=201)


@operation("PATCH", RUN + "/comments/{comment}", scope="comments:write", body=CommentBody, response=Comment)
async def change_comment(hub: Services, call: Call[Nothing, CommentBody]) -> Comment:
    """Change a comment of one's own."""
    return await hub.comments.change(call.caller, call.project, call.path["run"], _comment(call), call.body.text)


@operation("DELETE", RUN + "/comments/{comment}", scope="comments:write", answers=(204,))
async def delete_comment(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Remove a comment of one's own, or any as an owner of the project."""
    await hub.comments.delete(call.caller, call.project, call.path["run"], _comment(call))
    return Reply(status=204)


def _comment(call: Call[Any, Any]) -> int:
    return parse_number(call.path["comment"], "comment")
