"""The phases of an order of runs: ranges of indexes, along which pages are read one after the other.

By start time there is a single phase. By a value there are three: runs whose value is a number, runs whose value is a
text only (NaN and the infinities among them), and runs without the value, newest first. Whatever the direction, numbers
come first and runs without the value last.

Statements are made once for each way and phase. They are executed with the way's parameters; those that go on after a
place, with its `value` and `run`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
)

from hub_server.store import runs
from hub_server.store.run_filter import Site, is_named
from hub_server.store.run_plan import AT_RUN, IS_LISTED, IS_OF_PROJECT, Rows, Way, kept
from hub_server.store.run_shape import SORTED_BY
from hub_server.store.schema import project, run, run_value

_HAPPENED: ColumnElement[int] = type_coerce(run.c.happened_at, BigInteger)
"""Microseconds rather than a datetime: that is what a cursor can hold."""
_ALL = select(project.c.runs).where(project.c.id == bindparam("project")).scalar_subquery()

AFTER, END = ("value", "run"), ("end_value", "end_run")
"""The parameters that have the place after which a list goes on, and the one at which a walk ends."""


class Phase(Struct, frozen=True, eq=False):
    """A range of an index, in which `value` and what is at hand at `site` can be read.

    `index` is that range, `range` what of it belongs to the list. `look_up` gives the same value for any run; NULL says
    that the run is not of this phase. Runs with equal values keep one order, so that no page repeats or skips one. Each
    phase is made once.
    """

    index: ColumnElement[bool]
    range: ColumnElement[bool]
    value: ColumnElement[Any]
    site: Site
    look_up: Callable[[ColumnElement[int]], Select[Any]]
    descending: bool

    def rows(self, total: ColumnElement[Any], among: ColumnElement[bool]) -> Select[Any]:
        """Rows of value, run_id and `total`, those of `among`, in no order."""
        return select(self.value.label("value"), self.site.run_id.label("run_id"), total.label("total")).where(among)

    def in_order(
        self, query: Select[Any], value: ColumnElement[Any], run_id: ColumnElement[int], *, goes_on: bool
    ) -> Select[Any]:
        """A query's rows in order; those after a place, where it goes on."""
        if goes_on:
            query = query.where(self.beyond(value, run_id, AFTER, descending=self.descending))
        return query.order_by(*(column.desc() if self.descending else column.asc() for column in (value, run_id)))

    def beyond(
        self, value: ColumnElement[Any], run_id: ColumnElement[int], place: tuple[str, str], *, descending: bool
    ) -> ColumnElement[bool]:
        """What comes after a place; a range of the index, which "less, or equal and …" is not.

        No database would skip what comes before.
        """
        least = bindparam(place[0], type_=self.value.type)
        key = bindparam(place[1], type_=self.site.run_id.type)
        if descending:
            return and_(value <= least, or_(value < least, run_id < key))
        return and_(value >= least, or_(value > least, run_id > key))


def phases_by_time(*, descending: bool) -> list[Phase]:
    """That of an order by start time."""
    return [_by_time(descending=descending)]


def phases_by_value(uses: int, runs_in_all: int, *, descending: bool) -> list[Phase]:
    """Those of an order by a value that so many of the project's runs have."""
    found = [_by_number(descending=descending), _by_text(descending=descending)]
    if uses < runs_in_all:  # else the search for runs without the value would look at every run in vain
        found.append(_without())
    return found


@kept
def page(way: Way, phase: Phase, *, drives: bool, goes_on: bool, ends: bool) -> Select[Any]:
    """A phase's rows with what `runs.complete` needs, and value, run_id and total.

    Those that are driven to, or else those on a walk, which `ends` at a place. `total` is how many runs the list has,
    if that comes to light. The further parameters are `limit` and `small` (`runs.small_of`). The rows come in no order,
    as that of the documents would have to be made.
    """
    if drives and way.driver is not None:
        query = _driven(way, phase, Rows(way.driver), goes_on=goes_on)
    else:
        query = _walked(way, phase, goes_on=goes_on, ends=ends)
    return runs.select_runs(query.limit(bindparam("limit")).subquery("page"))


@kept
def end(way: Way, phase: Phase, *, goes_on: bool) -> Select[Any]:
    """The row at which a walk has looked at as many runs as the parameter `reach` says, if there are more."""
    rows = phase.rows(null(), phase.index).where(*way.along(phase.site))
    query = phase.in_order(rows, phase.value, phase.site.run_id, goes_on=goes_on)
    return query.offset(bindparam("reach")).limit(1)


def _walked(way: Way, phase: Phase, *, goes_on: bool, ends: bool) -> Select[Any]:
    value, run_id = phase.value, phase.site.run_id
    rows = phase.rows(null() if way.parts else _ALL, phase.range)
    query = way.walked(rows, phase.site)
    if ends:
        query = query.where(phase.beyond(value, run_id, END, descending=not phase.descending))
    return phase.in_order(query, value, run_id, goes_on=goes_on)


def _driven(way: Way, phase: Phase, rows: Rows, *, goes_on: bool) -> Select[Any]:
    value = phase.look_up(rows.site.run_id).scalar_subquery().label("value")
    # Materialized, so that the value is looked up once, and only for the runs that meet the filter.
    found = way.driven(rows, value, rows.site.run_id).cte("driven").prefix_with("MATERIALIZED")
    total = select(func.count()).select_from(found).scalar_subquery().label("total")
    query: Select[Any] = select(found.c.value, found.c.run_id, total).where(found.c.value.is_not(None))
    return phase.in_order(query, found.c.value, found.c.run_id, goes_on=goes_on)


@cache
def _by_time(*, descending: bool) -> Phase:
    return Phase(IS_OF_PROJECT, IS_LISTED, _HAPPENED, AT_RUN, _when_happened(true()), descending)


@cache
def _by_number(*, descending: bool) -> Phase:
    return _by_value(run_value.c.num, run_value.c.num.is_not(None), descending)


@cache
def _by_text(*, descending: bool) -> Phase:
    is_text = and_(run_value.c.txt.is_not(None), run_value.c.num.is_(None))
    return _by_value(run_value.c.txt, is_text, descending)


def _by_value(value: ColumnElement[Any], is_of_phase: ColumnElement[bool], descending: bool) -> Phase:
    range_ = and_(is_named(run_value, SORTED_BY), is_of_phase)
    site = Site(run_value.c.run_id, value=run_value, key=SORTED_BY)
    look_up = lambda run_id: select(value).where(range_, run_value.c.run_id == run_id).correlate_except(run_value)  # noqa: E731
    return Phase(range_, range_, value, site, look_up, descending)


@cache
def _without() -> Phase:
    value = run_value.alias()
    has_value = select(literal(1)).where(value.c.run_id == run.c.id, is_named(value, SORTED_BY)).exists()
    is_of_phase = and_(IS_LISTED, ~has_value)
    return Phase(IS_OF_PROJECT, is_of_phase, _HAPPENED, AT_RUN, _when_happened(~has_value), descending=True)


def _when_happened(is_of_phase: ColumnElement[bool]) -> Callable[[ColumnElement[int]], Select[Any]]:
    return lambda run_id: select(_HAPPENED).where(run.c.id == run_id, is_of_phase).correlate_except(run)
