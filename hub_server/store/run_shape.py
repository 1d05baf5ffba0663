"""A filter taken apart: its shape, and the parameters that differ from one request to the next.

`summary.loss > 0.1 and param.optimizer = "adam"` has the shape of every filter that asks for a larger number of one
name and an equal text of another. Statements are made once for each shape: SQLAlchemy takes about as long to make one
as the database to answer it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from msgspec import Struct
from sqlalchemy import BindParameter, ColumnElement, Float, bindparam

from hub_server.domain import filters
from hub_server.domain.filters import Among, Comparison, Field, Filter, Present, Value
from hub_server.domain.values import index_value
from hub_server.store import search
from hub_server.store.run_names import Key

SORTED_BY = "key"
"""The parameter with the key of the name that runs are sorted by."""

ESCAPE = "/"
_ESCAPED = str.maketrans({sign: ESCAPE + sign for sign in (ESCAPE, "%", "_")})
"""What LIKE would not take as it is."""

EQUAL, UNEQUAL, CONTAINS, PRESENT = "=", "!=", "~", "present"


class Slot(Struct, frozen=True):
    """A parameter of a statement: one value, or a list of them."""

    name: str
    is_list: bool = False
    is_number: bool = False

    def bind(self, column: ColumnElement[Any]) -> BindParameter[Any]:
        """The parameter, to be compared with a column. A number is no integer because the column is."""
        return bindparam(self.name, type_=Float() if self.is_number else column.type, expanding=self.is_list)

    def equals(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the column is the value, or one of the list, which costs more as it is unfolded each time."""
        bound = self.bind(column)
        return column.in_(bound) if self.is_list else column == bound


class OfValue(Struct, frozen=True):
    """What is asked of the value of a name, whose key is the parameter `key`.

    `operator` is = (equal to one of them), !=, ~, PRESENT, or one of < <= > >= with either a number or a text.
    """

    key: str
    operator: str
    numbers: Slot | None = None
    texts: Slot | None = None


class OfRun(Struct, frozen=True):
    """What is asked of an attribute; `operand` is None where it only has to be present."""

    name: str
    operator: str
    operand: Slot | None = None


class OfWords(Struct, frozen=True):
    """Whether a search of the database finds the run; the parameter `terms` has what for."""

    system: str
    terms: str


class And(Struct, frozen=True):
    """All parts are true."""

    parts: tuple[Shape, ...]


class Or(Struct, frozen=True):
    """At least one of the parts is true; none of no parts."""

    parts: tuple[Shape, ...]


class Not(Struct, frozen=True):
    """The part is not true."""

    part: Shape


Shape: TypeAlias = OfValue | OfRun | OfWords | And | Or | Not

NEVER = Or(())


class Shaper:
    """Makes the shape of one filter; `parameters` are those of its statements."""

    def __init__(
        self, system: str, project_key: int, keys: Mapping[Key, int], sorted_by: Key | None, now: datetime
    ) -> None:
        """`keys` are those of the names that the project's runs have, `now` is what "ago" counts from."""
        key = None if sorted_by is None else keys.get(sorted_by)
        self.parameters: dict[str, Any] = {"project": project_key, SORTED_BY: key}
        self._system = system
        self._project_key = project_key
        self._keys = keys
        self._now = now
        self._names = {} if key is None else {key: SORTED_BY}

    def shape(self, part: Filter) -> Shape:
        """The shape of the filter, or of a part of it."""
        match part:
            case filters.And():
                return And(tuple(map(self.shape, part.parts)))
            case filters.Or():
                return Or(tuple(map(self.shape, part.parts)))
            case filters.Not():
                return Not(self.shape(part.part))
            case Comparison(field=filters.WORDS):
                terms = search.terms(self._system, self._project_key, str(part.value))
                return OfWords(self._system, self._add("words", terms))
            case _:
                return self._of_run(part) if part.field.kind is None else self._of_value(part)

    def _of_run(self, part: Comparison | Among | Present) -> Shape:
        name = part.field.name
        match part:
            case Present():
                return OfRun(name, PRESENT)
            case Among():
                return OfRun(name, EQUAL, self._slot([self._operand(one) for one in part.values]))
            case Comparison(operator="~"):
                return OfRun(name, CONTAINS, self._slot(_pattern(part.value)))
            case _:
                return OfRun(name, part.operator, self._slot(self._operand(part.value)))

    def _of_value(self, part: Comparison | Among | Present) -> Shape:
        key = self._key(part.field)
        if key is None:
            return NEVER
        match part:
            case Present():
                return OfValue(key, PRESENT)
            case Among():
                return OfValue(key, EQUAL, *self._indexed(part.values))
            case Comparison(operator="~"):
                return OfValue(key, CONTAINS, texts=self._slot(_pattern(part.value)))
            case _:
                return OfValue(key, part.operator, *self._indexed([part.value]))

    def _key(self, field: Field) -> str | None:
        """The parameter with the key of a name, one for each name; None where no run has such a value."""
        key = self._keys.get((field.kind or "", field.name))
        if key is None:
            return None
        if key not in self._names:
            self._names[key] = self._add("key", key)
        return self._names[key]

    def _indexed(self, values: Iterable[Value]) -> Iterator[Slot | None]:
        """The numbers and the texts; a text that reads as a number is one, as where runs are sorted."""
        indexed = [index_value(one) for one in values if isinstance(one, str | float | bool)]
        known = [one for one in indexed if one is not None]
        for some in [one.num for one in known if one.num is not None], [one.txt for one in known if one.num is None]:
            yield self._slot(some[0] if len(some) == 1 else some) if some else None

    def _operand(self, value: Value) -> Value:
        return self._now - value if isinstance(value, timedelta) else value

    def _slot(self, value: Any) -> Slot:
        is_list = isinstance(value, list)
        is_number = isinstance(value[0] if is_list else value, float)
        return Slot(self._add("value", value), is_list, is_number)

    def _add(self, kind: str, value: Any) -> str:
        name = f"{kind}_{len(self.parameters)}"
        self.parameters[name] = value
        return name


def _pattern(value: Value) -> str:
    """A text as LIKE looks for it, after `ESCAPE`."""
    return str(value).translate(_ESCAPED)


def parts_of(shape: Shape) -> tuple[Shape, ...]:
    """What all has to be met; what is asked of one value is one part, as it is one range of an index."""
    groups: dict[str | Shape, list[Shape]] = {}
    for part in _conjuncts(shape):
        groups.setdefault(range_key(part) or part, []).append(part)
    return tuple(And(tuple(group)) if len(group) > 1 else group[0] for group in groups.values())


def range_key(part: Shape) -> str | None:
    """The key of the value whose index has the runs that meet a part in one range, or in a few; None where none has.

    Of a part that has parts, all ask for that value.
    """
    keys = {_key_of_range(one) for one in (part.parts if isinstance(part, And) else (part,))}
    return keys.pop() if len(keys) == 1 else None


def _key_of_range(part: Shape) -> str | None:
    if isinstance(part, OfValue) and part.operator not in (UNEQUAL, CONTAINS, PRESENT):
        return part.key
    return None


def _conjuncts(shape: Shape) -> Iterator[Shape]:
    if isinstance(shape, And):
        for part in shape.parts:
            yield from _conjuncts(part)
    else:
        yield shape


def size_of(shape: Shape) -> int:
    """How many conditions it has."""
    match shape:
        case And() | Or():
            return sum(map(size_of, shape.parts))
        case Not():
            return size_of(shape.part)
        case _:
            return 1
