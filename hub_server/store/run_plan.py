"""How a filter is evaluated: along an index until the page is full, or from one selective condition.

A *walk* goes along the index that a page is sorted by and looks at each run. A *drive* goes through all runs that meet
one condition, in the index of its value, and sorts those that meet the others. Both give the same runs. Either may look
values up run by run, or first read all runs that meet a condition, as a *set*. `run_planner` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, cast

from msgspec import Struct, structs
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal,
    select,
    true,
)

from hub_server.domain.filters import Filter
from hub_server.store import search
from hub_server.store.run_filter import Site, condition, is_named
from hub_server.store.run_shape import OfWords, Shape, range_key, size_of
from hub_server.store.schema import run, run_value

COUNT_MOST = 1_000
"""Runs beyond which those that meet a filter are not counted."""
MOST_KEPT, LARGEST_KEPT = 512, 8
"""How many statements of a kind are kept, and how many conditions they may have: one of 50 takes 1 MB."""

Total = tuple[int, bool]
"""How many runs there are, and whether that is exact or that many at least."""

AT_RUN = Site(run.c.id, run=run)
IS_OF_PROJECT = run.c.project_id == bindparam("project")
IS_LISTED = and_(IS_OF_PROJECT, run.c.deleted_at.is_(None))


class Selection(Struct, frozen=True, kw_only=True):
    """Which runs of a project: those that meet `filter`, all without one. `now` is what its "ago" counts from."""

    project_key: int
    filter: Filter | None = None
    now: datetime


class Source(Struct, frozen=True):
    """An index that has all runs that meet a part of a filter: of values, or of words."""

    number: int
    part: Shape

    @property
    def count(self) -> str:
        """The parameter that says how many runs those are."""
        return f"count_{self.number}"


class Rows:
    """The rows of a source, in one statement."""

    def __init__(self, source: Source) -> None:
        self.part = source.part
        self._count = source.count
        if isinstance(source.part, OfWords):
            self._rows: FromClause = search.matching(source.part.system, source.part.terms).subquery()
            self._range: ColumnElement[bool] = true()
            self.site = Site(self._rows.c.run_id)
        else:
            key = cast("str", range_key(source.part))  # no other parts are sources
            self._rows = run_value.alias()
            self.site = Site(self._rows.c.run_id, value=self._rows, key=key)
            self._range = and_(is_named(self._rows, key), condition(source.part, self.site))

    def of(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the rows."""
        return select(*columns).select_from(self._rows).where(self._range)

    def semi_join(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, which the database may take for a join."""
        return run_id.in_(self.of(self.site.run_id))

    def in_set(self, run_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a run is among them, all of which are read once; runs that are asked about stay in their order.

        The limit, which all of them meet, tells PostgreSQL how many there are: it takes ranges for much larger.
        """
        return run_id.in_(self.of(self.site.run_id).limit(bindparam(self._count))).is_(true())


class Way(Struct, frozen=True, kw_only=True):
    """How runs that meet a filter are found: what a statement is made for.

    Attributes:
        parts: What all has to be met; nothing where all runs are wanted.
        driver: Where to drive from, if there is something to drive by.
        walked_sets: Conditions whose runs are found sooner all together than one by one for the runs of a walk.
        driven_sets: The same for the driver's runs.
    """

    parts: tuple[Shape, ...] = ()
    driver: Source | None = None
    walked_sets: tuple[Source, ...] = ()
    driven_sets: tuple[Source, ...] = ()

    @property
    def is_large(self) -> bool:
        """Whether its statements are too large to be kept."""
        return sum(map(size_of, self.parts)) > LARGEST_KEPT

    def walked(self, query: Select[Any], site: Site) -> Select[Any]:
        """The query's rows that meet the filter."""
        as_sets = {one.part: one for one in self.walked_sets}
        sets, others = [], []
        for part in self._sets_first(as_sets):
            if _is_along(part, site):
                query = query.where(condition(part, site))
            elif part in as_sets:
                sets.append(Rows(as_sets[part]).in_set(site.run_id))
            else:
                others.append(condition(part, site))
        return query.where(*_in_turn(sets, others))

    def driven(self, rows: Rows, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the runs that meet the filter, from the driver's rows."""
        as_sets = {one.part: one for one in self.driven_sets}
        query = rows.of(*columns)
        for part in self._sets_first(as_sets):
            if part in as_sets:
                query = query.where(Rows(as_sets[part]).semi_join(rows.site.run_id))
            elif part != rows.part:
                query = query.where(condition(part, rows.site))
        return query

    def along(self, site: Site) -> Iterator[ColumnElement[bool]]:
        """What of the filter is a range of the index of values that `site` is in."""
        return (condition(part, site) for part in self.parts if _is_along(part, site))

    def _sets_first(self, sets: Mapping[Shape, Source]) -> list[Shape]:
        """What all has to be met. SQLite asks in this order."""
        return [*sets, *(part for part in self.parts if part not in sets)]


P = ParamSpec("P")


def kept(make: Callable[Concatenate[Way, P], Select[Any]]) -> Callable[Concatenate[Way, P], Select[Any]]:
    """Have a function make each statement once, but those of large filters.

    On any thread: should two make the same one at once, either will do.
    """
    once = lru_cache(maxsize=MOST_KEPT)(make)

    @wraps(make)
    def made(way: Way, /, *args: P.args, **named: P.kwargs) -> Select[Any]:
        if way.is_large:
            return make(way, *args, **named)
        return once(way, *args, **named)  # type: ignore[arg-type]  # all of which can be hashed

    return made


def _is_along(part: Shape, site: Site) -> bool:
    return site.key is not None and range_key(part) == site.key


def _in_turn(first: list[ColumnElement[bool]], then: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Conditions that all have to be met; what comes then is asked only where the first are met.

    PostgreSQL would ask for what it takes to be cheaper.
    """
    return [case((and_(*first), and_(*then)), else_=false())] if first and then else [*first, *then]


class Narrowing(Struct, frozen=True, kw_only=True):
    """A filter in a query.

    Attributes:
        parameters: Those of the way's statements: the project's key, that of the name that is sorted by, the values.
        reach: How many runs a walk may look at before it gives way to another plan, None for all; 0 to drive at once,
            where there is something to drive by.
        total: How many runs meet the filter, and whether that is all of them; None where nobody has counted them.
    """

    way: Way
    parameters: Mapping[str, Any]
    reach: int | None = None
    total: Total | None = None

    @property
    def drives(self) -> bool:
        """Whether to drive at once, rather than walk."""
        return self.reach == 0 and self.way.driver is not None

    def ask(self, connection: Connection, query: Select[Any], **parameters: Any) -> Sequence[Row[Any]]:
        """The rows of a statement of the way; the further parameters are those of this statement."""
        options = {"compiled_cache": None} if self.way.is_large else {}
        return connection.execute(query, {**self.parameters, **parameters}, execution_options=options).all()

    def driving(self) -> Narrowing:
        """The same without a walk, where there is something to drive by."""
        return structs.replace(self, reach=0)


def count_runs(connection: Connection, narrowing: Narrowing) -> Total:
    """How many runs of the project meet a filter, counted to `COUNT_MOST`."""
    [(count,)] = narrowing.ask(connection, _counted(narrowing.way), most=COUNT_MOST + 1)
    return min(count, COUNT_MOST), count <= COUNT_MOST


@kept
def _counted(way: Way) -> Select[Any]:
    """How many runs meet a filter, `most` at most. No order has to be kept here, so a drive is the shorter way."""
    if way.driver is None:
        query = way.walked(select(literal(1)).where(IS_LISTED), AT_RUN)
    else:
        query = way.driven(Rows(way.driver), literal(1))
    return select(func.count()).select_from(query.limit(bindparam("most")).subquery())
