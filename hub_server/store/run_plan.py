"""How a filter is evaluated: along an index until the page is full, or from one selective condition.

A *walk* goes along the index that a page is sorted by and looks at each run. A *drive* goes through all runs that meet
one condition, in the index of its value, and sorts those that meet the others. Both give the same runs. Either may look
values up run by run, or first read all runs that meet a condition, as a *set*. No database chooses well between these
(PostgreSQL by itself took 11.8 s where a walk takes 32 ms; hub.md B1), so it is done here, by counting. That takes the
conditions for independent of each other and of the order. Where they are not (a high loss, best accuracy first), a walk
would look at most runs, so it ends after some, and the drive follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from math import inf, isqrt, prod
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, literal, select, true

from hub_server.domain.filters import And, Field, Filter
from hub_server.store.run_filter import Conditions, Site, is_range
from hub_server.store.run_names import Names
from hub_server.store.schema import run, run_value

DRIVE_MOST = 20_000
"""Runs beyond which a condition is not selective; to count so many takes a millisecond."""
LOOK_UP = {"sqlite": 5, "postgresql": 24}
"""What it costs to look one run's value up, in runs of a set: each one that is read, and each that is sought in it."""
SET_MOST, MOST_SETS = 8 * DRIVE_MOST, 3
"""The most runs that a set probably has, and the most sets of a drive."""
PATIENCE, PATIENCE_IN_DOUBT = 2, 3
"""How many times as far a walk goes as it has to at most, and as is to be expected where not all is counted."""
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

    `part` is the filter's part that it is. There are `count` rows or, unless `is_counted`, that many or more: `about`
    so many.
    """

    part: Filter
    rows: FromClause
    key: int
    range: ColumnElement[bool]
    count: int = 0
    is_counted: bool = False
    about: int = 0

    @property
    def site(self) -> Site:
        """One of the rows."""
        return Site(self.rows.c.run_id, value=self.rows, value_key=self.key)

    def of(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the rows."""
        return select(*columns).select_from(self.rows).where(self.range)

    def has(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, which the database may take for a join."""
        return run_id.in_(self.of(self.rows.c.run_id))

    def holds(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, all of which are read once; runs that are asked about stay in their order.

        The limit, which all of them meet, tells PostgreSQL how many there are: it takes ranges for much larger.
        """
        return run_id.in_(self.of(self.rows.c.run_id).limit(self.count)).is_(true())


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
        for part in self._sets_first(self.walked_sets):
            found = self.walked_sets.get(part)
            if found is None or found.key == site.value_key:  # that is a range of the index that is walked along
                query = query.where(self.conditions.of(part, site))
            else:
                query = query.where(found.holds(site.run_id))
        return query

    def driven(self, driver: Driver, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the runs that meet the filter, from the driver's rows."""
        query = driver.of(*columns)
        for part in self._sets_first(self.driven_sets):
            if part in self.driven_sets:
                query = query.where(self.driven_sets[part].has(driver.site.run_id))
            elif part != driver.part:
                query = query.where(self.conditions.of(part, driver.site))
        return query

    def _sets_first(self, sets: Mapping[Filter, Driver]) -> list[Filter]:
        """What all has to be met. SQLite asks in this order."""
        return [*sets, *(part for part in _parts(self.filter) if part not in sets)]


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
    scale = _Scale(max(names.runs, 1), limit, LOOK_UP[connection.dialect.name])
    drivers = sorted(_estimated(connection, found, scale), key=lambda one: one.about)
    driver, *others = drivers
    reach = _reach(drivers, scale)
    return structs.replace(
        narrowing,
        driver=driver,
        reach=reach,
        walked_sets={} if reach == 0 else _walked_sets(drivers, scale),
        driven_sets=_driven_sets(driver, others, scale),
    )


class _Scale(Struct, frozen=True):
    """How many runs the project has, and the page; and what a look-up costs (`LOOK_UP`)."""

    runs: int
    limit: int
    look_up: int

    def walk(self, counts: Iterable[int]) -> float:
        """How many runs are looked at until the page is full, where so many meet each condition."""
        share = prod(count / self.runs for count in counts)
        return self.limit / share if share else inf

    def is_worth_a_set(self, driver: Driver, looked_at: float) -> bool:
        """Whether to read all runs that meet a condition, where so many runs are looked at."""
        return driver.about <= min(SET_MOST, looked_at * (self.look_up - 1))


def _estimated(connection: Connection, drivers: list[Driver], scale: _Scale) -> list[Driver]:
    """The conditions, counted as far as that can matter.

    One that fewer runs meet than would be `enough` is driven by, however many meet the others.
    """
    enough = min(DRIVE_MOST, 1 + isqrt(scale.limit * scale.runs // scale.look_up)) if len(drivers) > 1 else DRIVE_MOST
    counted = _counted(connection, drivers, scale.runs, enough)
    if enough == DRIVE_MOST or any(one.is_counted for one in counted):
        return counted
    return _counted(connection, drivers, scale.runs, DRIVE_MOST)


def _reach(drivers: list[Driver], scale: _Scale) -> int | None:
    """How far to walk, where that is the way to a full page however many runs meet what was not counted to the end.

    A walk looks a value up for each run, or else seeks each in the set, and goes on with those that are in it. A drive
    looks values up for each run of its condition.
    """
    drive = drivers[0]
    if not drive.is_counted:
        return None
    if drive.count == 0:
        return 0
    walk = scale.walk(one.count for one in drivers)
    by_set = (drive.count + walk) / scale.look_up + walk * drive.count / scale.runs
    if drive.count < min(walk, by_set):
        return 0
    return round(min(PATIENCE * walk, PATIENCE_IN_DOUBT * scale.walk(one.about for one in drivers)))


def _walked_sets(drivers: list[Driver], scale: _Scale) -> dict[Filter, Driver]:
    """Those of the conditions that are worth a set for the runs of a walk that have met the more selective ones."""
    looked_at = scale.walk(one.about for one in drivers)
    found = {}
    for one in drivers:
        if one.is_counted and scale.is_worth_a_set(one, looked_at):
            found[one.part] = one
        looked_at *= one.about / scale.runs
    return found


def _driven_sets(driver: Driver, others: list[Driver], scale: _Scale) -> dict[Filter, Driver]:
    """The same for the runs of a drive; few, as each may have more runs than it looks like."""
    worth = [one for one in others if scale.is_worth_a_set(one, driver.count)]
    return {one.part: one for one in worth[:MOST_SETS]}


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


def _parts(filter_: Filter) -> list[Filter]:
    """What all has to be met; what is asked of one value is one part, as it is one range of an index."""
    groups: dict[Field | Filter, list[Filter]] = {}
    for part in _conjuncts(filter_):
        groups.setdefault(part.field if is_range(part) else part, []).append(part)
    return [And(tuple(group)) if len(group) > 1 else group[0] for group in groups.values()]


def _conjuncts(filter_: Filter) -> Iterator[Filter]:
    if isinstance(filter_, And):
        for part in filter_.parts:
            yield from _conjuncts(part)
    else:
        yield filter_


def _counted(connection: Connection, drivers: list[Driver], runs: int, most: int) -> list[Driver]:
    """The same, counted all in one statement; what `most` or more runs meet, is taken for halfway from that to all."""
    some = [one.of(literal(1)).limit(most).subquery() for one in drivers]
    counts = select(*(select(func.count()).select_from(one).scalar_subquery() for one in some))
    halfway = isqrt(most * max(runs, most))
    return [
        structs.replace(one, count=count, is_counted=count < most, about=count if count < most else halfway)
        for one, count in zip(drivers, connection.execute(counts).one(), strict=True)
    ]


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
