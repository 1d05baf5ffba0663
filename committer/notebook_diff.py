"""What changed in a notebook, cell by cell; layout, execution times and other metadata are not changes."""

from __future__ import annotations

import json
from difflib import SequenceMatcher, unified_diff
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from dotscience.errors import NotebookError
from dotscience.notebook import joined, laid_out_alike

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CELLS = 10_000
ALIKE = 0.5
"""Cells without ids are one that was edited if so much of their text is the same."""

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


class _Cell(Struct, frozen=True):
    key: str | None
    kind: str
    lines: tuple[str, ...]
    outputs: str

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


_NONE = _Cell(key=None, kind="", lines=(), outputs="[]")


def diff_notebooks(before: bytes, after: bytes) -> list[CellChange]:
    """The cells that differ, in the order of the newer notebook, each removed one where it was.

    Raises:
        NotebookError: one of them is not a notebook.
    """
    old, new = _cells(before), _cells(after)
    return [change for one, other in _pairs(old, new) if (change := _compare(old, new, one, other)) is not None]


def _cells(data: bytes) -> list[_Cell]:
    try:
        cells = json.loads(data)["cells"]
        return [_cell(cell) for cell in cells[:MAX_CELLS]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotebookError(f"not a notebook of nbformat 4 ({error})") from error


def _cell(cell: dict[str, Any]) -> _Cell:
    outputs = [_stable(output) for output in cell.get("outputs") or []]
    return _Cell(
        key=cell.get("id"),
        kind=str(cell.get("cell_type", "")),
        lines=tuple(joined(cell.get("source", "")).splitlines()),
        outputs=json.dumps(outputs, sort_keys=True),
    )


def _stable(output: dict[str, Any]) -> dict[str, Any]:
    """An output without what differs from one execution to the next when nothing else does."""
    return {key: value for key, value in laid_out_alike(output).items() if key not in ("execution_count", "metadata")}


def _pairs(old: list[_Cell], new: list[_Cell]) -> Iterator[tuple[int | None, int | None]]:
    """Which cell became which: by id where both have one, else by text."""
    partners = _partners(old, new)
    taken = set(partners.values())
    removed = iter([index for index in range(len(old)) if index not in taken])
    next_removed = next(removed, None)
    for index in range(len(new)):
        partner = partners.get(index)
        while next_removed is not None and partner is not None and next_removed < partner:
            yield next_removed, None
            next_removed = next(removed, None)
        yield partner, index
    while next_removed is not None:
        yield next_removed, None
        next_removed = next(removed, None)


def _partners(old: list[_Cell], new: list[_Cell]) -> dict[int, int]:
    """For cells of the newer notebook, the older one's cell that they were."""
    by_key = {cell.key: index for index, cell in enumerate(old) if cell.key is not None}
    found = {index: by_key[cell.key] for index, cell in enumerate(new) if cell.key in by_key}
    left_old = [index for index in range(len(old)) if index not in set(found.values())]
    left_new = [index for index in range(len(new)) if index not in found]
    texts = SequenceMatcher(None, [old[i].text for i in left_old], [new[i].text for i in left_new], autojunk=False)
    for tag, start, stop, other_start, other_stop in texts.get_opcodes():
        if tag in ("equal", "replace"):
            couples = zip(left_old[start:stop], left_new[other_start:other_stop], strict=False)
            found.update({other: one for one, other in couples if tag == "equal" or _alike(old[one], new[other])})
    return found


def _alike(one: _Cell, other: _Cell) -> bool:
    matcher = SequenceMatcher(None, one.lines, other.lines, autojunk=False)
    return one.kind == other.kind and matcher.ratio() >= ALIKE


def _compare(old: list[_Cell], new: list[_Cell], one: int | None, other: int | None) -> CellChange | None:
    was, now = _NONE if one is None else old[one], _NONE if other is None else new[other]
    if (was.kind, was.lines, was.outputs) == (now.kind, now.lines, now.outputs):
        return None
    lines = list(unified_diff(was.lines, now.lines, lineterm="", n=2))[2:]
    return CellChange(
        kind="added" if one is None else "removed" if other is None else "changed",
        cell_type=now.kind or was.kind,
        before=one,
        after=other,
        source=lines,
        outputs=was.outputs != now.outputs,
    )
