"""The filter language: what a list of runs is narrowed with, as text and as a tree.

    summary.accuracy > 0.9 and (param.optimizer = "adam" or label.stage in ("dev", "prod")) and started > -7d

The grammar is in `filter.lark`, its meaning in docs/filters.md. A comparison is true only for runs that have the value;
`not` turns that around, so that what is not known to be true is false, and nothing is ever neither.

Words that are compared with nothing are searched in the run's text. A name without its kind (`accuracy > 0.9`) is a
`Bare` field until `resolved` has found the one kind of value that the project's runs have under it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedEOF, UnexpectedInput, UnexpectedToken, VisitError
from msgspec import Struct, structs

from hub_server.domain.words import words_in

GRAMMAR = Path(__file__).with_name("filter.lark")
MAX_CHARS = 4_000
MAX_CONDITIONS = 50
MAX_DEPTH = 20
MAX_VALUES = 200

_STRANGE = re.compile("[\0\ud800-\udfff]")
"""No database takes these in a text."""

LONGEST_AGO = timedelta(days=365 * 1000)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class FilterError(Exception):
    """A filter that cannot be understood; `position` is the character of the text at which that shows, from 0."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


class Kind(Enum):
    """What an attribute of a run holds."""

    TEXT = "a text in quotes"
    NUMBER = "a number"
    TIME = "a time such as 2026-11-26, 2026-11-26T10:00Z, or -7d for seven days ago"


ATTRIBUTES: dict[str, tuple[Kind, str]] = {
    "id": (Kind.TEXT, "the run's id"),
    "number": (Kind.NUMBER, "its number in the project"),
    "status": (Kind.TEXT, '"success" or "error"'),
    "authority": (Kind.TEXT, '"workload" for published runs, "derived" or "correction" for those that were noticed'),
    "started": (Kind.TIME, "when it started, else ended, else was committed"),
    "ended": (Kind.TIME, "when it ended"),
    "ingested": (Kind.TIME, "when the hub took it in"),
    "text": (Kind.TEXT, "words that it has in its name, description, notes, tags, error or files; searched with ~"),
    "tag": (Kind.TEXT, "a tag that it has been given; compared with =, != and in"),
    "input": (Kind.TEXT, "the path of a file that it read"),
    "output": (Kind.TEXT, "the path of a file that it wrote"),
}
"""The names that stand alone in a filter, with what they hold and mean."""

Value: TypeAlias = str | float | bool | datetime | timedelta
"""A timedelta is that long ago."""


class Field(Struct, frozen=True):
    """What is compared: the parameter, summary value or label of a `name`, or (`kind` is None) an attribute."""

    kind: str | None
    name: str


class Bare(Field, frozen=True):
    """A name whose kind is not said; `position` is its character in the filter."""

    position: int


class Comparison(Struct, frozen=True):
    """`operator` is one of = != < <= > >= and ~ (contains, in any case)."""

    field: Field
    operator: str
    value: Value


class Among(Struct, frozen=True):
    """The field's value equals one of these."""

    field: Field
    values: tuple[Value, ...]


class Present(Struct, frozen=True):
    """The run has the value."""

    field: Field


class Not(Struct, frozen=True):
    """The part is not true."""

    part: Filter


class And(Struct, frozen=True):
    """All parts are true."""

    parts: tuple[Filter, ...]


class Or(Struct, frozen=True):
    """At least one of the parts is true."""

    parts: tuple[Filter, ...]


TAG = Field(None, "tag")
WORDS = Field(None, "text")
_SEARCH = 'words are searched with ~, such as text ~ "batch norm"'

Filter: TypeAlias = Comparison | Among | Present | Not | And | Or


