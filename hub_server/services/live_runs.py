"""Runs that are going on: what committers report of them, and reading it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from dotscience.record import RunRecord, decode_json, encode_json
from hub_server.domain.cursor import Position, Slice
from hub_server.domain.live import Batch, LiveRun, Progress, RunMetrics
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.services.events import EventBus, project_topic
from hub_server.store import live_runs, metric_points, runs
from hub_server.store.database import Database
from hub_server.store.live_runs import OutOfStep
from hub_server.store.projects import ProjectRef

MAX_RECORD_BYTES = 256 * 1024
MAX_CURVES = 50
DEFAULT_CURVES = 20


class LiveRuns:
    """The runs of a project that are not published yet, and the metric points of all."""

    def __init__(self, database: Database, events: EventBus, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def report(self, project: ProjectRef, batch: Batch) -> Progress:
        """Take in what a committer reports of a run; durable when this returns. The same again changes nothing.

        Raises:
            Problem: points-out-of-step, with `received`; invalid, for a record that is none or of another run.
        """
        doc = None if batch.record is None else _checked(batch.record, batch.run_id)
        now = self._clock()
        try:
            progress, is_seen = await self._database.write(
                lambda c: live_runs.apply_batch(c, project.key, batch, doc, now)
            )
        except OutOfStep as error:
            raise Problem("points-out-of-step", str(error), extra={"received": error.received}) from error
        if is_seen:
            self._events.publish(project_topic(project.id), "run.progressed", batch.run_id)
        return progress

    async def list(self, project: ProjectRef, after: Position | None, limit: int) -> Slice[LiveRun]:
        """A page of the project's runs that are not published, the newest first."""
        now = self._clock()
        return await self._database.read(
            lambda c: live_runs.list_live_runs(c, project.key, now=now, after=after, limit=limit)
        )

    async def find(self, project: ProjectRef, run_id: str) -> LiveRun:
        """One run of which a committer has reported.

        Raises:
            Problem: not-found.
        """
        now = self._clock()
        found = await self._database.read(lambda c: live_runs.find_live_run(c, project.key, run_id, now))
        if found is None:
            raise not_found("running run", run_id)
        return found

    async def metrics(self, project: ProjectRef, run_id: str, names: Sequence[str] | None, limit: int) -> RunMetrics:
        """The metrics of a run, published or not, and the curves of those named, of at most about `limit` points each.

        Raises:
            Problem: not-found.
        """
        now = self._clock()
        found = await self._database.read(lambda c: _metrics(c, project, run_id, names, limit, now))
        if found is None:
            raise not_found("run", run_id)
        return found


def _checked(record: RunRecord, run_id: str) -> str:
    """The record as JSON that every reader of records takes."""
    if record.run_id != run_id:
        raise invalid("/record", f"the record is that of run {record.run_id[:80]!r}, not of {run_id!r}")
    try:
        data = encode_json(record)
        decode_json(data, RunRecord)
    except (ValueError, RecursionError) as error:
        raise invalid("/record", f"this is no record of a run: {error}") from error
    if len(data) > MAX_RECORD_BYTES:
        raise invalid("/record", f"the record has {len(data)} bytes, more than {MAX_RECORD_BYTES}")
    return data.decode()


def _metrics(
    connection: Connection, project: ProjectRef, run_id: str, names: Sequence[str] | None, limit: int, now: datetime
) -> RunMetrics | None:
    key = live_runs.find_key(connection, project.key, run_id)
    live = None if key is None else live_runs.find_live_run(connection, project.key, run_id, now)
    if key is None or live is None:
        if runs.find_run(connection, project.key, run_id) is None:
            return None
        return RunMetrics(run_id=run_id, status="published", points=0, dropped=0, metrics=[], curves=[])
    metrics = metric_points.list_metrics(connection, key)
    wanted = [one.name for one in metrics[:DEFAULT_CURVES]] if names is None else names
    curves = [metric_points.read_curve(connection, key, name, limit) for name in wanted]
    return RunMetrics(
        run_id=run_id,
        status=live.status,
        points=live.points,
        dropped=live.dropped,
        metrics=metrics,
        curves=[curve for curve in curves if curve is not None],
    )
