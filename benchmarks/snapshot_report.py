"""The figures of `snapshot.py`: medians of the rounds, as lines of JSON or as a table with ratios."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.table import Table

OURS = "ours"
NOTHING = 64 * 1024
"""Below so many bytes on both sides a ratio compares bookkeeping, not content, and is not given."""


class Figure(NamedTuple):
    """What one engine took for one step of one case, once or as the median of `rounds`."""

    case: str
    step: str
    engine: str
    wall_s: float
    cpu_s: float
    new_bytes: int
    rounds: int = 1

    @property
    def place(self) -> tuple[str, str]:
        """What figures must share to be compared."""
        return self.case, self.step


def medians(figures: Iterable[Figure]) -> list[Figure]:
    """One figure for each step and engine, in the order in which they were first met."""
    grouped: dict[tuple[str, str, str], list[Figure]] = {}
    for one in figures:
        grouped.setdefault((*one.place, one.engine), []).append(one)
    return [_median(group) for group in grouped.values()]


def _median(group: Sequence[Figure]) -> Figure:
    return group[0]._replace(
        wall_s=statistics.median(one.wall_s for one in group),
        cpu_s=statistics.median(one.cpu_s for one in group),
        new_bytes=round(statistics.median(one.new_bytes for one in group)),
        rounds=len(group),
    )


def as_json(figure: Figure) -> str:
    """One line."""
    return json.dumps(
        {
            "case": figure.case,
            "step": figure.step,
            "engine": figure.engine,
            "wall_s": round(figure.wall_s, 4),
            "cpu_s": round(figure.cpu_s, 4),
            "new_bytes": figure.new_bytes,
        }
    )


def table(figures: Sequence[Figure], *, markdown: bool = False) -> Table:
    """Every figure, and beside those of a peer what ours are as a multiple of them: below 1 is less."""
    ours = {one.place: one for one in figures if one.engine == OURS}
    shown = Table(
        *("case", "step", "engine", "n", "wall s", "CPU s", "new", "ours/it: wall", "CPU", "new"),
        box=box.MARKDOWN if markdown else box.SIMPLE,
    )
    for column in shown.columns[3:]:
        column.justify = "right"
    before = None
    for one in figures:
        if before is not None and before != one.place and not markdown:
            shown.add_section()
        before = one.place
        shown.add_row(*_cells(one), *_ratios(ours.get(one.place), one))
    return shown


def _cells(figure: Figure) -> Iterator[str]:
    yield from (figure.case, figure.step, figure.engine, str(figure.rounds))
    yield from (seconds(figure.wall_s), seconds(figure.cpu_s), size(figure.new_bytes))


def _ratios(ours: Figure | None, peer: Figure) -> list[str]:
    if ours is None or peer.engine == OURS:
        return ["", "", ""]
    stored = ratio(ours.new_bytes, peer.new_bytes) if max(ours.new_bytes, peer.new_bytes) >= NOTHING else ""
    return [ratio(ours.wall_s, peer.wall_s), ratio(ours.cpu_s, peer.cpu_s), stored]


def ratio(ours: float, peer: float) -> str:
    """Ours as a multiple of the peer's; nothing where the peer has none."""
    return f"{ours / peer:.2f}" if peer > 0 else ""


def seconds(amount: float) -> str:
    """Seconds, to the tenth of a millisecond where they are few."""
    return f"{amount:.2f}" if amount >= 0.1 else f"{amount:.4f}"


def size(count: int) -> str:
    """Bytes in a unit that leaves two to four digits before the point."""
    if abs(count) < 10 * 1024:
        return f"{count:,} B"
    if abs(count) < 10 * 2**20:
        return f"{count / 2**10:,.0f} KiB"
    return f"{count / 2**20:,.0f} MiB"
