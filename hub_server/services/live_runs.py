"""Runs that are going on: what committers report of them, and reading it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from dotscience.errors import DiskFull, StorageUnavailable
from dotscience.record import RunRecord, decode_json, encode_json
from hub_server.domain.cursor import Position, Slice
from hub_server.domain.live import BELIEVED_AFTER_START, LOST_AFTER, Batch, LiveRun, Progress, RunMetrics
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.services.events import EventBus, project_topic
from hub_server.store import live_runs, metric_points, runs
from hub_server.store.database import Database
from hub_server.store.live_runs import OutOfStep, Seen
from hub_server.store.projects import ProjectRef

log = structlog.get_logger(__name__)

MAX_RECORD_BYTES = 256 * 1024
MAX_CURVES = 50
DEFAULT_CURVES = 20


class Reports:
    """Of which runs this process has heard, and when. Reports are noted on one thread; any may ask."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started = monotonic()
        self._heard: OrderedDict[tuple[int, str], float] = OrderedDict()

    def note(self, project_key: int, run_id: str) -> None:
        """A run was reported now. Those that were not for too long are forgotten, which bounds what is held here."""
        now = self._monotonic()
        self._heard[project_key, run_id] = now
        self._heard.move_to_end((project_key, run_id))
        while self._is_over(next(iter(self._heard.values())), now):
            self._heard.popitem(last=False)

    def is_silent(self, project_key: int, run_id: str, age: timedelta) -> bool:
        """Whether nothing was heard of a run for too long; `age` is what the clock, which may be set, says of that."""
        now = self._monotonic()
        heard = self._heard.get((project_key, run_id))
        if heard is None:
            return age > BELIEVED_AFTER_START or self._is_over(self._started, now)
        return self._is_over(heard, now)

    @staticmethod
    def _is_over(since: float, now: float) -> bool:
        return now - since > LOST_AFTER.total_seconds()


class LiveRuns:
    """The runs of a project that are not published yet, and the metric points of all."""

    def __init__(
        self,
        database: Database,
        events: EventBus,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is for what is stored and shown, `monotonic` for when a run is lost."""
        self._database = database
        self._events = events
        self._clock = clock
        self._reports = Reports(monotonic)

    async def report(self, project: ProjectRef, batch: Batch) -> Progress:
        """Take in what a committer reports of a run; durable when this returns. The same again changes nothing.

        Raises:
            Problem: points-out-of-step, with `received`; invalid, for a record that is none or of another run.
        """
        doc = None if batch.record is None else _checked(batch.record, batch.run_id)
        now = self._clock()
        self._reports.note(project.key, batch.run_id)  # first: whoever sees the run must not take it for lost
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
        seen = self._seen()
        return await self._database.read(
            lambda c: live_runs.list_live_runs(c, project.key, seen=seen, after=after, limit=limit)
        )

    async def find(self, project: ProjectRef, run_id: str) -> LiveRun:
        """One run of which a committer has reported.

        Raises:
            Problem: not-found.
        """
        seen = self._seen()
        found = await self._database.read(lambda c: live_runs.find_live_run(c, project.key, run_id, seen))
        if found is None:
            raise not_found("running run", run_id)
        return found

    async def metrics(self, project: ProjectRef, run_id: str, names: Sequence[str] | None, limit: int) -> RunMetrics:
        """The metrics of a run, published or not, and the curves of those named, of at most about `limit` points each.

        Raises:
            Problem: not-found.
        """
        seen = self._seen()
        found = await self._database.read(lambda c: _metrics(c, project, run_id, names, limit, seen))
        if found is None:
            raise not_found("run", run_id)
        return found

    async def close(self) -> None:
        """Write down what is lost: the hub that comes next cannot know for how long a run was silent before."""
        seen = self._seen()
        try:
            await self._database.write(lambda c: live_runs.note_lost(c, seen))
        except (DiskFull, StorageUnavailable) as error:
            log.warning("live_runs.not_noted", error=str(error))

    def _seen(self) -> Seen:
        return Seen(self._clock(), self._reports.is_silent)


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
    connection: Connection, project: ProjectRef, run_id: str, names: Sequence[str] | None, limit: int, seen: Seen
) -> RunMetrics | None:
    key = live_runs.find_key(connection, project.key, run_id)
    live = None if key is None else live_runs.find_live_run(connection, project.key, run_id, seen)
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
