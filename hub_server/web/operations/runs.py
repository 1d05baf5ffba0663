"""Runs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from hub_server.domain.filters import MAX_CHARS, Filter, FilterError, bare_fields, parse_filter, resolved
from hub_server.domain.problems import Problem, invalid
from hub_server.domain.types import Columns, Page, RunDetail, RunInfo, Trace
from hub_server.services.services import Services
from hub_server.store.projects import ProjectRef
from hub_server.store.run_order import Order
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.operations.commits import MAX_PATH_CHARS
from hub_server.web.paging import Cursors, PageQuery
from hub_server.web.values import parse_hash, parse_number, version_tag

MAX_DEPTH = 100
MAX_TRACED = 500
KINDS = frozenset({"param", "summary", "label"})


class RunsQuery(PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`sort` is `started_at`, `param.NAME`, `summary.NAME` or `label.NAME`. Runs without the value come last.

    `filter` narrows the list: `summary.accuracy > 0.9 and param.optimizer = "adam"` (docs/filters.md).
    """

    sort: Annotated[str, Meta(min_length=1, max_length=1024)] = "started_at"
    order: Literal["asc", "desc"] = "desc"
    filter: Annotated[str, Meta(max_length=MAX_CHARS)] = ""


@operation(
    "GET",
    "/api/v1/projects/{project}/runs",
    scope="runs:read",
    query=RunsQuery,
    response=Page[RunInfo],
    problems=("invalid-filter", "filter-too-slow"),
)
async def list_runs(hub: Services, call: Call[RunsQuery, None]) -> Page[RunInfo]:
    """The project's runs, or those that meet a filter, newest first unless sorted otherwise."""
    query = call.query
    selection, order = hub.history.select(call.project, await _filter(hub, call.project, query.filter)), _order(query)
    cursors = Cursors(hub, f"runs:{call.project.id}:{query.sort}:{query.order}:{query.filter}")
    return cursors.page(await hub.history.runs(selection, order, cursors.read(query.cursor), query.limit))


@operation("GET", "/api/v1/projects/{project}/columns", scope="runs:read", response=Columns)
async def list_columns(hub: Services, call: Call[Nothing, None]) -> Columns:
    """The names of parameters, summary metrics and labels that the project's runs use."""
    return await hub.history.columns(call.project)


@operation("GET", "/api/v1/projects/{project}/runs/{run}", scope="runs:read", response=RunDetail)
async def get_run(hub: Services, call: Call[Nothing, None]) -> Reply:
    """One run, with the environment that it ran in; its ETag is what a change of it needs."""
    found = await hub.history.run(call.project, call.path["run"])
    return Reply(body=found, etag=version_tag(found))


class TraceQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`direction` is where to look: at what led to the run, or at what followed from it."""

    direction: Literal["upstream", "downstream"] = "upstream"
    depth: Annotated[int, Meta(ge=1, le=MAX_DEPTH)] = 10
    limit: Annotated[int, Meta(ge=1, le=MAX_TRACED)] = 100


@operation(
    "GET",
    "/api/v1/projects/{project}/runs/{run}/trace",
    scope="runs:read",
    query=TraceQuery,
    response=Trace,
    problems=("trace-too-slow",),
    in_turn=True,
)
async def trace_run(hub: Services, call: Call[TraceQuery, None]) -> Trace:
    """The runs that a run comes from, or that come from it, joined by the contents of their files."""
    query, run = call.query, call.path["run"]
    return await hub.provenance.trace(
        call.caller, call.project, run, query.direction, depth=query.depth, runs=query.limit
    )


class FileTraceQuery(TraceQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As for runs, and the `path` of the file."""

    path: Annotated[str, Meta(max_length=MAX_PATH_CHARS)]


@operation(
    "GET",
    "/api/v1/projects/{project}/commits/{commit}/trace",
    scope="runs:read",
    query=FileTraceQuery,
    response=Trace,
    problems=("trace-too-slow", "too-expensive"),
    in_turn=True,
)
async def trace_file(hub: Services, call: Call[FileTraceQuery, None]) -> Trace:
    """The run that made a file's content and what that comes from; or downstream, the runs that read it and so on."""
    query = call.query
    file = await hub.history.file(call.project, parse_hash(call.path["commit"], "commit"), query.path)
    return await hub.provenance.trace_file(
        call.caller, call.project, file.hash, query.direction, depth=query.depth, runs=query.limit
    )


@operation(
    "GET",
    "/api/v1/projects/{project}/models/{model}/versions/{version}/trace",
    scope="runs:read",
    query=TraceQuery,
    response=Trace,
    problems=("trace-too-slow",),
    in_turn=True,
)
async def trace_model(hub: Services, call: Call[TraceQuery, None]) -> Trace:
    """As the trace of the run that published a version of a model."""
    number = parse_number(call.path["version"], "version of that model")
    found = await hub.models.version(call.project, call.path["model"], number)
    query = call.query
    return await hub.provenance.trace(
        call.caller, call.project, found.run_id, query.direction, depth=query.depth, runs=query.limit
    )


async def _filter(hub: Services, project: ProjectRef, text: str) -> Filter | None:
    """The filter that a text means in a project."""
    if not text.strip():
        return None
    try:
        tree = parse_filter(text)
        bare = {field.name for field in bare_fields(tree)}
        return resolved(tree, await hub.history.kinds(project, bare)) if bare else tree
    except FilterError as error:
        where = {"pointer": "filter", "detail": str(error)}
        detail = f"filter, at character {error.position + 1}: {error}"
        raise Problem("invalid-filter", detail, extra={"position": error.position, "errors": [where]}) from error


def _order(query: RunsQuery) -> Order:
    descending = query.order == "desc"
    if query.sort == "started_at":
        return Order(key=None, descending=descending)
    kind, dot, name = query.sort.partition(".")
    if kind not in KINDS or not dot or not name:
        raise invalid("sort", "use started_at, param.NAME, summary.NAME or label.NAME", kind="invalid-parameter")
    return Order(key=(kind, name), descending=descending)
