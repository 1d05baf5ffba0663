"""One page of runs in some order, all or those that meet a filter: never an OFFSET, never a join of values.

A page is built in phases, each one range of one index. By start time there is a single phase. By a value there are
three: runs whose value is a number, runs whose value is a text only (NaN and the infinities among them), and runs
without the value, newest first. Whatever the direction, numbers come first and runs without the value last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
)

from hub_server.domain.cursor import Position
from hub_server.domain.types import RunInfo
from hub_server.store.run_filter import Site
from hub_server.store.run_names import Key, KeyRow, Names, find_names, names_in
from hub_server.store.run_plan import AT_RUN, Narrowing, Selection
from hub_server.store.run_planner import narrow
from hub_server.store.runs import read_runs
from hub_server.store.schema import run, run_value

_HAPPENED: ColumnElement[int] = type_coerce(run.c.happened_at, BigInteger)
"""Microseconds rather than a datetime: that is what a cursor can hold."""


class Order(Struct, frozen=True, kw_only=True):
    """By start time (`key` is None), or by the value with this kind and name."""

    key: tuple[str, str] | None
    descending: bool


class Found(Struct, frozen=True):
    """The positions of the runs of a page: for each the phase, the value and the database key.

    `has_more` says whether the list goes on after them. `total` is how many runs the list has, or where that did not
    come to light by the way, how they can be counted.
    """

    positions: list[Position]
    has_more: bool
    total: int | Narrowing

    @property
    def keys(self) -> list[int]:
        """The database keys of the runs."""
        return [key for _, _, key in self.positions]

    @property
    def position(self) -> Position | None:
        """Where the list goes on; None when it ends here."""
        return self.positions[-1] if self.has_more else None

    def first(self, count: int) -> Found:
        """A page of the first `count` of these runs."""
        shown = self.positions[:count]
        return structs.replace(self, positions=shown, has_more=self.has_more or len(shown) < len(self.positions))


class RunsPage(Struct, frozen=True):
    """Runs, and the position after them; None when the list ends here. `total` as in `Found`."""

    runs: list[RunInfo]
    position: Position | None
    total: int | Narrowing


def read_page(
    connection: Connection,
    selection: Selection,
    order: Order,
    after: Position | None,
    limit: int,
    *,
    may_walk: bool = True,
) -> RunsPage:
    """The `limit` runs that follow `after`, or fewer where their documents are large, but one at least."""
    found = find_runs(connection, selection, order, after, limit, may_walk=may_walk)
    runs = read_runs(connection, found.keys)
    return RunsPage(runs, found.first(len(runs)).position, found.total)


def find_runs(
    connection: Connection,
    selection: Selection,
    order: Order,
    after: Position | None,
    limit: int,
    *,
    may_walk: bool = True,
) -> Found:
    """The keys of the `limit` runs that follow `after`; driven, if that is possible at all, where it must not walk."""
    names = find_names(connection, selection.project_key, _names(selection, order))
    narrowing = narrow(connection, selection, names, limit)
    if narrowing is not None and not may_walk:
        narrowing = narrowing.driving()
    find = partial(_find, connection, _phases(selection.project_key, names, order), after, limit + 1)
    try:
        found, counted = find(narrowing)
    except _OutOfReach as error:
        narrowing = error.narrowing.driving()
        found, counted = find(narrowing)
    total = counted if counted is not None else narrowing if narrowing is not None else names.runs
    return Found(found[:limit], len(found) > limit, total)


def _names(selection: Selection, order: Order) -> set[Key]:
    filtered = names_in(selection.filter) if selection.filter is not None else set()
    return filtered if order.key is None else {order.key, *filtered}


def _find(
    connection: Connection, phases: list[_Phase], after: Position | None, count: int, narrowing: Narrowing | None
) -> tuple[list[Position], int | None]:
    """The next `count` runs, and how many the list has, where that came to light by the way."""
    first, value, key = after or [0, None, None]
    found: list[Position] = []
    total: int | None = None
    for number in range(first, len(phases)):
        if len(found) == count:
            break
        rows = phases[number].read(connection, narrowing, count - len(found), None if key is None else (value, key))
        found.extend([number, row.value, row.run_id] for row in rows)
        total = rows[0].total if rows else total
        value = key = None
    return found, total


class _OutOfReach(Exception):
    """A walk by this narrowing has gone as far as it may, and the page is not full."""

    def __init__(self, narrowing: Narrowing) -> None:
        self.narrowing = narrowing


class _Phase(Struct, frozen=True):
    """A range of an index, in which `value` and what is at hand at `site` can be read.

    `index` is that range, `range` what of it belongs to the list. `look_up` gives the same value for any run; NULL says
    that the run is not of this phase.
    """

    index: ColumnElement[bool]
    range: ColumnElement[bool]
    value: ColumnElement[Any]
    site: Site
    look_up: Callable[[ColumnElement[int]], Select[Any]]
    descending: bool

    def read(
        self, connection: Connection, narrowing: Narrowing | None, limit: int, after: tuple[Any, int] | None
    ) -> Sequence[Row[Any]]:
        """The next rows in order; runs with equal values keep one order, so that no page repeats or skips one.

        `total` is how many runs meet the filter, which a drive has found out; else None.

        Raises:
            _OutOfReach: a walk has gone as far as it may, and there are not as many.
        """
        query, value, run_id = self._rows(narrowing)
        end = self._end(connection, after, narrowing.reach) if narrowing is not None and narrowing.reach else None
        if end is not None:
            query = query.where(_beyond(value, run_id, *end, descending=not self.descending))
        rows = connection.execute(self._sorted(query, value, run_id, after).limit(limit)).all()
        if narrowing is not None and end is not None and len(rows) < limit:
            raise _OutOfReach(narrowing)
        return rows

    def _end(self, connection: Connection, after: tuple[Any, int] | None, reach: int) -> tuple[Any, int] | None:
        """Value and run_id that are `reach` places on in the index; None where it ends before."""
        query = select(self.value, self.site.run_id).where(self.index)
        query = self._sorted(query, self.value, self.site.run_id, after).offset(reach).limit(1)
        row = connection.execute(query).first()
        return None if row is None else (row[0], row[1])

    def _sorted(
        self, query: Select[Any], value: ColumnElement[Any], run_id: ColumnElement[int], after: tuple[Any, int] | None
    ) -> Select[Any]:
        """A query's rows in order, those that follow `after`."""
        if after is not None:
            query = query.where(_beyond(value, run_id, *after, descending=self.descending))
        return query.order_by(*(column.desc() if self.descending else column.asc() for column in (value, run_id)))

    def _rows(self, narrowing: Narrowing | None) -> tuple[Select[Any], ColumnElement[Any], ColumnElement[int]]:
        """Rows of value, run_id and total, and the first two to sort by."""
        driver = narrowing.drives_by if narrowing is not None else None
        if narrowing is None or driver is None:
            walk = select(self.value.label("value"), self.site.run_id.label("run_id"), null().label("total"))
            walk = walk.where(self.range)
            narrowed = walk if narrowing is None else narrowing.walked(walk, self.site)
            return narrowed, self.value, self.site.run_id
        run_id = driver.rows.c.run_id
        value = self.look_up(run_id).scalar_subquery().label("value")
        # Materialized, so that the value is looked up once, and only for the runs that meet the filter.
        found = narrowing.driven(driver, value, run_id).cte("driven").prefix_with("MATERIALIZED")
        total = select(func.count()).select_from(found).scalar_subquery().label("total")
        columns = found.c.value, found.c.run_id
        return select(*columns, total).where(found.c.value.is_not(None)), *columns


