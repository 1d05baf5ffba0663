"""A filter as SQL: conditions on one run, wherever a query meets it.

What a query does not have at hand is looked up run by run, by scalar subselects: no database turns those into joins,
and a page of 50 runs takes few of them (hub.md B1 has what joins cost). SQL's third truth value ends at `not`: what is
not known to be true is false there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from msgspec import Struct
from sqlalchemy import ColumnElement, FromClause, Select, and_, false, func, literal, not_, or_, select

from hub_server.domain.filters import WORDS, Among, And, Comparison, Field, Filter, Not, Or, Present, Value
from hub_server.domain.values import index_value
from hub_server.store import search
from hub_server.store.run_names import Key, KeyRow
from hub_server.store.schema import run, run_file, run_value

COLUMNS = {
    "id": "uuid",
    "number": "seq",
    "status": "status",
    "authority": "authority",
    "started": "happened_at",
    "ended": "ended_at",
    "ingested": "ingested_at",
}
"""The columns of a run that attributes are."""

DIRECTIONS = frozenset({"input", "output"})
ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

OTHER_RUN, OTHER_VALUE, OTHER_FILE = run.alias("other"), run_value.alias("other_value"), run_file.alias("other_file")
"""What subselects look up. They are made once: making them takes SQLAlchemy as long as half of a query."""

Test = Callable[[ColumnElement[Any]], ColumnElement[bool]]


class Site(Struct, frozen=True):
    """Where a condition stands: the run's database key, and what of the run the query has at hand.

    `run` is the row of the run, `value` the row of its value of the key `value_key`.
    """

    run_id: ColumnElement[int]
    run: FromClause | None = None
    value: FromClause | None = None
    value_key: int | None = None


class Conditions:
    """Makes conditions of one filter's parts."""

    def __init__(self, keys: Mapping[Key, KeyRow], now: datetime, system: str, project_key: int) -> None:
        """`keys` are those of the project that the filter may name, `now` what "ago" counts from."""
        self._keys = keys
        self._now = now
        self._system = system
        self._project_key = project_key

    def of(self, part: Filter, site: Site) -> ColumnElement[bool]:
        """Whether the run at `site` meets the part; may be NULL, which is not true."""
        match part:
            case And():
                return and_(*(self.of(one, site) for one in part.parts))
            case Or():
                return or_(*(self.of(one, site) for one in part.parts))
            case Not():
                return not_(func.coalesce(self.of(part.part, site), false()))
            case _:
                return self._condition(part, site)

    def key(self, field: Field) -> KeyRow | None:
        """The key that a field names; None for attributes, and where no run has such a value."""
        return None if field.kind is None else self._keys.get((field.kind, field.name))

    def range(self, part: Filter, value: FromClause) -> tuple[int, ColumnElement[bool]] | None:
        """The part as one range, or a few, of an index over `value` rows, with their key; None where it is none.

        Of a part that has parts, all of them ask for the same value.
        """
        parts = part.parts if isinstance(part, And) else (part,)
        ranges = [one for one in parts if is_range(one)]
        key = self.key(ranges[0].field) if len(ranges) == len(parts) else None
        if key is None:
            return None
        return key.id, and_(value.c.key_id == key.id, *(self._value_test(one, value) for one in ranges))

    def search(self, part: Filter) -> Select[Any] | None:
        """The keys of the runs that a search for words finds; None where the part is none."""
        if not isinstance(part, Comparison) or part.field != WORDS:
            return None
        return search.matching(self._system, self._project_key, str(part.value))

    def _condition(self, part: Comparison | Among | Present, site: Site) -> ColumnElement[bool]:
        if part.field.kind is not None:
            return self._of_value(part, site)
        if (found := self.search(part)) is not None:
            return site.run_id.in_(found)
        if part.field.name in DIRECTIONS:
            return self._of_files(part, site)
        return self._of_run(part, site)

    def _of_value(self, part: Comparison | Among | Present, site: Site) -> ColumnElement[bool]:
        key = self.key(part.field)
        if key is None:
            return false()
        if site.value is not None and site.value_key == key.id:
            return self._value_test(part, site.value)
        return (
            select(self._value_test(part, OTHER_VALUE))
            .where(OTHER_VALUE.c.run_id == site.run_id, OTHER_VALUE.c.key_id == key.id)
            .scalar_subquery()
        )

    def _value_test(self, part: Comparison | Among | Present, value: FromClause) -> ColumnElement[bool]:
        num, txt = value.c.num, value.c.txt
        match part:
            case Present():
                return or_(num.is_not(None), txt.is_not(None))
            case Among():
                return _among(num, txt, part.values)
            case Comparison(operator="~"):
                return _contains(txt, part.value)
            case Comparison(operator="="):
                return _among(num, txt, [part.value])
            case Comparison(operator="!="):
                return not_(func.coalesce(_among(num, txt, [part.value]), false()))
            case _:
                return _ordered(num, txt, part.operator, part.value)

    def _of_run(self, part: Comparison | Among | Present, site: Site) -> ColumnElement[bool]:
        test, name = self._test(part), COLUMNS[part.field.name]
        if site.run is not None:
            return test(site.run.c[name])
        return select(test(OTHER_RUN.c[name])).where(OTHER_RUN.c.id == site.run_id).scalar_subquery()

    def _of_files(self, part: Comparison | Among | Present, site: Site) -> ColumnElement[bool]:
        """Whether one of the run's files meets the part."""
        found = (
            select(literal(1))
            .where(OTHER_FILE.c.run_id == site.run_id, OTHER_FILE.c.direction == part.field.name)
            .where(self._test(part)(OTHER_FILE.c.path))
            .limit(1)
        )
        return found.scalar_subquery().is_not(None)

    def _test(self, part: Comparison | Among | Present) -> Test:
        """What a part asks of a column that holds one kind of thing."""
        match part:
            case Present():
                return lambda column: column.is_not(None)
            case Among():
                values = [self._operand(one) for one in part.values]
                return lambda column: column.in_(values)
            case Comparison(operator="~"):
                return lambda column: _contains(column, part.value)
        operand = self._operand(part.value)
        match part.operator:
            case "=":
                return lambda column: column == operand
            case "!=":
                return lambda column: column != operand
            case name:
                return lambda column: ORDERS[name](column, operand)

    def _operand(self, value: Value) -> Value:
        return self._now - value if isinstance(value, timedelta) else value


