"""The phases of an order of runs: ranges of indexes, along which pages are read one after the other.

By start time there is a single phase. By a value there are three: runs whose value is a number, runs whose value is a
text only (NaN and the infinities among them), and runs without the value, newest first. Whatever the direction, numbers
come first and runs without the value last.

Statements are executed with the parameters `project` and `key`, the database keys of the project and of the name that
is sorted by.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import (
    BigInteger,
    BindParameter,
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
from hub_server.store.run_filter import Site
from hub_server.store.run_plan import AT_RUN, Driver, Narrowing
from hub_server.store.schema import project, run, run_value

Place = tuple[Any, Any]
"""Where in a phase a run is: the value and the run's database key. Runs with equal values keep one order, so that no
page repeats or skips one."""

_PROJECT: BindParameter[int] = bindparam("project")
_KEY: BindParameter[int] = bindparam("key")
_IS_OF_PROJECT = run.c.project_id == _PROJECT
_IS_LISTED = and_(_IS_OF_PROJECT, run.c.deleted_at.is_(None))
_HAPPENED: ColumnElement[int] = type_coerce(run.c.happened_at, BigInteger)
"""Microseconds rather than a datetime: that is what a cursor can hold."""
_ALL = select(project.c.runs).where(project.c.id == _PROJECT).scalar_subquery()


class Phase(Struct, frozen=True, eq=False):
    """A range of an index, in which `value` and what is at hand at `site` can be read.

    `index` is that range, `range` what of it belongs to the list. `look_up` gives the same value for any run; NULL says
    that the run is not of this phase. Each phase is made once.
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
        self, query: Select[Any], value: ColumnElement[Any], run_id: ColumnElement[int], after: Place | None
    ) -> Select[Any]:
        """A query's rows in order, those that follow `after`."""
        if after is not None:
            query = query.where(_beyond(value, run_id, *after, descending=self.descending))
        return query.order_by(*(column.desc() if self.descending else column.asc() for column in (value, run_id)))

    def walked(self, narrowing: Narrowing, key: int | None, after: Place | None, end: Place | None) -> Select[Any]:
        """The rows in order that meet the filter, up to `end`; `key` is the name's that is sorted by."""
        query = narrowing.walked(self.rows(null(), self.range), self._site_of(key))
        if end is not None:
            query = query.where(_beyond(self.value, self.site.run_id, *end, descending=not self.descending))
        return self.in_order(query, self.value, self.site.run_id, after)

    def walked_on(self, narrowing: Narrowing, key: int | None, after: Place | None) -> Select[Any]:
        """The rows in order that a walk looks at."""
        query = self.rows(null(), self.index).where(*narrowing.along(self._site_of(key)))
        return self.in_order(query, self.value, self.site.run_id, after)

    def driven(self, narrowing: Narrowing, driver: Driver, after: Place | None) -> Select[Any]:
        """The rows in order that meet the filter; `total` is how many there are."""
        value = self.look_up(driver.site.run_id).scalar_subquery().label("value")
        # Materialized, so that the value is looked up once, and only for the runs that meet the filter.
        found = narrowing.driven(driver, value, driver.site.run_id).cte("driven").prefix_with("MATERIALIZED")
        total = select(func.count()).select_from(found).scalar_subquery().label("total")
        query: Select[Any] = select(found.c.value, found.c.run_id, total).where(found.c.value.is_not(None))
        return self.in_order(query, found.c.value, found.c.run_id, after)

    def _site_of(self, key: int | None) -> Site:
        return self.site if self.site.value is None else structs.replace(self.site, value_key=key)


def phases_by_time(*, descending: bool) -> list[Phase]:
    """That of an order by start time."""
    return [_by_time(descending=descending)]


def phases_by_value(uses: int, runs_in_all: int, *, descending: bool) -> list[Phase]:
    """Those of an order by a value that so many of the project's runs have."""
    found = [_by_number(descending=descending), _by_text(descending=descending)]
    if uses < runs_in_all:  # else the search for runs without the value would look at every run in vain
        found.append(_without())
    return found


@cache
def everything(phase: Phase, *, goes_on: bool) -> Select[Any]:
    """A phase's rows with what `runs.complete` needs, and value, run_id and total: how many runs the project has.

    Its parameters are `small` (`runs.small_of`), `limit` and, where it goes on after a place, `value` and `run`. The
    rows come in no order, as that of the documents would have to be made. To make the statement once halves what the
    whole page costs.
    """
    value, run_id = phase.value, phase.site.run_id
    after = (bindparam("value", type_=value.type), bindparam("run", type_=run_id.type)) if goes_on else None
    page = phase.in_order(phase.rows(_ALL, phase.range), value, run_id, after).limit(bindparam("limit"))
    return runs.select_runs(page.subquery("page"))


def _beyond(
    column: ColumnElement[Any], key: ColumnElement[int], value: Any, run_id: Any, *, descending: bool
) -> ColumnElement[bool]:
    """A range of the index, which "less, or equal and …" is not: no database would skip what comes before."""
    if descending:
        return and_(column <= value, or_(column < value, key < run_id))
    return and_(column >= value, or_(column > value, key > run_id))


@cache
def _by_time(*, descending: bool) -> Phase:
    return Phase(_IS_OF_PROJECT, _IS_LISTED, _HAPPENED, AT_RUN, _when_happened(true()), descending)


@cache
def _by_number(*, descending: bool) -> Phase:
    return _by_value(run_value.c.num, run_value.c.num.is_not(None), descending)


@cache
def _by_text(*, descending: bool) -> Phase:
    is_text = and_(run_value.c.txt.is_not(None), run_value.c.num.is_(None))
    return _by_value(run_value.c.txt, is_text, descending)


def _by_value(value: ColumnElement[Any], is_of_phase: ColumnElement[bool], descending: bool) -> Phase:
    range_ = and_(run_value.c.key_id == _KEY, is_of_phase)
    site = Site(run_value.c.run_id, value=run_value)
    look_up = lambda run_id: select(value).where(range_, run_value.c.run_id == run_id).correlate_except(run_value)  # noqa: E731
    return Phase(range_, range_, value, site, look_up, descending)


@cache
def _without() -> Phase:
    value = run_value.alias()
    has_value = select(literal(1)).where(value.c.run_id == run.c.id, value.c.key_id == _KEY).exists()
    is_of_phase = and_(_IS_LISTED, ~has_value)
    return Phase(_IS_OF_PROJECT, is_of_phase, _HAPPENED, AT_RUN, _when_happened(~has_value), descending=True)


def _when_happened(is_of_phase: ColumnElement[bool]) -> Callable[[ColumnElement[int]], Select[Any]]:
    return lambda run_id: select(_HAPPENED).where(run.c.id == run_id, is_of_phase).correlate_except(run)