def parse_filter(text: str) -> Filter:
    """The tree of a filter, whose `bare_fields` are still to be resolved.

    Raises:
        FilterError: it is no filter, or a larger one than the hub evaluates.
    """
    if len(text) > MAX_CHARS:
        raise FilterError(MAX_CHARS, f"a filter has at most {MAX_CHARS:,} characters, this one {len(text):,}")
    if (strange := _STRANGE.search(text)) is not None:
        raise FilterError(strange.start(), f"a filter cannot hold the character {strange.group()!r}")
    try:
        return cast("Filter", _parser().parse(text))
    except VisitError as error:
        if isinstance(error.orig_exc, FilterError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise _explained(text, error) from None


def bare_fields(part: Filter) -> Iterator[Bare]:
    """The names in a filter whose kind is not said."""
    if isinstance(part, And | Or | Not):
        for one in _parts(part):
            yield from bare_fields(one)
    elif isinstance(part.field, Bare):
        yield part.field


def resolved(part: Filter, kinds: Mapping[str, Collection[str]]) -> Filter:
    """The filter with each bare name as what it is among a project's values; `kinds` are those in use under a name.

    Raises:
        FilterError: no value has the name, or values of several kinds have.
    """
    match part:
        case And() | Or():
            return type(part)(tuple(resolved(one, kinds) for one in part.parts))
        case Not():
            return Not(resolved(part.part, kinds))
        case _ if isinstance(part.field, Bare):
            return structs.replace(part, field=_only_field(part.field, kinds.get(part.field.name, ())))
        case _:
            return part


def _only_field(bare: Bare, kinds: Collection[str]) -> Field:
    match sorted(kinds):
        case [kind]:
            return Field(kind, bare.name)
        case []:
            known = ", ".join(ATTRIBUTES)
            raise FilterError(
                bare.position, f"there is no {bare.name!r}: use param.NAME, summary.NAME, label.NAME, or one of {known}"
            )
        case several:
            named = " or ".join(f"{kind}.{bare.name}" for kind in several)
            raise FilterError(bare.position, f"{bare.name!r} can be more than one thing here: say {named}")


@cache
def _parser() -> Lark:
    """The tree is made while the text is parsed, not by walking another tree: no text can nest too deep for that."""
    return Lark(
        GRAMMAR.read_text("utf-8"), start="filter", parser="lalr", transformer=_Builder(), maybe_placeholders=False
    )


class _Builder(Transformer[Token, Any]):
    """Makes the nodes. Lark calls the method that has a rule's name."""

    def filter(self, parts: list[Filter]) -> Filter:
        found = parts[0]
        if _count(found) > MAX_CONDITIONS:
            raise FilterError(0, f"a filter has at most {MAX_CONDITIONS} conditions; this one has more")
        return found

    def either(self, parts: list[Filter]) -> Filter:
        return _checked(Or(tuple(parts)))

    def both(self, parts: list[Filter]) -> Filter:
        return _checked(And(tuple(parts)))

    def negation(self, parts: list[Filter]) -> Filter:
        return _checked(Not(parts[0]))

    def comparison(self, tokens: list[Token]) -> Filter:
        name, operator, value = tokens
        field = _field(name)
        kind = _kind(field)
        if operator == "~" and kind not in (Kind.TEXT, None):
            raise FilterError(_at(operator), f"{field.name} holds no text, so it has no part that ~ could find")
        found = _value(value, field, kind, operator)
        if field == WORDS:
            _check_search(operator, value, str(found))
        return _tagged(operator, str(found)) if field == TAG else Comparison(field, str(operator), found)

    def among(self, tokens: list[Token]) -> Filter:
        name, *values = tokens
        if len(values) > MAX_VALUES:
            raise FilterError(_at(values[MAX_VALUES]), f"a list has at most {MAX_VALUES} values")
        field = _field(name)
        if field == WORDS:
            raise FilterError(_at(name), _SEARCH)
        found = tuple(_value(one, field, _kind(field), None) for one in values)
        return Or(tuple(_has_tag(str(one)) for one in found)) if field == TAG else Among(field, found)

    def not_among(self, tokens: list[Token]) -> Filter:
        among = self.among(tokens)
        return And((Present(among.field), Not(among))) if isinstance(among, Among) else Not(among)

    def present(self, tokens: list[Token]) -> Filter:
        if _field(tokens[0]) == TAG:
            raise FilterError(_at(tokens[0]), 'name the tag: tag = "best"')
        if _field(tokens[0]) == WORDS:
            raise FilterError(_at(tokens[0]), _SEARCH)
        return Present(_field(tokens[0]))

    def words(self, tokens: list[Token]) -> Filter:
        said = " ".join(_unquoted(one) if one.type == "TEXT" else str(one) for one in tokens)
        if not words_in(said):
            raise FilterError(_at(tokens[0]), f"{said[:40]!r} has no word to look for")
        return Comparison(WORDS, "~", said)


def _check_search(operator: Token, value: Token, words: str) -> None:
    if str(operator) != "~":
        raise FilterError(_at(operator), _SEARCH)
    if not words_in(words):
        raise FilterError(_at(value), f"{words[:40]!r} has no word to look for")


def _has_tag(tag: str) -> Comparison:
    """A tag is kept as a value of its name that is true."""
    return Comparison(Field("tag", tag), "=", value=True)


def _tagged(operator: Token, tag: str) -> Filter:
    match str(operator):
        case "=":
            return _has_tag(tag)
        case "!=":
            return Not(_has_tag(tag))
        case _:
            raise FilterError(_at(operator), f"a run has a tag or not: use = or != or in, not {str(operator)!r}")


def _checked(node: And | Or | Not) -> Filter:
    if _depth(node) > MAX_DEPTH:
        raise FilterError(0, f"a filter nests at most {MAX_DEPTH} deep; this one nests deeper")
    return node


def _depth(node: Filter) -> int:
    return 1 + max(map(_depth, _parts(node)), default=0)


def _count(node: Filter) -> int:
    """The conditions in a tree."""
    return sum(map(_count, _parts(node))) or 1


def _parts(node: Filter) -> Sequence[Filter]:
    match node:
        case And() | Or():
            return node.parts
        case Not():
            return (node.part,)
        case _:
            return ()


def _field(token: Token) -> Field:
    if token.type == "ATTRIBUTE":
        if token.lower() in ATTRIBUTES:
            return Field(None, token.lower())
        return Bare("", str(token), _at(token))
    kind, _, name = token.partition(".")
    return Field(kind, _unquoted(name) if token.type == "NAMED_IN_QUOTES" else name)


def _kind(field: Field) -> Kind | None:
    """What the field holds; None for a named value, which may be a text or a number."""
    return ATTRIBUTES[field.name][0] if field.kind is None else None


def _value(token: Token, field: Field, kind: Kind | None, operator: Token | None) -> Value:
    if kind is None and operator != "~":
        return _any_value(token)
    if kind is Kind.TIME:
        return _moment(token, field)
    wanted = "NUMBER" if kind is Kind.NUMBER else "TEXT"
    if token.type != wanted:
        what = "~ looks for" if operator == "~" else f"{field.name} is compared with"
        raise FilterError(_at(token), f"{what} {(kind or Kind.TEXT).value}, not with {str(token)!r}")
    return _any_value(token)


def _any_value(token: Token) -> Value:
    match token.type:
        case "NUMBER":
            return _number(token)
        case "BOOLEAN":
            return token.lower() == "true"
        case "AGO":
            times = ", ".join(name for name, (kind, _) in ATTRIBUTES.items() if kind is Kind.TIME)
            raise FilterError(_at(token), f"{str(token)!r} is a time; only {times} are compared with times")
        case "TEXT":
            return _unquoted(token)
        case _:
            return str(token)


def _number(token: Token) -> float:
    number = float(token)
    if number in (float("inf"), float("-inf")):
        raise FilterError(_at(token), f"{str(token)!r} is larger than any number can be")
    return number


def _moment(token: Token, field: Field) -> datetime | timedelta:
    try:
        if token.type == "AGO":
            return _bounded(timedelta(**{UNITS[token[-1]]: float(token[1:-1])}))
        if token.type in ("TIME", "TEXT"):
            moment = datetime.fromisoformat(_unquoted(token) if token.type == "TEXT" else token)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise FilterError(_at(token), f"{field.name} is compared with {Kind.TIME.value}, not with {str(token)!r}")


def _bounded(ago: timedelta) -> timedelta:
    """A time that there was in every calendar.

    Raises:
        OverflowError: it lies too far back.
    """
    if ago > LONGEST_AGO:
        raise OverflowError
    return ago


def _unquoted(text: str) -> str:
    """The text between quotes, in which a backslash makes the next character stand for itself."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _at(token: Token) -> int:
    return cast("int", token.start_pos)


_WORDS = {
    **dict.fromkeys(("NAMED", "NAMED_IN_QUOTES"), "a field, such as param.NAME, summary.NAME or started"),
    "WORD": "words to search for",
    **dict.fromkeys(("NUMBER", "TEXT", "TIME", "AGO", "BOOLEAN"), 'a value, such as 0.9 or "text in quotes"'),
    "OPERATOR": "one of = != < <= > >= ~",
    "LPAR": '"("',
    "RPAR": '")"',
    "COMMA": "a comma",
    "$END": "the end",
}


def _explained(text: str, error: UnexpectedInput) -> FilterError:
    position = len(text) if _is_at_end(error) else cast("int", error.pos_in_stream)
    found = repr(text[position : position + 20]) if position < len(text) else "the end"
    names = error.accepts if isinstance(error, UnexpectedToken) else getattr(error, "allowed", None)
    wanted = set(names or ())
    if "WORD" in wanted:
        wanted -= {"ATTRIBUTE", "TEXT"}  # which would be searched for as well
    words = list(dict.fromkeys(_WORDS.get(name, f'"{name.lower()}"') for name in sorted(wanted)))
    expected = " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
    return FilterError(position, f"expected {expected or 'something else'}, found {found}")


def _is_at_end(error: UnexpectedInput) -> bool:
    return isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END")