def is_range(part: Filter) -> TypeGuard[Comparison | Among]:
    """Whether the runs that meet it have a range of one value's index, or a few."""
    if isinstance(part, Comparison):
        return part.field.kind is not None and part.operator not in ("!=", "~")
    return isinstance(part, Among) and part.field.kind is not None


def _among(num: ColumnElement[Any], txt: ColumnElement[Any], values: Iterable[Value]) -> ColumnElement[bool]:
    """Equal to one of the values; a text that reads as a number is one, as where runs are sorted."""
    indexed = [one for one in map(_indexed, values) if one is not None]
    numbers = [one for one, _ in indexed if one is not None]
    texts = [two for one, two in indexed if one is None]
    return or_(*_is_one_of(num, numbers), *_is_one_of(txt, texts))


def _is_one_of(column: ColumnElement[Any], values: list[Any]) -> list[ColumnElement[bool]]:
    """Whether it is, in one test or none. What `=` asks for is no list, as SQLAlchemy has to unfold each list anew."""
    if len(values) == 1:
        return [column == values[0]]
    return [column.in_(values)] if values else []


def _ordered(num: ColumnElement[Any], txt: ColumnElement[Any], name: str, value: Value) -> ColumnElement[bool]:
    """Before or after a value: numbers among numbers, other texts among other texts."""
    number, text = _indexed(value) or (None, None)
    if number is not None:
        return ORDERS[name](num, number)  # type: ignore[no-any-return]
    return and_(ORDERS[name](txt, text), num.is_(None))


def _indexed(value: Value) -> tuple[float | None, str | None] | None:
    found = index_value(value) if isinstance(value, str | float | bool) else None
    return None if found is None else (found.num, found.txt)


def _contains(column: ColumnElement[Any], value: Value) -> ColumnElement[bool]:
    return column.icontains(str(value), autoescape=True)
