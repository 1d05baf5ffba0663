"""One page of runs in some order: keyset positions in the indexes, never an OFFSET and never a join of values.

A page is built in phases, each one range of one index. By start time there is a single phase. By a value there are
three: runs whose value is a number, runs whose value is a text only (NaN and the infinities among them), and runs
without the value, newest first. Whatever the direction, numbers come first and runs without the value last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, exists, or_, select, type_coerce

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.types import RunInfo
from hub_server.store.runs import read_runs
from hub_server.store.schema import project, run, run_key, run_value

_HAPPENED: ColumnElement[int] = type_coerce(run.c.happened_at, BigInteger)
"""Microseconds rather than a datetime: that is what a cursor can hold."""


class Order(Struct, frozen=True, kw_only=True):
    """By start time (`key` is None), or by the value with this kind and name."""

    key: tuple[str, str] | None
    descending: bool


class Found(Struct, frozen=True):
    """Database keys of the runs of a page, and the position after them; None when the list ends here.

    A position is the phase, the value and the database key of the last run.
    """

    keys: list[int]
    position: Position | None


def read_page(
    connection: Connection, project_key: int, order: Order, after: Position | None, limit: int
) -> Slice[RunInfo]:
    """The `limit` runs that follow `after`: one index range or a few for their keys, one query for their documents."""
    found = find_runs(connection, project_key, order, after, limit)
    total = connection.execute(select(project.c.runs).where(project.c.id == project_key)).scalar_one()
    return Slice(items=read_runs(connection, found.keys), position=found.position, total=total)


def find_runs(connection: Connection, project_key: int, order: Order, after: Position | None, limit: int) -> Found:
    """The keys of the `limit` runs that follow `after`."""
    phases = _phases(connection, project_key, order)
    first, value, key = after or [0, None, None]
    found: list[Position] = []
    for number in range(first, len(phases)):
        if len(found) > limit:
            break
        rows = phases[number].read(connection, limit + 1 - len(found), None if key is None else (value, key))
        found.extend([number, *row] for row in rows)
        value = key = None
    shown = found[:limit]
    return Found([row[2] for row in shown], shown[-1] if len(found) > limit else None)


class _Phase(Struct, frozen=True):
    """A range of an index: rows of (sort value, run key)."""

    query: Select[Any]
    value: ColumnElement[Any]
    run_id: ColumnElement[int]
    descending: bool

    def read(self, connection: Connection, limit: int, after: tuple[Any, int] | None) -> Sequence[tuple[Any, int]]:
        """The next rows in order; runs with equal values keep one order, so that no page repeats or skips one."""
        query = self.query.limit(limit)
        if after is not None:
            query = query.where(self._beyond(*after))
        columns = (self.value, self.run_id)
        query = query.order_by(*(column.desc() if self.descending else column.asc() for column in columns))
        return [(row[0], row[1]) for row in connection.execute(query)]

    def _beyond(self, value: Any, run_id: int) -> ColumnElement[bool]:
        if self.descending:
            return or_(self.value < value, and_(self.value == value, self.run_id < run_id))
        return or_(self.value > value, and_(self.value == value, self.run_id > run_id))


def _phases(connection: Connection, project_key: int, order: Order) -> list[_Phase]:
    if order.key is None:
        return [_by_time(project_key, order.descending)]
    kind, name = order.key
    row = connection.execute(
        select(run_key.c.id, run_key.c.runs, project.c.runs.label("all_runs"))
        .join(project, project.c.id == run_key.c.project_id)
        .where(run_key.c.project_id == project_key, run_key.c.kind == kind, run_key.c.name == name)
    ).first()
    if row is None:
        return [_by_time(project_key, descending=True)]
    phases = [_by_number(row.id, order.descending), _by_text(row.id, order.descending)]
    if row.runs < row.all_runs:  # else the search for runs without the value would look at every run in vain
        phases.append(_without(project_key, row.id))
    return phases


def _by_time(project_key: int, descending: bool) -> _Phase:
    query = select(_HAPPENED, run.c.id).where(run.c.project_id == project_key)
    return _Phase(query, _HAPPENED, run.c.id, descending)


def _by_number(key: int, descending: bool) -> _Phase:
    query = select(run_value.c.num, run_value.c.run_id).where(run_value.c.key_id == key, run_value.c.num.is_not(None))
    return _Phase(query, run_value.c.num, run_value.c.run_id, descending)


def _by_text(key: int, descending: bool) -> _Phase:
    query = select(run_value.c.txt, run_value.c.run_id).where(
        run_value.c.key_id == key, run_value.c.txt.is_not(None), run_value.c.num.is_(None)
    )
    return _Phase(query, run_value.c.txt, run_value.c.run_id, descending)


def _without(project_key: int, key: int) -> _Phase:
    has_value = exists().where(run_value.c.run_id == run.c.id, run_value.c.key_id == key)
    query = select(_HAPPENED, run.c.id).where(run.c.project_id == project_key, ~has_value)
    return _Phase(query, _HAPPENED, run.c.id, descending=True)
