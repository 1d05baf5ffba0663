"""Choosing a plan for a filter (`run_plan`), which no database does well.

PostgreSQL by itself took 11.8 s where a walk takes 32 ms, among a million runs. So runs that meet each condition are
counted, as far as that can matter. That takes the conditions for independent of each other and of the order. Where
they are not (a high loss, best accuracy first), a walk would look at most runs, so it ends after some, and the drive
follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from math import inf, isqrt, prod
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import Connection, Select, bindparam, func, literal, select

from hub_server.store.run_names import Key, Names
from hub_server.store.run_plan import COUNT_MOST, Narrowing, Rows, Selection, Source, Total, Way, kept
from hub_server.store.run_shape import OfWords, Shaper, parts_of, range_key

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


class Counted(Struct, frozen=True, kw_only=True):
    """A source: there are `count` rows or, unless `is_counted`, that many or more: `about` so many."""

    source: Source
    count: int
    is_counted: bool
    about: int


def plans(
    connection: Connection,
    selection: Selection,
    names: Names,
    sorted_by: Key | None,
    limit: int,
    *,
    remembered: Way | None = None,
) -> Iterator[Narrowing]:
    """Ways to find the `limit` first runs of a selection.

    Each is for where the one before has gone as far as it may; the last one may go all the way. `names` has those that
    the filter uses, and the one that is sorted by. A drive that is `remembered` is the only one, unless it is of names
    that have come or gone since.
    """
    narrowing = _take_apart(connection, selection, names, sorted_by)
    if remembered is not None and remembered.parts == narrowing.way.parts:
        yield structs.replace(narrowing, way=remembered, reach=0)
        return
    sources = _sources(narrowing.way)
    if not sources:
        yield narrowing
        return
    scale = _Scale(max(names.runs, 1), limit, LOOK_UP_COST[connection.dialect.name])
    count = partial(_counted, connection, narrowing, sources, scale)
    gone = 0
    some = count(scale.few)
    if not any(one.is_counted for one in some):
        if len(some) == 1:
            gone = HASTE * limit
            yield _by(narrowing, some, reach=gone)
        if scale.few < DRIVE_MOST:
            some = count(DRIVE_MOST)
    careful = _planned(narrowing, sorted(some, key=lambda one: one.about), scale)
    if careful.reach is None or careful.reach > gone:
        yield careful
    if careful.reach is not None:
        yield careful.driving()


def _take_apart(connection: Connection, selection: Selection, names: Names, sorted_by: Key | None) -> Narrowing:
    keys = {name: key.id for name, key in names.keys.items()}
    shaper = Shaper(connection.dialect.name, selection.project_key, keys, sorted_by, selection.now)
    parts = () if selection.filter is None else parts_of(shaper.shape(selection.filter))
    return Narrowing(way=Way(parts=parts), parameters=shaper.parameters)


def _sources(way: Way) -> tuple[Source, ...]:
    """What every run that meets the filter must meet, as far as an index has it."""
    return tuple(
        Source(number, part)
        for number, part in enumerate(way.parts)
        if isinstance(part, OfWords) or range_key(part) is not None
    )


def _planned(narrowing: Narrowing, counted: list[Counted], scale: _Scale) -> Narrowing:
    """What to do where the runs that meet each condition are counted, the most selective condition first."""
    driver, *others = counted
    reach = _reach(counted, scale)
    sets = {
        "walked_sets": () if reach == 0 else _walked_sets(counted, scale),
        "driven_sets": _driven_sets(driver, others, scale),
    }
    return _by(narrowing, counted, reach=reach, **sets)


def _by(narrowing: Narrowing, counted: list[Counted], *, reach: int | None, **sets: tuple[Source, ...]) -> Narrowing:
    """The same with a plan; the first one drives."""
    counts = {one.source.count: one.count for one in counted}
    return structs.replace(
        narrowing,
        way=structs.replace(narrowing.way, driver=counted[0].source, **sets),
        parameters={**narrowing.parameters, **counts},
        reach=reach,
        total=_total(narrowing.way, counted),
    )


def _total(way: Way, counted: list[Counted]) -> Total | None:
    """How many runs meet a filter that is nothing but one condition."""
    driver, *others = counted
    if others or len(way.parts) > 1:
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

    def is_worth_a_set(self, counted: Counted, looked_at: float) -> bool:
        """Whether to read all runs that meet a condition, where so many runs are looked at."""
        return counted.about <= min(SET_MOST, looked_at * (self.look_up_cost - 1))


def _reach(counted: list[Counted], scale: _Scale) -> int | None:
    """How far to walk, where that is the way to a full page however many runs meet what was not counted to the end.

    A walk looks a value up for each run, or else seeks each in the set, and goes on with those that are in it. A drive
    looks values up for each run of its condition.
    """
    drive = counted[0]
    if not drive.is_counted:
        return None
    if drive.count == 0:
        return 0
    walk = scale.walk(one.count for one in counted)
    by_set = (drive.count + walk) / scale.look_up_cost + walk * drive.count / scale.runs
    if drive.count < min(walk, by_set):
        return 0
    return round(min(PATIENCE * walk, PATIENCE_IN_DOUBT * scale.walk(one.about for one in counted)))


def _walked_sets(counted: list[Counted], scale: _Scale) -> tuple[Source, ...]:
    """Those of the conditions that are worth a set for the runs of a walk that have met the more selective ones."""
    looked_at = scale.walk(one.about for one in counted)
    found = []
    for one in counted:
        if one.is_counted and scale.is_worth_a_set(one, looked_at):
            found.append(one.source)
        looked_at *= one.about / scale.runs
    return tuple(found)


def _driven_sets(driver: Counted, others: list[Counted], scale: _Scale) -> tuple[Source, ...]:
    """The same for the runs of a drive; few, as each may have more runs than it looks like."""
    return tuple(one.source for one in others if scale.is_worth_a_set(one, driver.count))[:MAX_SETS]


def _counted(
    connection: Connection, narrowing: Narrowing, sources: tuple[Source, ...], scale: _Scale, most: int
) -> list[Counted]:
    """The sources, counted in one statement; what `most` or more runs meet, is taken for halfway from that to all."""
    [counts] = narrowing.ask(connection, _counts(narrowing.way), most=most)
    halfway = isqrt(most * max(scale.runs, most))
    return [
        Counted(source=one, count=count, is_counted=count < most, about=count if count < most else halfway)
        for one, count in zip(sources, counts, strict=True)
    ]


@kept
def _counts(way: Way) -> Select[Any]:
    """How many rows each source has, `most` at most."""
    some = [Rows(one).of(literal(1)).limit(bindparam("most")).subquery() for one in _sources(way)]
    return select(*(select(func.count()).select_from(one).scalar_subquery() for one in some))
