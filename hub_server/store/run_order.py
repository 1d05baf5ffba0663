"""One page of runs in some order, all or those that meet a filter: never an OFFSET, no values joined but the page's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row

from hub_server.domain.cursor import Position
from hub_server.domain.types import RunInfo
from hub_server.store import run_phases, runs
from hub_server.store.run_drives import Listed, RecentDrives
from hub_server.store.run_names import Key, Names, find_names, names_in
from hub_server.store.run_phases import AFTER, END, Phase, phases_by_time, phases_by_value
from hub_server.store.run_plan import Narrowing, Selection, Total
from hub_server.store.run_planner import plans


class Order(Struct, frozen=True, kw_only=True):
    """By start time (`key` is None), or by the value with this kind and name."""

    key: Key | None
    descending: bool


class RunsPage(Struct, frozen=True):
    """Runs, and the position after them: the phase, the value and the database key; None when the list ends here.

    `total` is how many runs the list has, or where that did not come to light by the way, how they can be counted.
    """

    runs: list[RunInfo]
    position: Position | None
    total: Total | Narrowing


def read_page(
    connection: Connection,
    selection: Selection,
    order: Order,
    after: Position | None,
    limit: int,
    *,
    may_walk: bool = True,
    recent: RecentDrives | None = None,
) -> RunsPage:
    """The `limit` runs that follow `after`, or fewer where their documents are large, but one at least.

    A filter's runs that must not be walked to are driven to, if that is possible at all; `recent` remembers that.
    """
    names = _names(connection, selection, order)
    phases = _phases(order, names)
    recent = RecentDrives() if recent is None else recent
    listed = _listed(selection, order, limit)
    ways = plans(connection, selection, names, order.key, limit, remembered=recent.way_of(listed))
    for narrowing in ways if may_walk else map(Narrowing.driving, ways):
        page = _List(connection, phases, narrowing, limit).page(after)
        if page is not None:
            if narrowing.drives:
                recent.note(listed, narrowing.way)
            return page
    raise AssertionError("the last way goes all the way")


def _listed(selection: Selection, order: Order, limit: int) -> Listed:
    return Listed(
        project_key=selection.project_key,
        filter=selection.filter,
        sorted_by=order.key,
        descending=order.descending,
        limit=limit,
    )


def _names(connection: Connection, selection: Selection, order: Order) -> Names:
    """Those of the filter and of the order. Of a list that has neither, nobody asks how many runs there are."""
    filtered = names_in(selection.filter) if selection.filter is not None else set()
    named = filtered if order.key is None else {order.key, *filtered}
    if not named and selection.filter is None:
        return Names({}, 0)
    return find_names(connection, selection.project_key, named)


def _phases(order: Order, names: Names) -> list[Phase]:
    """Of an order by a value that no run has, newest first, whatever the direction."""
    if order.key is None:
        return phases_by_time(descending=order.descending)
    key = names.keys.get(order.key)
    if key is None:
        return phases_by_time(descending=True)
    return phases_by_value(key.runs, names.runs, descending=order.descending)


class _OutOfReach(Exception):
    """A walk has gone as far as it may, and the page is not full."""


_Place = tuple[Any, Any]
"""Where in a phase a run is: the value and the run's database key."""
_Numbered = tuple[int, Row[Any]]
"""A row and the number of its phase."""


class _List:
    """A list of runs in some order, found in one way."""

    def __init__(self, connection: Connection, phases: Sequence[Phase], narrowing: Narrowing, limit: int) -> None:
        self._connection = connection
        self._phases = phases
        self._narrowing = narrowing
        self._limit = limit

    def page(self, after: Position | None) -> RunsPage | None:
        """The next runs; None where a walk has gone as far as it may, and the page is not full."""
        try:
            rows = self._rows(after)
        except _OutOfReach:
            return None
        shown = runs.complete(self._connection, [row for _, row in rows[: self._limit]])
        if len(shown) == len(rows):
            return RunsPage(shown, None, self._total(rows))
        number, last = rows[len(shown) - 1]
        return RunsPage(shown, [number, last.value, last.run_id], self._total(rows))

    def _total(self, rows: list[_Numbered]) -> Total | Narrowing:
        told = rows[0][1].total if rows else None
        if told is not None:
            return told, True
        if not self._narrowing.way.parts:
            return find_names(self._connection, self._narrowing.parameters["project"], ()).runs, True
        return self._narrowing if self._narrowing.total is None else self._narrowing.total

    def _rows(self, after: Position | None) -> list[_Numbered]:
        """The next rows, one more than the page has."""
        first, value, key = after or (0, None, None)
        place = None if key is None else (value, key)
        found: list[_Numbered] = []
        for number in range(first, len(self._phases)):
            missing = self._limit + 1 - len(found)
            is_whole = after is None and found and found[0][1].total == len(found)
            if not missing or is_whole:
                break
            found.extend((number, row) for row in self._in_phase(self._phases[number], place, missing))
            place = None
        return found

    def _in_phase(self, phase: Phase, after: _Place | None, limit: int) -> Sequence[Row[Any]]:
        """The next rows of a phase.

        Raises:
            _OutOfReach: a walk has gone as far as it may, and there are not as many.
        """
        narrowing, places = self._narrowing, _named(AFTER, after)
        end = self._end(phase, places) if narrowing.reach else None
        query = run_phases.page(
            narrowing.way, phase, drives=narrowing.drives, goes_on=after is not None, ends=end is not None
        )
        sizes = {"limit": limit, "small": runs.small_of(self._limit + 1)}
        rows = narrowing.ask(self._connection, query, **places, **_named(END, end), **sizes)
        if end is not None and len(rows) < limit:
            raise _OutOfReach
        return sorted(rows, key=lambda row: (row.value, row.run_id), reverse=phase.descending)

    def _end(self, phase: Phase, after: Mapping[str, Any]) -> _Place | None:
        """Where a walk has gone as far as it may; None where the phase ends before."""
        query = run_phases.end(self._narrowing.way, phase, goes_on=bool(after))
        rows = self._narrowing.ask(self._connection, query, **after, reach=self._narrowing.reach)
        return (rows[0].value, rows[0].run_id) if rows else None


def _named(names: tuple[str, str], place: _Place | None) -> dict[str, Any]:
    """A place as parameters."""
    return {} if place is None else dict(zip(names, place, strict=True))
