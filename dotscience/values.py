"""The values of parameters, labels and metrics: typed for the record, without losing how they are written on the wire.

Wire v1 shows `str(value)`. A value is kept typed only where the typed form has that same `str`, so that the wire view
of a record is the same whether it is made here or by whoever reads the record later.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

MIN_INT, MAX_INT = -(2**63), 2**63 - 1
MAX_DEPTH = 32

_UNTYPED = object()


def typed(value: Any) -> Any:
    """`value` as a record can hold it: None, bool, int (64 bits), float, str, and lists and dicts of those; copied.

    NumPy scalars become the Python number that is written alike. Everything else, NaN, infinities and larger integers
    become `str(value)`.
    """
    plain = _plain(value, MAX_DEPTH)
    if plain is _UNTYPED:
        plain = _from_numpy(value)
    return clean_text(str(value)) if plain is _UNTYPED else plain


def _plain(value: Any, depth: int) -> Any:
    """A copy of `value` if it is made of plain JSON types only; subclasses (enums, NumPy floats) write themselves."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() or value == clean_text(value) else _UNTYPED
    if value is None or kind is bool or (kind is int and MIN_INT <= value <= MAX_INT):
        return value
    if kind is float:
        return value if isfinite(value) else _UNTYPED
    if depth == 0 or kind not in (list, dict):
        return _UNTYPED
    return _plain_list(value, depth) if kind is list else _plain_dict(value, depth)


def _plain_list(value: list[Any], depth: int) -> Any:
    items = [_plain(item, depth - 1) for item in value]
    return _UNTYPED if any(item is _UNTYPED for item in items) else items


def _plain_dict(value: dict[Any, Any], depth: int) -> Any:
    """Sorted keys only: records are stored with sorted keys, and a reader must get the same `str`."""
    keys = list(value)
    if any(type(key) is not str for key in keys) or keys != sorted(keys):
        return _UNTYPED
    items = {_plain(key, 0): _plain(item, depth - 1) for key, item in value.items()}
    return _UNTYPED if _UNTYPED in items or any(item is _UNTYPED for item in items.values()) else items


def _from_numpy(value: Any) -> Any:
    """A NumPy scalar as the Python value with the same `str`: `float32(0.1)` is written 0.1, though `item()` is not."""
    if type(value).__module__ != "numpy" or not hasattr(value, "item") or getattr(value, "shape", None) != ():
        return _UNTYPED
    text = str(value)
    candidates = [_plain(value.item(), 0)]
    if isinstance(candidates[0], float):
        candidates.append(float(text))
    return next((item for item in candidates if item is not _UNTYPED and str(item) == text), _UNTYPED)


def clean_text(text: str) -> str:
    """`text` as valid Unicode: lone surrogates, which JSON can carry but UTF-8 cannot, are written as their escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