def _beyond(
    column: ColumnElement[Any], key: ColumnElement[int], value: Any, run_id: int, *, descending: bool
) -> ColumnElement[bool]:
    """A range of the index, which "less, or equal and …" is not: no database would skip what comes before."""
    if descending:
        return and_(column <= value, or_(column < value, key < run_id))
    return and_(column >= value, or_(column > value, key > run_id))


def _phases(project_key: int, names: Names, order: Order) -> list[_Phase]:
    if order.key is None:
        return [_by_time(project_key, order.descending)]
    key = names.keys.get(order.key)
    if key is None:
        return [_by_time(project_key, descending=True)]
    phases = [_by_number(key, order.descending), _by_text(key, order.descending)]
    if key.runs < names.runs:  # else the search for runs without the value would look at every run in vain
        phases.append(_without(project_key, key))
    return phases


def _by_time(project_key: int, descending: bool) -> _Phase:
    index = run.c.project_id == project_key
    mine = and_(index, run.c.deleted_at.is_(None))
    return _Phase(index, mine, _HAPPENED, AT_RUN, _when_happened(true()), descending)


def _by_number(key: KeyRow, descending: bool) -> _Phase:
    return _by_value(key, run_value.c.num, run_value.c.num.is_not(None), descending)


def _by_text(key: KeyRow, descending: bool) -> _Phase:
    is_text = and_(run_value.c.txt.is_not(None), run_value.c.num.is_(None))
    return _by_value(key, run_value.c.txt, is_text, descending)


def _by_value(key: KeyRow, value: ColumnElement[Any], is_of_phase: ColumnElement[bool], descending: bool) -> _Phase:
    range_ = and_(run_value.c.key_id == key.id, is_of_phase)
    site = Site(run_value.c.run_id, value=run_value, value_key=key.id)
    look_up = lambda run_id: select(value).where(range_, run_value.c.run_id == run_id).correlate_except(run_value)  # noqa: E731
    return _Phase(range_, range_, value, site, look_up, descending)


def _without(project_key: int, key: KeyRow) -> _Phase:
    value = run_value.alias()
    has_value = select(literal(1)).where(value.c.run_id == run.c.id, value.c.key_id == key.id).exists()
    index = run.c.project_id == project_key
    mine = and_(index, run.c.deleted_at.is_(None), ~has_value)
    return _Phase(index, mine, _HAPPENED, AT_RUN, _when_happened(~has_value), descending=True)


def _when_happened(is_of_phase: ColumnElement[bool]) -> Callable[[ColumnElement[int]], Select[Any]]:
    return lambda run_id: select(_HAPPENED).where(run.c.id == run_id, is_of_phase).correlate_except(run)
