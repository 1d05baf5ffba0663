"""Runs that are going on, and the points of metrics (docs/design/live-metrics.md)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from dotscience.points import Point, ReportedState
from dotscience.record import RunRecord
from hub_server.domain.live import Batch, LiveRun, Progress, RunMetrics
from hub_server.domain.problems import invalid
from hub_server.domain.types import Page
from hub_server.services.live_runs import MAX_CURVES
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, operation
from hub_server.web.paging import Cursors, PageQuery

BASE = "/api/v1/projects/{project}"
MAX_BATCH = 5_000
MAX_POSITION = 2**40
MAX_SHOWN_POINTS = 5_000

_NAMES = msgspec.json.Decoder(Annotated[list[str], Meta(max_length=MAX_CURVES)])

Position = Annotated[int, Meta(ge=0, le=MAX_POSITION)]


class PointsBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is reported of a run: the points between two positions in its file, which the hub compares with its own.

    `record` is the run's record at its first point; it may be left out where the hub has it.
    """

    state: ReportedState
    start: Position
    end: Position
    points: Annotated[list[Point], Meta(max_length=MAX_BATCH)]
    record: RunRecord | None = None


@operation(
    "POST",
    "/api/v1/dots/{dot}/runs/{run}/points",
    scope="commits:write",
    body=PointsBody,
    audited=False,
    response=Progress,
    problems=("points-out-of-step", "storage-full", "storage-unavailable"),
)
async def post_points(hub: Services, call: Call[Nothing, PointsBody]) -> Progress:
    """Report a run that is going on, with up to 5,000 points of its metrics. The same again changes nothing."""
    sent = call.body
    if sent.end < sent.start or (sent.points and sent.end == sent.start):
        raise invalid("/end", "the points lie between `start` and `end`")
    batch = Batch(
        run_id=_run_id(call.path["run"]),
        state=sent.state,
        start=sent.start,
        end=sent.end,
        points=sent.points,
        record=sent.record,
    )
    return await hub.live_runs.report(call.dot.project, batch)


@operation("GET", BASE + "/live-runs", scope="runs:read", query=PageQuery, response=Page[LiveRun])
async def list_live_runs(hub: Services, call: Call[PageQuery, None]) -> Page[LiveRun]:
    """The project's runs that are not published: running, about to arrive, or lost in the last 7 days; newest first."""
    cursors = Cursors(hub, f"live-runs:{call.project.id}")
    return cursors.page(await hub.live_runs.list(call.project, cursors.read(call.query.cursor), call.query.limit))


@operation("GET", BASE + "/live-runs/{run}", scope="runs:read", response=LiveRun)
async def get_live_run(hub: Services, call: Call[Nothing, None]) -> LiveRun:
    """One run that sent points while it was going on."""
    return await hub.live_runs.find(call.project, call.path["run"])


class MetricsQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`names` is a JSON array of the metrics whose curves are wanted, at most 50; without it, of the first 20 by name.

    A curve of more than `points` points is sampled: it keeps the extremes of each part, and both ends.
    """

    names: str | None = None
    points: Annotated[int, Meta(ge=10, le=MAX_SHOWN_POINTS)] = 1_000


@operation("GET", BASE + "/runs/{run}/metrics", scope="runs:read", query=MetricsQuery, response=RunMetrics)
async def get_run_metrics(hub: Services, call: Call[MetricsQuery, None]) -> RunMetrics:
    """The metrics of a run that have points, while it is going on and afterwards, with their curves."""
    query = call.query
    return await hub.live_runs.metrics(call.project, call.path["run"], _names(query.names), query.points)


def _run_id(text: str) -> str:
    try:
        if str(UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise invalid("run", f"a run's id is a UUID in lower case, not {text[:80]!r}", kind="invalid-parameter")


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    try:
        names: list[str] = _NAMES.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeEncodeError) as error:
        raise invalid(
            "names", f"a JSON array of at most {MAX_CURVES} names: {error}", kind="invalid-parameter"
        ) from error
    return names
