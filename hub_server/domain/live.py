"""Runs that are going on, and the points of their metrics (docs/design/live-metrics.md)."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from dotscience.points import MetricValue, Point, ReportedState
from dotscience.record import RunRecord, UtcTime
from hub_server.domain.types import StoredRecord

LOST_AFTER = timedelta(seconds=90)
"""A running run of which nothing was heard for so long is taken for lost; committers report every 20 seconds.

It is counted by the monotonic clock of the hub's process, so it ends for nobody because the clock is set."""

BELIEVED_AFTER_START = timedelta(days=2)
"""A hub that has just started hears of running runs within `LOST_AFTER`. Until then those are taken to go on of which
it heard no longer ago than this, as its clock shows it, which may be a day wrong."""

FORGOTTEN_AFTER = timedelta(days=7)
"""Lost runs are not listed after that, and make room for others."""

CurvePoint = tuple[int, int, MetricValue]
"""Step, microseconds since 1970, value."""

Status = Literal["running", "ended", "lost", "published"]


class Batch(Struct, frozen=True, kw_only=True):
    """What a committer reports of one run: its state, and the points that lie between two positions in its file.

    `record` is the run as it was at its first point; None where the hub is believed to have it.
    """

    run_id: str
    state: ReportedState
    start: int
    end: int
    points: list[Point]
    record: RunRecord | None = None


class Progress(Struct, frozen=True):
    """How far the hub has come with a run: the position up to which it has the points; and whether it is published."""

    received: int
    published: bool


class LastValue(Struct, frozen=True, kw_only=True):
    """The last point of a metric that came, and how many came."""

    name: str
    points: int
    step: int
    at: int
    value: MetricValue


class LiveRun(Struct, frozen=True, kw_only=True):
    """A run that is not published yet: going on (`running`), about to arrive (`ended`), or `lost`.

    `record` is the run as it was at its first point; `latest` has the first 8 metrics by the order in which they came.
    `dropped` counts points beyond what is kept of a run.
    """

    id: str
    project_id: str
    status: Status
    started_at: UtcTime
    heard_at: UtcTime
    points: int
    dropped: int
    latest: list[LastValue]
    record: StoredRecord


class Curve(Struct, frozen=True, kw_only=True):
    """Points of a metric in the order of steps; where `sampled`, the extremes of each part of all that there are."""

    name: str
    sampled: bool
    points: list[CurvePoint]


class RunMetrics(Struct, frozen=True, kw_only=True):
    """The metrics of a run that have points, by name, and the curves of some of them."""

    run_id: str
    status: Status
    points: int
    dropped: int
    metrics: list[LastValue]
    curves: list[Curve]
