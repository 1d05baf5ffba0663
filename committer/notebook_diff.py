"""What changed in a notebook, cell by cell; layout, execution times and other metadata are not changes.

nbdime finds which cell became which, by rules of ours: its own compare texts character by character, which nothing
bounds, and keep them in memory afterwards.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from committer.bounded_diff import BoundedMatcher, Budget, unified_diff
from dotscience.errors import NotebookError, TooDifferent
from dotscience.notebook import joined, laid_out_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CELLS = 10_000
ALIKE = 0.6
"""A cell is another one edited if so much of their words is the same."""

COMPARED_CHARS = 10_000
"""How much of a text tells whether it is another one edited."""

PAIR_STEPS = 5
"""What it costs to ask whether two cells are one."""

WORDS = re.compile(r"\w+|[^\w\s]")
CELLS = "/cells"

CellKind = Literal["added", "removed", "changed"]


class CellChange(Struct, frozen=True, kw_only=True):
    """One cell that is new, gone or different. `before` and `after` are its positions, from 0.

    `source` are the lines of a unified diff, without its headers; `outputs` says whether its outputs differ.
    """

    kind: CellKind
    cell_type: str
    before: int | None
    after: int | None
    source: list[str]
    outputs: bool


class _Cell(Struct, frozen=True, dict=True):
    key: str | None
    kind: str
    lines: tuple[str, ...]
    outputs: str

    @property
    def content(self) -> tuple[str, tuple[str, ...], str]:
        """What counts as a change."""
        return self.kind, self.lines, self.outputs

    @cached_property
    def words(self) -> list[str]:
        return WORDS.findall("\n".join(self.lines)[:COMPARED_CHARS])


_NONE = _Cell(key=None, kind="", lines=(), outputs="[]")


def diff_notebooks(before: bytes, after: bytes) -> list[CellChange]:
    """The cells that differ, in the order of the newer notebook, each removed one where it was.

    A cell that was moved past others is removed and added.

    Raises:
        NotebookError: one of them is not a notebook.
        TooDifferent: they are too large to be compared cell by cell.
    """
    old, new, budget = _cells(before), _cells(after), Budget()
    changes = []
    for one, other in _pairs(old, new, budget):
        was, now = _NONE if one is None else old[one], _NONE if other is None else new[other]
        if was.content != now.content:
            changes.append(_change(was, now, one, other, budget))
    return changes


def _cells(data: bytes) -> list[_Cell]:
    try:
        cells = [_cell(cell) for cell in _decode(data)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotebookError(f"not a notebook of nbformat 4 ({error})") from error
    return cells


def _decode(data: bytes) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(data)["cells"]
    if not isinstance(cells, list):
        raise TypeError("its cells are no list")
    if len(cells) > MAX_CELLS:
        raise TooDifferent(f"a notebook has {len(cells):,} cells, and up to {MAX_CELLS:,} are compared")
    return cells


def _cell(cell: dict[str, Any]) -> _Cell:
    key = cell.get("id")
    outputs = [_stable(output) for output in cell.get("outputs") or []]
    return _Cell(
        key=key if isinstance(key, str) else None,
        kind=_valid(str(cell.get("cell_type", ""))),
        lines=tuple(_valid(joined(cell.get("source", ""))).splitlines()),
        outputs=json.dumps(outputs, sort_keys=True),
    )


def _valid(text: str) -> str:
    """The text without lone surrogates, which JSON can hold and an answer cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _stable(output: dict[str, Any]) -> dict[str, Any]:
    """An output without what differs from one execution to the next when nothing else does."""
    return {key: value for key, value in laid_out_alike(output).items() if key not in ("execution_count", "metadata")}


def _pairs(old: list[_Cell], new: list[_Cell], budget: Budget) -> Iterator[tuple[int | None, int | None]]:
    """Which cell became which, in order. Both ends, where cells are still where they were, need no search."""
    start = _still_there(old, new)
    rest = min(len(old), len(new)) - start
    end = _still_there(old[: -rest - 1 : -1], new[: -rest - 1 : -1])
    last, other_last = len(old) - end, len(new) - end
    yield from zip(range(start), range(start), strict=True)
    for one, other in _partners(old[start:last], new[start:other_last], budget):
        yield None if one is None else one + start, None if other is None else other + start
    yield from zip(range(last, len(old)), range(other_last, len(new)), strict=True)


def _still_there(old: list[_Cell], new: list[_Cell]) -> int:
    """How many cells at the start are the same, by their ids where they have any."""
    pairs = enumerate(zip(old, new, strict=False))
    moved = (index for index, (one, other) in pairs if one.key != other.key or (one.key is None and one != other))
    return next(moved, min(len(old), len(new)))


def _partners(old: list[_Cell], new: list[_Cell], budget: Budget) -> Iterator[tuple[int | None, int | None]]:
    """Which cell became which, by nbdime: cells that its diff does not name are couples."""
    if not old or not new:
        yield from ((index, None) for index in range(len(old)))
        yield from ((None, index) for index in range(len(new)))
        return
    one = other = 0
    for entry in _entries(old, new, budget):
        while one < entry["key"]:
            yield one, other
            one, other = one + 1, other + 1
        for _ in entry.get("valuelist", ()):
            yield None, other
            other += 1
        for _ in range(entry.get("length", 0)):
            yield one, None
            one += 1
    yield from zip(range(one, len(old)), range(other, len(new)), strict=True)


def _entries(old: list[_Cell], new: list[_Cell], budget: Budget) -> list[dict[str, Any]]:
    """The diff that nbdime makes of lists of cells: `addrange` and `removerange` at a `key`, in order.

    Its rules are given to each call, not set in its module: the hub compares in several threads.
    """
    from nbdime import diff
    from nbdime.diffing.config import DiffConfig
    from nbdime.diffing.notebooks import diff_ignore

    rules = DiffConfig(predicates={CELLS: _rules(budget)}, differs={f"{CELLS}/*": diff_ignore})
    entries: list[dict[str, Any]] = diff(old, new, path=CELLS, config=rules)
    return entries


def _rules(budget: Budget) -> list[Callable[[_Cell, _Cell], bool]]:
    """When two cells are one: the last rule is asked first, the others for what lies between the cells it finds."""

    def is_edited(one: _Cell, other: _Cell) -> bool:
        budget.spend(PAIR_STEPS)
        return one.kind == other.kind and BoundedMatcher(one.words, other.words, budget, autojunk=False).is_alike(ALIKE)

    def has_same_text(one: _Cell, other: _Cell) -> bool:
        budget.spend(PAIR_STEPS)
        return (one.kind, one.lines) == (other.kind, other.lines)

    def has_same_id(one: _Cell, other: _Cell) -> bool:
        budget.spend(PAIR_STEPS)
        return one.key is not None and one.key == other.key

    return [is_edited, has_same_text, has_same_id]


def _change(was: _Cell, now: _Cell, one: int | None, other: int | None, budget: Budget) -> CellChange:
    return CellChange(
        kind="added" if one is None else "removed" if other is None else "changed",
        cell_type=now.kind or was.kind,
        before=one,
        after=other,
        source=unified_diff(was.lines, now.lines, budget, context=2),
        outputs=was.outputs != now.outputs,
    )
