"""How a parameter, label or summary value is indexed for sorting and filtering.

The index is not the record: it can be rebuilt from it at any time, so it may drop what it cannot order.
"""

from __future__ import annotations

import math
import re

from msgspec import Struct

from dotscience.record import Value

MAX_INDEXED_CHARS = 256

NUL_SYMBOL = "\N{SYMBOL FOR NULL}"
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


class IndexedValue(Struct, frozen=True):
    """`num` orders numbers, `txt` orders and finds texts; a text that reads as a number has both."""

    num: float | None
    txt: str | None


def index_value(value: Value) -> IndexedValue | None:
    """The index entry of a value; None for what has no order: null, lists and objects.

    Numbers on the original's wire are texts, so `"0.1"` is the number 0.1 here as well. NaN and the infinities have no
    place in an order of numbers: they are texts ("nan", "inf", "-inf") and sort after all numbers.
    """
    match value:
        case bool():
            return IndexedValue(float(value), "true" if value else "false")
        case int() | float():
            return _number(value)
        case str():
            return _text(value)
        case _:
            return None


def index_name(name: str) -> str:
    """The name that a value is indexed by: as it is, but for NUL, which not every database takes."""
    return name.replace("\0", NUL_SYMBOL)


def _number(value: float) -> IndexedValue:
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the range of a float
        return IndexedValue(None, "inf" if value > 0 else "-inf")
    if not math.isfinite(number):
        return IndexedValue(None, str(number))
    return IndexedValue(number, None)


def _text(value: str) -> IndexedValue:
    stripped = value.strip()
    text = value[:MAX_INDEXED_CHARS]
    if _DECIMAL.fullmatch(stripped):
        number = float(stripped)
        return IndexedValue(number if math.isfinite(number) else None, text)
    if _NOT_FINITE.fullmatch(stripped):
        return IndexedValue(None, str(float(stripped)))
    return IndexedValue(None, text)
