"""Runs that are not published yet, as committers report them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, false, insert, select, update

from dotscience.points import MAX_POINTS
from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.live import FORGOTTEN_AFTER, Batch, LiveRun, Progress, Status
from hub_server.store.counting import capped_count
from hub_server.store.metric_points import add_points, last_values
from hub_server.store.schema import live_run, metric_point, metric_series, project, run

SHOWN_METRICS = 8
FORGOTTEN_AT_ONCE = 20_000

_MARK = (
    update(live_run)
    .where(live_run.c.project_id == bindparam("project"), live_run.c.uuid.in_(bindparam("ids", expanding=True)))
    .values(published=True, state="ended")
)


class Seen(Struct, frozen=True):
    """When runs are looked at, and whether nothing was heard of one for too long, as far as the hub's process knows.

    `is_silent` takes the project's key, the run's id, and how long ago it was heard of, as the clock shows it.
    """

    now: datetime
    is_silent: Callable[[int, str, timedelta], bool]


class OutOfStep(Exception):
    """A batch does not begin where the hub is; nothing was stored."""

    def __init__(self, received: int) -> None:
        super().__init__(f"the points of the run are here up to position {received}")
        self.received = received


def apply_batch(
    connection: Connection, project_key: int, batch: Batch, doc: str | None, now: datetime
) -> tuple[Progress, bool]:
    """Store what is reported of a run; and whether anything that can be seen changed. `doc` is the record as JSON.

    A batch whose points are here already changes nothing but when the run was last heard of.

    Raises:
        OutOfStep: the batch leaves points out, or the run is not known and its record is not in the batch.
    """
    known = connection.execute(_mine(project_key, batch.run_id)).first()
    if known is None and doc is not None:
        known = _begin(connection, project_key, batch, doc, now)
        is_new = True
    else:
        is_new = False
    received = 0 if known is None else known.received
    if known is None or (batch.start != received and batch.end > received):
        raise OutOfStep(received)
    changes: dict[str, Any] = {"heard_at": now}
    if not known.published:
        changes["state"] = batch.state
    if batch.end > received:
        changes |= _take(connection, known, batch)
    connection.execute(update(live_run).where(live_run.c.id == known.id).values(changes))
    is_seen = is_new or batch.end > received or changes.get("state", known.state) != known.state
    return Progress(max(batch.end, received), known.published), is_seen


def mark_published(connection: Connection, project_key: int, run_ids: Sequence[str]) -> None:
    """Take runs that have just been stored from the list of those that go on; their points stay."""
    for start in range(0, len(run_ids), 500):
        connection.execute(_MARK, {"project": project_key, "ids": run_ids[start : start + 500]})


def list_live_runs(
    connection: Connection, project_key: int, *, seen: Seen, after: Position | None, limit: int
) -> Slice[LiveRun]:
    """The project's runs that are not published, the newest first."""
    shown = _shown(project_key, seen.now)
    query = _runs().where(shown).order_by(live_run.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(live_run.c.id < after[0])
    rows = connection.execute(query).all()
    latest = last_values(connection, [row.id for row in rows], per_run=SHOWN_METRICS)
    return slice_of(
        rows,
        limit,
        item=lambda row: _info(row, latest, seen),
        position=lambda row: [row.id],
        count=capped_count(connection, select(live_run.c.id).where(shown)),
    )


def find_live_run(connection: Connection, project_key: int, run_id: str, seen: Seen) -> LiveRun | None:
    """One run of which a committer has reported, published since then or not."""
    mine = (live_run.c.project_id == project_key) & (live_run.c.uuid == run_id)
    row = connection.execute(_runs().where(mine)).first()
    return None if row is None else _info(row, last_values(connection, [row.id], per_run=SHOWN_METRICS), seen)


def find_key(connection: Connection, project_key: int, run_id: str) -> int | None:
    """The database key under which the run's points are."""
    key: int | None = connection.scalar(
        select(live_run.c.id).where(live_run.c.project_id == project_key, live_run.c.uuid == run_id)
    )
    return key


def note_lost(connection: Connection, seen: Seen) -> None:
    """Write down which running runs are lost, as the hub's process knows it, for the one after it."""
    running = select(live_run).where(live_run.c.published == false(), live_run.c.state == "running")
    lost = [row.id for row in connection.execute(running) if _status(row, seen) == "lost"]
    for start in range(0, len(lost), 500):
        some = live_run.c.id.in_(lost[start : start + 500])
        connection.execute(update(live_run).where(some).values(state="lost"))


def _mine(project_key: int, run_id: str) -> Select[Any]:
    return select(live_run).where(live_run.c.project_id == project_key, live_run.c.uuid == run_id)


def _begin(connection: Connection, project_key: int, batch: Batch, doc: str, now: datetime) -> Row[Any] | None:
    _forget_some(connection, project_key, now)
    is_published = connection.execute(
        select(run.c.id).where(run.c.project_id == project_key, run.c.uuid == batch.run_id)
    ).first()
    values = {
        "project_id": project_key,
        "uuid": batch.run_id,
        "state": batch.state,
        "started_at": (batch.record and batch.record.started_at) or now,
        "heard_at": now,
        "received": 0,
        "points": 0,
        "dropped": 0,
        "published": is_published is not None,
        "doc": doc,
    }
    connection.execute(insert(live_run).values(values))
    return connection.execute(_mine(project_key, batch.run_id)).one()


def _take(connection: Connection, known: Row[Any], batch: Batch) -> dict[str, Any]:
    """Store the batch's points as far as there is room for them; what that changes in the run."""
    room = max(0, MAX_POINTS - known.points)
    taken = add_points(connection, known.id, batch.points[:room])
    return {
        "received": batch.end,
        "points": known.points + taken,
        "dropped": known.dropped + len(batch.points) - taken,
    }


def _forget_some(connection: Connection, project_key: int, now: datetime) -> None:
    """Delete a part of the oldest run that is listed no longer; so much that nobody has to wait for it.

    It has received nothing from here on: whoever reports it again begins from the start.
    """
    old = _unpublished(project_key) & (live_run.c.heard_at < now - FORGOTTEN_AFTER)
    key = connection.scalar(select(live_run.c.id).where(old).order_by(live_run.c.id).limit(1))
    if key is None:
        return
    connection.execute(update(live_run).where(live_run.c.id == key).values(received=0, points=0))
    series = connection.scalar(select(metric_series.c.id).where(metric_series.c.live_run_id == key).limit(1))
    if series is None:
        connection.execute(delete(live_run).where(live_run.c.id == key))
        return
    of_series = metric_point.c.series_id == series
    some = select(metric_point.c.step).where(of_series).limit(FORGOTTEN_AT_ONCE)
    deleted = connection.execute(delete(metric_point).where(of_series, metric_point.c.step.in_(some)))
    if deleted.rowcount < FORGOTTEN_AT_ONCE:
        connection.execute(delete(metric_series).where(metric_series.c.id == series))


def _unpublished(project_key: int) -> ColumnElement[bool]:
    return (live_run.c.project_id == project_key) & (live_run.c.published == false())


def _shown(project_key: int, now: datetime) -> ColumnElement[bool]:
    return _unpublished(project_key) & (live_run.c.heard_at >= now - FORGOTTEN_AFTER)


def _runs() -> Select[Any]:
    return select(live_run, project.c.uuid.label("project_uuid")).join(project, project.c.id == live_run.c.project_id)


def _info(row: Row[Any], latest: dict[int, Any], seen: Seen) -> LiveRun:
    return LiveRun(
        id=row.uuid,
        project_id=row.project_uuid,
        status=_status(row, seen),
        started_at=row.started_at,
        heard_at=row.heard_at,
        points=row.points,
        dropped=row.dropped,
        latest=latest.get(row.id, []),
        record=Raw(row.doc.encode()),
    )


def _status(row: Row[Any], seen: Seen) -> Status:
    if row.published:
        return "published"
    if row.state == "running" and seen.is_silent(row.project_id, row.uuid, seen.now - row.heard_at):
        return "lost"
    status: Status = row.state
    return status
