"""A filter's shape as SQL: conditions on one run, wherever a query meets it.

What a query does not have at hand is looked up run by run, by scalar subselects: no database turns those into joins,
and a page of 50 runs takes few of them. SQL's third truth value ends at `not`: what is not known to be true is false
there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, FromClause, and_, bindparam, false, func, literal, not_, or_, select, true

from hub_server.store import search
from hub_server.store.run_shape import (
    CONTAINS,
    EQUAL,
    ESCAPE,
    PRESENT,
    UNEQUAL,
    And,
    Not,
    OfRun,
    OfValue,
    OfWords,
    Or,
    Shape,
    Slot,
)
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
"""What subselects look up."""


class Site(Struct, frozen=True):
    """Where a condition stands: the run's database key, and what of the run the query has at hand.

    `run` is the row of the run, `value` the row of its value whose key is the parameter `key`.
    """

    run_id: ColumnElement[int]
    run: FromClause | None = None
    value: FromClause | None = None
    key: str | None = None


def condition(part: Shape, site: Site) -> ColumnElement[bool]:
    """Whether the run at `site` meets the part; may be NULL, which is not true."""
    match part:
        case And():
            return and_(true(), *(condition(one, site) for one in part.parts))
        case Or():
            return or_(false(), *(condition(one, site) for one in part.parts))
        case Not():
            return not_(func.coalesce(condition(part.part, site), false()))
        case OfWords():
            return site.run_id.in_(search.matching(part.system, part.terms))
        case OfValue():
            return _of_value(part, site)
        case OfRun():
            return _of_files(part, site) if part.name in DIRECTIONS else _of_run(part, site)


def _of_value(part: OfValue, site: Site) -> ColumnElement[bool]:
    if site.value is not None and site.key == part.key:
        return _value_test(part, site.value)
    found = select(_value_test(part, OTHER_VALUE))
    return found.where(OTHER_VALUE.c.run_id == site.run_id, is_named(OTHER_VALUE, part.key)).scalar_subquery()


def is_named(value: FromClause, key: str) -> ColumnElement[bool]:
    """Whether a row of values has the key that is this parameter."""
    return value.c.key_id == bindparam(key)


def _value_test(part: OfValue, value: FromClause) -> ColumnElement[bool]:
    num, txt = value.c.num, value.c.txt
    if part.operator == PRESENT:
        return or_(num.is_not(None), txt.is_not(None))
    if part.operator == EQUAL:
        return _equals(part, value)
    if part.operator == UNEQUAL:
        return not_(func.coalesce(_equals(part, value), false()))
    if part.numbers is not None:
        return _compared(num, part.operator, part.numbers)
    if part.texts is None:  # what has no order
        return false()
    compared = _compared(txt, part.operator, part.texts)
    return compared if part.operator == CONTAINS else and_(compared, num.is_(None))


def _equals(part: OfValue, value: FromClause) -> ColumnElement[bool]:
    slots = (part.numbers, value.c.num), (part.texts, value.c.txt)
    return or_(false(), *(slot.equals(column) for slot, column in slots if slot is not None))


def _compared(column: ColumnElement[Any], name: str, operand: Slot) -> ColumnElement[bool]:
    """What is asked of a column that holds one kind of thing."""
    if name == EQUAL:
        return operand.equals(column)
    if name == UNEQUAL:
        return column != operand.bind(column)
    if name == CONTAINS:
        return column.icontains(operand.bind(column), escape=ESCAPE)
    return ORDERS[name](column, operand.bind(column))  # type: ignore[no-any-return]


def _column_test(part: OfRun, column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.is_not(None) if part.operand is None else _compared(column, part.operator, part.operand)


def _of_run(part: OfRun, site: Site) -> ColumnElement[bool]:
    name = COLUMNS[part.name]
    if site.run is not None:
        return _column_test(part, site.run.c[name])
    found = select(_column_test(part, OTHER_RUN.c[name])).where(OTHER_RUN.c.id == site.run_id)
    return found.scalar_subquery()


def _of_files(part: OfRun, site: Site) -> ColumnElement[bool]:
    """Whether one of the run's files meets the part."""
    found = (
        select(literal(1))
        .where(OTHER_FILE.c.run_id == site.run_id, OTHER_FILE.c.direction == part.name)
        .where(_column_test(part, OTHER_FILE.c.path))
        .limit(1)
    )
    return found.scalar_subquery().is_not(None)
