"""Choosing a plan for a filter (`run_plan`), which no database does well.

PostgreSQL by itself took 11.8 s where a walk takes 32 ms (hub.md B1). So runs that meet each condition are counted, as
far as that can matter. That takes the conditions for independent of each other and of the order. Where they are not (a
high loss, best accuracy first), a walk would look at most runs, so it ends after some, and the drive follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from math import inf, isqrt, prod

from msgspec import Struct, structs
from sqlalchemy import Connection, FromClause, func, literal, select, true

from hub_server.domain.filters import Filter
from hub_server.store.run_filter import Conditions
from hub_server.store.run_names import Names
from hub_server.store.run_plan import COUNT_MOST, Driver, Narrowing, Selection, Total, parts_of
from hub_server.store.schema import run_value

DRIVE_MOST = 20_000
"""Runs beyond which a condition is not selective; to count so many takes a millisecond."""
LOOK_UP_COST = {"sqlite": 6, "postgresql": 24}
"""What it costs to look one run's value up, in runs of a set: each one that is read, and each that is sought in it."""
SET_MOST, MAX_SETS = 8 * DRIVE_MOST, 3
"""The most runs that a set probably has, and the most sets of a drive."""
PATIENCE, PATIENCE_IN_DOUBT = 1.5, 3
"""How many times as far a walk goes as it has to at most, and as is to be expected where not all is counted."""
HASTE = 10
"""How many runs a walk looks at for each one of the page before more is counted than shows that many meet a filter."""

NO_KEY = -1
"""The key of rows that are no values."""


def plans(
    connection: Connection, selection: Selection, filter_: Filter, names: Names, limit: int
) -> Iterator[Narrowing]:
    """Ways to find the `limit` first runs of a selection that meet its filter.

    Each is for where the one before has gone as far as it may; the last one may go all the way. `names` has those that
    the filter uses.
    """
    conditions = Conditions(names.keys, selection.now, connection.dialect.name, selection.project_key)
    narrowing = Narrowing(filter=filter_, conditions=conditions)
    drivers = _drivers(filter_, conditions)
    if not drivers:
        yield narrowing
        return
    scale = _Scale(max(names.runs, 1), limit, LOOK_UP_COST[connection.dialect.name])
    gone = 0
    some = _counted(connection, drivers, scale.runs, scale.few)
    if not any(one.is_counted for one in some):
        if len(drivers) == 1:
            gone = HASTE * limit
            yield structs.replace(narrowing, driver=some[0], reach=gone, total=_total(narrowing, some))
        if scale.few < DRIVE_MOST:
            some = _counted(connection, drivers, scale.runs, DRIVE_MOST)
    careful = _planned(narrowing, sorted(some, key=lambda one: one.about), scale)
    if careful.reach is None or careful.reach > gone:
        yield careful
    if careful.reach is not None:
        yield careful.driving()


def _planned(narrowing: Narrowing, drivers: list[Driver], scale: _Scale) -> Narrowing:
    """What to do where the runs that meet each condition are counted, the most selective condition first."""
    driver, *others = drivers
    reach = _reach(drivers, scale)
    return structs.replace(
        narrowing,
        driver=driver,
        reach=reach,
        total=_total(narrowing, drivers),
        walked_sets={} if reach == 0 else _walked_sets(drivers, scale),
        driven_sets=_driven_sets(driver, others, scale),
    )


def _total(narrowing: Narrowing, drivers: list[Driver]) -> Total | None:
    """How many runs meet a filter that is nothing but one condition."""
    driver, *others = drivers
    if others or len(parts_of(narrowing.filter)) > 1:
        return None
    return (driver.count, True) if driver.is_counted else (min(driver.count, COUNT_MOST), False)


class _Scale(Struct, frozen=True):
    """How many runs the project has, and the page; and what a look-up costs (`LOOK_UP_COST`)."""

    runs: int
    limit: int
    look_up_cost: int

    @property
    def few(self) -> int:
        """How far to count at first.

        A condition that fewer runs of a large project meet is driven by, however many meet the others: no walk would be
        shorter.
        """
        return min(max(isqrt(self.limit * self.runs), COUNT_MOST) + 1, DRIVE_MOST)

    def walk(self, counts: Iterable[int]) -> float:
        """How many runs are looked at until the page is full, where so many meet each condition."""
        share = prod(count / self.runs for count in counts)
        return self.limit / share if share else inf

    def is_worth_a_set(self, driver: Driver, looked_at: float) -> bool:
        """Whether to read all runs that meet a condition, where so many runs are looked at."""
        return driver.about <= min(SET_MOST, looked_at * (self.look_up_cost - 1))


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
    by_set = (drive.count + walk) / scale.look_up_cost + walk * drive.count / scale.runs
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
    return {one.part: one for one in worth[:MAX_SETS]}


def _drivers(filter_: Filter, conditions: Conditions) -> list[Driver]:
    """What every run that meets the filter must meet, as far as an index has it."""
    found = []
    for number, part in enumerate(parts_of(filter_)):
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


def _counted(connection: Connection, drivers: list[Driver], runs: int, most: int) -> list[Driver]:
    """The same, counted all in one statement; what `most` or more runs meet, is taken for halfway from that to all."""
    some = [one.of(literal(1)).limit(most).subquery() for one in drivers]
    counts = select(*(select(func.count()).select_from(one).scalar_subquery() for one in some))
    halfway = isqrt(most * max(runs, most))
    return [
        structs.replace(one, count=count, is_counted=count < most, about=count if count < most else halfway)
        for one, count in zip(drivers, connection.execute(counts).one(), strict=True)
    ]
