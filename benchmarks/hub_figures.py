"""The figures of `hub.py`: percentiles of what was timed, as lines of JSON or as a table."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from rich.table import Table

COLUMNS = {
    "engine": "engine",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "cpu_ms": "CPU ms",
    "rows": "rows",
    "cold_ms": "cold ms",
    "cold_p95_ms": "cold p95 ms",
    "per_s": "runs/s",
    "ratio": "ours x",
}


class Cost(NamedTuple):
    """Milliseconds of wall, and of this process's CPU."""

    wall_ms: float
    cpu_ms: float


class Clock:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def cost(self) -> Cost:
        """So far."""
        return Cost((time.perf_counter() - self._wall) * 1e3, (time.process_time() - self._cpu) * 1e3)


class Figure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line.

    Attributes:
        rows: How many runs came, or were stored, each time; the median.
        engine: `ours`, or whom we are compared with.
        runs: How many runs the database holds.
        cold_ms: The wall time of the first time, where nothing of the database was in memory.
        cold_p95_ms: The 95th percentile of all times from then on, until the other figures' begin.
        per_s: How many runs were stored in a second.
        ratio: How many times our median wall time another engine's is.
    """

    query: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    rows: int
    engine: str
    backend: str
    runs: int
    cold_ms: float | None = None
    cold_p95_ms: float | None = None
    per_s: int | None = None
    ratio: float | None = None


def figure(costs: Sequence[Cost], **named: Any) -> Figure:
    """The percentiles of some costs; `named` is the rest of the figure."""
    return Figure(
        p50_ms=round(statistics.median(one.wall_ms for one in costs), 2),
        p95_ms=p95_ms(costs),
        cpu_ms=round(statistics.median(one.cpu_ms for one in costs), 2),
        **named,
    )


def p95_ms(costs: Sequence[Cost]) -> float:
    """The 95th percentile of wall time."""
    wall = sorted(one.wall_ms for one in costs)
    return round(wall[int(len(wall) * 0.95)], 2)


def as_json(one: Figure) -> str:
    """One line."""
    return json.dumps(msgspec.to_builtins(one))


def table(figures: Sequence[Figure]) -> Table:
    """All figures, without the columns that none of them has."""
    used = {name: title for name, title in COLUMNS.items() if any(getattr(one, name) is not None for one in figures)}
    made = Table("query", *used.values(), title=f"{figures[0].runs:,} runs, {figures[0].backend}")
    for one in figures:
        values = (getattr(one, name) for name in used)
        made.add_row(one.query, *("" if value is None else str(value) for value in values))
    return made
