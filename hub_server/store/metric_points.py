"""The points of metrics: storing them, and reading curves of a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, union_all
from sqlalchemy.sql.selectable import CompoundSelect

from dotscience.points import MAX_NAMES, MetricValue, Point
from hub_server.domain.live import Curve, CurvePoint, LastValue
from hub_server.domain.values import index_name
from hub_server.store.schema import metric_point, metric_series
from hub_server.store.upsert import Upsert

KEPT_PER_BUCKET = 3
STEPS_PER_QUERY = 500

_COUNT = Upsert(
    metric_series,
    lambda new: new.on_conflict_do_update(
        index_elements=[metric_series.c.live_run_id, metric_series.c.name],
        set_={
            "points": metric_series.c.points + new.excluded.points,
            **{name: new.excluded[name] for name in ("last_step", "last_at", "last_num", "last_txt")},
        },
    ).returning(metric_series.c.name, metric_series.c.id),
)
_KEEP = Upsert(
    metric_point,
    lambda new: new.on_conflict_do_update(
        index_elements=[metric_point.c.series_id, metric_point.c.step],
        set_={name: new.excluded[name] for name in ("at", "num", "txt")},
    ),
)


def add_points(connection: Connection, live_run_key: int, points: Sequence[Point]) -> int:
    """Store points of a run in their order: a later one takes the place of an earlier one of the same step.

    Returns how many were taken: those of names beyond `MAX_NAMES` are not.
    """
    by_name: dict[str, list[Point]] = {}
    for point in points:
        by_name.setdefault(index_name(point[0]), []).append(point)
    admitted = _admitted(connection, live_run_key, by_name)
    if not admitted:
        return 0
    rows = [_series_row(live_run_key, name, some) for name, some in admitted.items()]
    keys = {row.name: row.id for row in connection.execute(_COUNT.on(connection), rows)}
    last = {(keys[name], point[1]): point for name, some in admitted.items() for point in some}
    connection.execute(
        _KEEP.on(connection),
        [{"series_id": key, "step": step, **_stored(point)} for (key, step), point in last.items()],
    )
    return sum(map(len, admitted.values()))


def last_values(connection: Connection, live_run_keys: Iterable[int], *, per_run: int) -> dict[int, list[LastValue]]:
    """The last values of the first metrics of each run, in the order in which these came."""
    number = func.row_number().over(partition_by=metric_series.c.live_run_id, order_by=metric_series.c.id)
    numbered = (
        select(metric_series, number.label("number"))
        .where(metric_series.c.live_run_id.in_(list(live_run_keys)))
        .subquery()
    )
    query = select(numbered).where(numbered.c.number <= per_run).order_by(numbered.c.live_run_id, numbered.c.id)
    found: dict[int, list[LastValue]] = {}
    for row in connection.execute(query):
        found.setdefault(row.live_run_id, []).append(_last_value(row))
    return found


def list_metrics(connection: Connection, live_run_key: int) -> list[LastValue]:
    """The run's metrics by name."""
    query = select(metric_series).where(metric_series.c.live_run_id == live_run_key).order_by(metric_series.c.name)
    return [_last_value(row) for row in connection.execute(query)]


def read_curve(connection: Connection, live_run_key: int, name: str, limit: int) -> Curve | None:
    """The metric's points, or at most about `limit` of them that show its course; None where it has none."""
    mine = (metric_series.c.live_run_id == live_run_key) & (metric_series.c.name == index_name(name))
    key = connection.execute(select(metric_series.c.id).where(mine)).scalar()
    if key is None:
        return None
    of_series = metric_point.c.series_id == key
    some = connection.execute(_points(of_series).limit(limit + 1)).all()
    if len(some) <= limit:
        return Curve(name=name, sampled=False, points=[_curve_point(row) for row in some])
    return Curve(name=name, sampled=True, points=_sample(connection, of_series, limit))


def _admitted(connection: Connection, live_run_key: int, by_name: dict[str, list[Point]]) -> dict[str, list[Point]]:
    known = set(connection.scalars(select(metric_series.c.name).where(metric_series.c.live_run_id == live_run_key)))
    new = [name for name in by_name if name not in known]
    refused = set(new[max(0, MAX_NAMES - len(known)) :])
    return {name: some for name, some in by_name.items() if name not in refused}


def _series_row(live_run_key: int, name: str, points: Sequence[Point]) -> dict[str, Any]:
    last = {f"last_{field}": value for field, value in _stored(points[-1]).items()}
    return {"live_run_id": live_run_key, "name": name, "points": len(points), "last_step": points[-1][1], **last}


def _stored(point: Point) -> dict[str, Any]:
    _, _, at, value = point
    is_text = isinstance(value, str)
    return {"at": at, "num": None if is_text else float(value), "txt": value if is_text else None}


def _last_value(row: Row[Any]) -> LastValue:
    value = _value(row.last_num, row.last_txt)
    return LastValue(name=row.name, points=row.points, step=row.last_step, at=row.last_at, value=value)


def _value(num: float | None, txt: Any) -> MetricValue:
    value: MetricValue = txt if num is None else num
    return value


def _curve_point(row: Row[Any]) -> CurvePoint:
    return row.step, row.at, _value(row.num, row.txt)


def _points(of_series: ColumnElement[bool]) -> Select[Any]:
    return select(metric_point).where(of_series).order_by(metric_point.c.step)


def _sample(connection: Connection, of_series: ColumnElement[bool], limit: int) -> list[CurvePoint]:
    """The extremes of each of some parts of equal width in steps, and the ends."""
    ends = select(func.min(metric_point.c.step), func.max(metric_point.c.step)).where(of_series)
    first, last = connection.execute(ends).one()
    width = (last - first) // max(1, (limit - 2) // KEPT_PER_BUCKET) + 1
    steps = {first, last, *connection.scalars(_extremes(of_series, first, width))}
    ordered = sorted(steps)
    rows: list[CurvePoint] = []
    for start in range(0, len(ordered), STEPS_PER_QUERY):
        some = metric_point.c.step.in_(ordered[start : start + STEPS_PER_QUERY])
        rows += [_curve_point(row) for row in connection.execute(_points(of_series).where(some))]
    return rows


def _extremes(of_series: ColumnElement[bool], first: int, width: int) -> CompoundSelect[Any]:
    """The first step of each bucket at which its lowest, its highest, and a value that is not finite are."""
    bucket = (metric_point.c.step - first) // width
    bounds = (
        select(
            bucket.label("bucket"),
            func.min(metric_point.c.num).label("low"),
            func.max(metric_point.c.num).label("high"),
        )
        .where(of_series)
        .group_by(bucket)
        .subquery()
    )
    at_bounds = (metric_point.c.num == bounds.c.low) | (metric_point.c.num == bounds.c.high)
    finite = (
        select(func.min(metric_point.c.step))
        .join(bounds, bounds.c.bucket == bucket)
        .where(of_series, at_bounds)
        .group_by(bounds.c.bucket, metric_point.c.num)
    )
    others = select(func.min(metric_point.c.step)).where(of_series, metric_point.c.num.is_(None)).group_by(bucket)
    return union_all(finite, others)
