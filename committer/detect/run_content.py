"""Whether two copies of a run say the same, however their numbers and keys are spelled. Pure functions.

Front ends rewrite JSON: 1.0 becomes 1, 1e3 becomes 1000, and integers beyond 2**53 lose digits.
"""

from __future__ import annotations

from typing import Any

import blake3
import msgspec

from dotscience.record import RunRecord
from dotscience.wire import to_wire

_VALUES = ("parameters", "summary", "labels")


def content_digest(record: RunRecord) -> str:
    """Equal for records with equal content."""
    return blake3.blake3(msgspec.json.encode(_fields(record), order="sorted")).hexdigest()


def differing_fields(one: RunRecord, other: RunRecord) -> list[str]:
    """The names of what two records say differently, sorted; values by name, like `parameters.lr`."""
    fields, others = _fields(one), _fields(other)
    return sorted(name for name in fields.keys() | others.keys() if fields.get(name) != others.get(name))


def _fields(record: RunRecord) -> dict[str, Any]:
    """What the run says of itself; what is filled in when it is committed is left aside."""
    wire = {name: value for name, value in to_wire(record).items() if name not in (*_VALUES, "workload-file")}
    models = {model.name: msgspec.to_builtins(model) for model in record.models}
    values = {f"{kind}.{name}": _canonical(value) for kind in _VALUES for name, value in getattr(record, kind).items()}
    return wire | {f"models.{name}": model for name, model in models.items()} | values


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return ["number", repr(float(value) + 0.0)]  # -0.0 is written 0
    except OverflowError:
        return ["number", str(value)]
