"""How a filter is evaluated: along an index until the page is full, or from one selective condition.

A *walk* goes along the index that a page is sorted by and looks at each run. A *drive* goes through all runs that meet
one condition, in the index of its value, and sorts those that meet the others. Both give the same runs. Either may look
values up run by run, or first read all runs that meet a condition, as a *set*. `run_planner` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, false, func, literal, select, true

from hub_server.domain.filters import And, Field, Filter
from hub_server.store.run_filter import Conditions, Site, is_range
from hub_server.store.schema import run

COUNT_MOST = 1_000
"""Runs beyond which those that meet a filter are not counted."""

Total = tuple[int, bool]
"""How many runs there are, and whether that is exact or that many at least."""

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

    def semi_join(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, which the database may take for a join."""
        return run_id.in_(self.of(self.rows.c.run_id))

    def in_set(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, all of which are read once; runs that are asked about stay in their order.

        The limit, which all of them meet, tells PostgreSQL how many there are: it takes ranges for much larger.
        """
        return run_id.in_(self.of(self.rows.c.run_id).limit(self.count)).is_(true())


class Narrowing(Struct, frozen=True, kw_only=True):
    """A filter in a query.

    Attributes:
        driver: Its most selective condition, where an index has one.
        reach: How many runs a walk may look at before it gives way to another plan, None for all; 0 to drive at once,
            where there is something to drive by.
        total: How many runs meet the filter, and whether that is all of them; None where nobody has counted them.
        walked_sets: Conditions whose runs are found sooner all together than one by one for the runs of a walk.
        driven_sets: The same for the driver's runs.
    """

    filter: Filter
    conditions: Conditions
    driver: Driver | None = None
    reach: int | None = None
    total: Total | None = None
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
        sets, others = [], []
        for part in self._sets_first(self.walked_sets):
            if self._is_along(part, site):
                query = query.where(self.conditions.of(part, site))
            elif part in self.walked_sets:
                sets.append(self.walked_sets[part].in_set(site.run_id))
            else:
                others.append(self.conditions.of(part, site))
        return query.where(*_in_turn(sets, others))

    def driven(self, driver: Driver, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the runs that meet the filter, from the driver's rows."""
        query = driver.of(*columns)
        for part in self._sets_first(self.driven_sets):
            if part in self.driven_sets:
                query = query.where(self.driven_sets[part].semi_join(driver.site.run_id))
            elif part != driver.part:
                query = query.where(self.conditions.of(part, driver.site))
        return query

    def along(self, site: Site) -> Iterator[ColumnElement[bool]]:
        """What of the filter is a range of the index of values that `site` is in."""
        return (self.conditions.of(part, site) for part in parts_of(self.filter) if self._is_along(part, site))

    def _is_along(self, part: Filter, site: Site) -> bool:
        found = None if site.value is None else self.conditions.range(part, site.value)
        return found is not None and found[0] == site.value_key

    def _sets_first(self, sets: Mapping[Filter, Driver]) -> list[Filter]:
        """What all has to be met. SQLite asks in this order."""
        return [*sets, *(part for part in parts_of(self.filter) if part not in sets)]


def _in_turn(first: list[ColumnElement[bool]], then: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Conditions that all have to be met; what comes then is asked only where the first are met.

    PostgreSQL would ask for what it takes to be cheaper.
    """
    return [case((and_(*first), and_(*then)), else_=false())] if first and then else [*first, *then]


def parts_of(filter_: Filter) -> list[Filter]:
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


def count_runs(connection: Connection, project_key: int, narrowing: Narrowing) -> Total:
    """How many runs of a project meet a filter, counted to `COUNT_MOST`.

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
