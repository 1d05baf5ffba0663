"""One page of runs in some order, all or those that meet a filter: never an OFFSET, no values joined but the page's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, Select

from hub_server.domain.cursor import Position
from hub_server.domain.types import RunInfo
from hub_server.store import runs
from hub_server.store.run_names import Key, KeyRow, Names, find_names, names_in
from hub_server.store.run_phases import Phase, Place, everything, phases_by_time, phases_by_value
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
) -> RunsPage:
    """The `limit` runs that follow `after`, or fewer where their documents are large, but one at least.

    A filter's runs that must not be walked to are driven to, if that is possible at all.
    """
    named = _names(selection, order)
    names = find_names(connection, selection.project_key, named) if named or selection.filter else None
    listing = _Listing(connection, selection.project_key, order, names, after, limit)
    if names is None or selection.filter is None:
        return listing.page_of_all()
    ways = plans(connection, selection, selection.filter, names, limit)
    for narrowing in ways if may_walk else map(Narrowing.driving, ways):
        page = listing.page_of(narrowing)
        if page is not None:
            return page
    raise AssertionError("the last way goes all the way")


def _names(selection: Selection, order: Order) -> set[Key]:
    filtered = names_in(selection.filter) if selection.filter is not None else set()
    return filtered if order.key is None else {order.key, *filtered}


class _OutOfReach(Exception):
    """A walk has gone as far as it may, and the page is not full."""


class _Listing:
    """A list of a project's runs in some order, from after a position on."""

    def __init__(
        self,
        connection: Connection,
        project_key: int,
        order: Order,
        names: Names | None,
        after: Position | None,
        limit: int,
    ) -> None:
        """`names` has those that the order uses."""
        self._connection = connection
        self._project_key = project_key
        self._key: int | None = None
        self._phases = phases_by_time(descending=order.descending)
        if names is not None and order.key is not None:
            self._sort_by(names.keys.get(order.key), names.runs, descending=order.descending)
        self._after = after
        self._limit = limit

    def _sort_by(self, key: KeyRow | None, runs_in_all: int, *, descending: bool) -> None:
        """By a value; newest first, whatever the direction, where no run has it."""
        if key is None:
            self._phases = phases_by_time(descending=True)
        else:
            self._key = key.id
            self._phases = phases_by_value(key.runs, runs_in_all, descending=descending)

    def page_of_all(self) -> RunsPage:
        """The next runs, whatever they are."""
        rows = self._rows(self._everything, is_told=False)
        shown = runs.complete(self._connection, [row for _, row in rows[: self._limit]])
        total = rows[0][1].total if rows else find_names(self._connection, self._project_key, ()).runs
        return _page(rows, shown, (total, True))

    def page_of(self, narrowing: Narrowing) -> RunsPage | None:
        """The next runs that meet a filter; None where a walk has gone as far as it may, and the page is not full."""
        try:
            rows = self._rows(partial(self._narrowed, narrowing), is_told=narrowing.drives_by is not None)
        except _OutOfReach:
            return None
        shown = runs.read_runs(self._connection, [row.run_id for _, row in rows[: self._limit]])
        driven = rows[0][1].total if rows else None
        total = narrowing.total if driven is None else (driven, True)
        return _page(rows, shown, narrowing if total is None else total)

    def _rows(
        self, read: Callable[[Phase, Place | None, int], Sequence[Row[Any]]], *, is_told: bool
    ) -> list[_Numbered]:
        """The next rows, one more than the page has; `is_told` where their `total` is how many the list has."""
        first, value, key = self._after or (0, None, None)
        place = None if key is None else (value, key)
        found: list[_Numbered] = []
        for number in range(first, len(self._phases)):
            missing = self._limit + 1 - len(found)
            is_whole = is_told and self._after is None and found and found[0][1].total == len(found)
            if not missing or is_whole:
                break
            found.extend((number, row) for row in read(self._phases[number], place, missing))
            place = None
        return found

    def _everything(self, phase: Phase, after: Place | None, limit: int) -> Sequence[Row[Any]]:
        """The next rows of a phase with their documents."""
        parameters = {"limit": limit, "small": runs.small_of(self._limit + 1)}
        if after is not None:
            parameters |= {"value": after[0], "run": after[1]}
        rows = self._execute(everything(phase, goes_on=after is not None), parameters)
        return sorted(rows, key=lambda row: (row.value, row.run_id), reverse=phase.descending)

    def _narrowed(self, narrowing: Narrowing, phase: Phase, after: Place | None, limit: int) -> Sequence[Row[Any]]:
        """The next rows of a phase that meet a filter.

        Raises:
            _OutOfReach: a walk has gone as far as it may, and there are not as many.
        """
        if narrowing.drives_by is not None:
            return self._execute(phase.driven(narrowing, narrowing.drives_by, after).limit(limit))
        end = self._end(narrowing, phase, after)
        rows = self._execute(phase.walked(narrowing, self._key, after, end).limit(limit))
        if end is not None and len(rows) < limit:
            raise _OutOfReach
        return rows

    def _end(self, narrowing: Narrowing, phase: Phase, after: Place | None) -> Place | None:
        """Where a walk has gone as far as it may; None where it may go on, or the phase ends before."""
        if not narrowing.reach:
            return None
        rows = self._execute(phase.walked_on(narrowing, self._key, after).offset(narrowing.reach).limit(1))
        return (rows[0].value, rows[0].run_id) if rows else None

    def _execute(self, query: Select[Any], parameters: Mapping[str, Any] = {}) -> Sequence[Row[Any]]:
        return self._connection.execute(query, {"project": self._project_key, "key": self._key, **parameters}).all()


_Numbered = tuple[int, Row[Any]]
"""A row and the number of its phase."""


def _page(rows: list[_Numbered], shown: list[RunInfo], total: Total | Narrowing) -> RunsPage:
    """A page of the first of these rows."""
    if len(shown) == len(rows):
        return RunsPage(shown, None, total)
    number, last = rows[len(shown) - 1]
    return RunsPage(shown, [number, last.value, last.run_id], total)
