"""How a filter is evaluated: along an index until the page is full, or from one selective condition.

A *walk* goes along the index that a page is sorted by and looks at each run. A *drive* goes through all runs that meet
one condition, in the index of its value, and sorts those that meet the others. Both give the same runs. No database
chooses well between the two (PostgreSQL by itself took 11.8 s where a walk takes 32 ms; hub.md B1), so it is done here,
by counting.
"""

from __future__ import annotations

from datetime import datetime
from math import prod
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, literal, select, true

from hub_server.domain.filters import And, Filter
from hub_server.store.run_filter import Conditions, Site, find_keys, names_in
from hub_server.store.schema import project, run, run_value

DRIVE_MOST = 20_000
"""Runs beyond which a condition is not selective; to count so many takes a millisecond."""
COUNT_MOST = 1_000
"""Runs beyond which those that meet a filter are not counted."""

NO_KEY = -1
"""The key of rows that are no values."""

AT_RUN = Site(run.c.id, run=run)


class Selection(Struct, frozen=True, kw_only=True):
    """Which runs of a project: those that meet `filter`, all without one. `now` is what its "ago" counts from."""

    project_key: int
    filter: Filter | None = None
    now: datetime


class Driver(Struct, frozen=True):
    """A selective condition: `rows` of `run_value`, all of one key, in a range of an index; or what a search finds."""

    rows: FromClause
    key: int
    range: ColumnElement[bool]

    @property
    def site(self) -> Site:
        """One of the rows."""
        return Site(self.rows.c.run_id, value=self.rows, value_key=self.key)


class Narrowing(Struct, frozen=True):
    """A filter in a query, driven by one of its conditions or not."""

    filter: Filter
    conditions: Conditions
    driver: Driver | None

    def walked(self, query: Select[Any], site: Site) -> Select[Any]:
        """The query's rows that meet the filter."""
        return query.where(self.conditions.of(self.filter, site))

    def driven(self, driver: Driver, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the runs that meet the filter, from the driver's rows."""
        return self.walked(select(*columns).select_from(driver.rows).where(driver.range), driver.site)


def narrow(connection: Connection, selection: Selection, limit: int, *, may_walk: bool = True) -> Narrowing | None:
    """How to find the `limit` first runs that meet the selection's filter; None where there is none.

    Driven, if that is possible at all, where it must not walk.
    """
    if selection.filter is None:
        return None
    keys = find_keys(connection, selection.project_key, names_in(selection.filter))
    conditions = Conditions(keys, selection.now, connection.dialect.name, selection.project_key)
    driver = _choose_driver(connection, selection, conditions, limit, may_walk=may_walk)
    return Narrowing(selection.filter, conditions, driver)


def _choose_driver(
    connection: Connection, selection: Selection, conditions: Conditions, limit: int, *, may_walk: bool
) -> Driver | None:
    """The most selective condition, if its runs are fewer than those at which a walk would probably have to look."""
    drivers = _drivers(selection.filter, conditions)
    if not drivers:
        return None
    counts = [_count(connection, one) for one in drivers]
    least = min(counts)
    driver = drivers[counts.index(least)]
    if not may_walk or least == 0:
        return driver
    total = connection.execute(select(project.c.runs).where(project.c.id == selection.project_key)).scalar_one()
    walk = limit / prod(min(1.0, count / max(total, 1)) for count in counts)
    return driver if least < min(DRIVE_MOST, walk) else None


def _drivers(filter_: Filter | None, conditions: Conditions) -> list[Driver]:
    """What every run that meets the filter must meet, as far as an index has it."""
    parts = filter_.parts if isinstance(filter_, And) else () if filter_ is None else (filter_,)
    found = []
    for part in parts:
        rows = run_value.alias()
        range_ = conditions.range(part, rows)
        if range_ is not None:
            found.append(Driver(rows, *range_))
        elif (words := conditions.search(part)) is not None:
            found.append(Driver(words.subquery(), NO_KEY, true()))
    return found


def _count(connection: Connection, driver: Driver) -> int:
    some = select(literal(1)).select_from(driver.rows).where(driver.range).limit(DRIVE_MOST).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def count_runs(connection: Connection, selection: Selection) -> tuple[int, bool]:
    """How many runs there are, and whether that is all of them: with a filter, they are counted to `COUNT_MOST`."""
    narrowing = narrow(connection, selection, COUNT_MOST)
    if narrowing is None:
        every = select(project.c.runs).where(project.c.id == selection.project_key)
        return connection.execute(every).scalar_one(), True
    if narrowing.driver is None:
        mine = (run.c.project_id == selection.project_key) & run.c.deleted_at.is_(None)
        query = narrowing.walked(select(literal(1)).where(mine), AT_RUN)
    else:
        query = narrowing.driven(narrowing.driver, literal(1))
    counted = select(func.count()).select_from(query.limit(COUNT_MOST + 1).subquery())
    count: int = connection.execute(counted).scalar_one()
    return min(count, COUNT_MOST), count <= COUNT_MOST
