"""How a filter is evaluated: along an index until the page is full, or from one selective condition.

A *walk* goes along the index that a page is sorted by and looks at each run. A *drive* goes through all runs that meet
one condition, in the index of its value, and sorts those that meet the others. Both give the same runs. No database
chooses well between the two (PostgreSQL by itself took 11.8 s where a walk takes 32 ms; hub.md B1), so it is done here,
by counting. That takes the conditions for independent of the order. Where they are not (a high loss, best accuracy
first), a walk would look at most runs, so it ends after some, and the drive follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from math import inf, prod, sqrt
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, literal, select, true

from hub_server.domain.filters import Among, And, Comparison, Filter
from hub_server.store.run_filter import Conditions, Site
from hub_server.store.run_names import Names
from hub_server.store.schema import run, run_value

DRIVE_MOST = 20_000
"""Runs beyond which a condition is not selective; to count so many takes a millisecond."""
SET_WORTH = {"sqlite": 2, "postgresql": 16}
"""How many runs of a condition are read from its index in the time that it takes to look at one run's value."""
SET_MOST = 8 * DRIVE_MOST
"""Runs beyond which a set is not worth counting."""
PATIENCE = 2
"""How many times as far as expected a walk goes."""
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


class Driver(Struct, frozen=True, kw_only=True):
    """A selective condition: `rows` of `run_value`, all of one key, in a range of an index; or what a search finds.

    `part` is the filter's part that it is, `count` how many rows there are, counted to `most`.
    """

    part: Filter
    rows: FromClause
    key: int
    range: ColumnElement[bool]
    count: int = 0
    most: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether it names values. PostgreSQL takes ranges for much larger than they are, and does not hash them."""
        return isinstance(self.part, Among) or (isinstance(self.part, Comparison) and self.part.operator == "=")

    @property
    def site(self) -> Site:
        """One of the rows."""
        return Site(self.rows.c.run_id, value=self.rows, value_key=self.key)

    def of(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the rows."""
        return select(*columns).select_from(self.rows).where(self.range)

    def has(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, all of which are read once."""
        return run_id.in_(self.of(self.rows.c.run_id))


class Narrowing(Struct, frozen=True, kw_only=True):
    """A filter in a query.

    Attributes:
        driver: Its most selective condition, where an index has one.
        reach: How many runs a walk may look at before it gives way to the drive; 0 to drive at once, None for all.
        walked_sets: Conditions whose runs are found sooner all together than one by one for the runs of a walk.
        driven_sets: The same for the driver's runs.
    """

    filter: Filter
    conditions: Conditions
    driver: Driver | None = None
    reach: int | None = None
    walked_sets: Mapping[Filter, Driver] = {}
    driven_sets: Mapping[Filter, Driver] = {}

    @property
    def drives_by(self) -> Driver | None:
        """What to drive by at once; None to walk."""
        return self.driver if self.reach == 0 else None

    def driving(self) -> Narrowing:
        """The same without a walk, where there is something to drive by."""
        return structs.replace(self, reach=0)

    def walked(self, query: Select[Any], site: Site) -> Select[Any]:
        """The query's rows that meet the filter."""
        for part in _parts(self.filter):
            found = self.walked_sets.get(part)
            if found is None or found.key == site.value_key:  # that is a range of the index that is walked along
                query = query.where(self.conditions.of(part, site))
            else:
                query = query.where(found.has(site.run_id).is_(true()))  # or else it would be joined, and sorted anew
        return query

    def driven(self, driver: Driver, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the runs that meet the filter, from the driver's rows."""
        query = driver.of(*columns)
        for part in _parts(self.filter):
            if part in self.driven_sets:
                query = query.where(self.driven_sets[part].has(driver.site.run_id))
            elif part != driver.part:
                query = query.where(self.conditions.of(part, driver.site))
        return query


def narrow(connection: Connection, selection: Selection, names: Names, limit: int) -> Narrowing | None:
    """How to find the `limit` first runs that meet the selection's filter; None where there is none.

    `names` has those that the filter uses.
    """
    if selection.filter is None:
        return None
    conditions = Conditions(names.keys, selection.now, connection.dialect.name, selection.project_key)
    narrowing = Narrowing(filter=selection.filter, conditions=conditions)
    found = _drivers(selection.filter, conditions)
    if not found:
        return narrowing
    drivers = _estimate(connection, found, limit * names.runs)
    driver, *others = sorted(drivers, key=lambda one: one.count)
    share = prod(min(1.0, one.count / max(names.runs, 1)) for one in drivers)
    walk = limit / share if share else inf
    reach = _reach(driver.count, walk)
    walked = {} if reach == 0 else _sets(connection, [one for one in drivers if one.is_exact], walk)
    driven = {} if driver.count == DRIVE_MOST else _sets(connection, others, driver.count)
    return structs.replace(narrowing, driver=driver, reach=reach, walked_sets=walked, driven_sets=driven)


def _sets(connection: Connection, drivers: list[Driver], looked_at: float) -> dict[Filter, Driver]:
    """Those of the conditions that have few enough runs to be read all, where so many runs are looked at."""
    most = round(min(SET_MOST, looked_at * SET_WORTH[connection.dialect.name]))
    few = [one for one in drivers if one.count <= most]
    unknown = _counted(connection, [one for one in few if one.count == one.most], most + 1)
    return {one.part: one for one in few if one.count < one.most} | {
        one.part: one for one in unknown if one.count <= most
    }


def _estimate(connection: Connection, drivers: list[Driver], product: int) -> list[Driver]:
    """Count the conditions as far as that can matter; `product` is that of the runs of the page and of the project.

    What fewer runs than its square root meet is driven by, however many meet the others: a walk would be longer.
    """
    enough = round(min(DRIVE_MOST, sqrt(product))) if len(drivers) > 1 else DRIVE_MOST
    counted = _counted(connection, drivers, enough)
    if enough == DRIVE_MOST or any(one.count < enough for one in counted):
        return counted
    return _counted(connection, drivers, DRIVE_MOST)


def _reach(drive: int, walk: float) -> int | None:
    """How far to walk, where a drive looks at so many runs (counted to `DRIVE_MOST`) and a walk probably at so many."""
    if drive < min(DRIVE_MOST, walk):
        return 0
    return round(PATIENCE * walk) if drive < DRIVE_MOST else None


def _drivers(filter_: Filter, conditions: Conditions) -> list[Driver]:
    """What every run that meets the filter must meet, as far as an index has it."""
    found = []
    for number, part in enumerate(_parts(filter_)):
        rows = _rows(number)
        range_ = conditions.range(part, rows)
        if range_ is not None:
            found.append(Driver(part=part, rows=rows, key=range_[0], range=range_[1]))
        elif (words := conditions.search(part)) is not None:
            found.append(Driver(part=part, rows=words.subquery(), key=NO_KEY, range=true()))
    return found


@cache
def _rows(number: int) -> FromClause:
    """Rows of values for the part of this number; made once, as a filter has only so many parts."""
    return run_value.alias(f"rows_{number}")


def _parts(filter_: Filter) -> Sequence[Filter]:
    """What all has to be met."""
    return filter_.parts if isinstance(filter_, And) else (filter_,)


def _counted(connection: Connection, drivers: list[Driver], most: int) -> list[Driver]:
    """The same, counted to `most`, all in one statement."""
    if not drivers:
        return []
    some = [one.of(literal(1)).limit(most).subquery() for one in drivers]
    counts = connection.execute(select(*(select(func.count()).select_from(one).scalar_subquery() for one in some)))
    return [structs.replace(one, count=count, most=most) for one, count in zip(drivers, counts.one(), strict=True)]


def count_runs(connection: Connection, project_key: int, narrowing: Narrowing) -> tuple[int, bool]:
    """How many runs of a project meet a filter, counted to `COUNT_MOST`, and whether that is all of them.

    No order has to be kept here, so a drive is the shorter way.
    """
    if narrowing.driver is None:
        mine = (run.c.project_id == project_key) & run.c.deleted_at.is_(None)
        query = narrowing.walked(select(literal(1)).where(mine), AT_RUN)
    else:
        query = narrowing.driven(narrowing.driver, literal(1))
    counted = select(func.count()).select_from(query.limit(COUNT_MOST + 1).subquery())
    count: int = connection.execute(counted).scalar_one()
    return min(count, COUNT_MOST), count <= COUNT_MOST
