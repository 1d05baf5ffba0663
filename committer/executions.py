"""Keys that stand for executions of cells, so that each is accounted for once."""

from __future__ import annotations

from dotscience.notebook import CellState


def execution_key(cell: CellState) -> str:
    """What tells a cell's last execution from others: its count and output, and when it was, if that was noted.

    Ids of cells have neither `:` nor `@` (nbformat 4.5); in one that has, they could only hide an execution.
    """
    key = f"{cell.cell_id or cell.index}:{cell.execution_count}:{cell.output_hash}"
    return key if cell.started_at is None else f"{key}@{cell.started_at}"


def is_timed(key: str) -> bool:
    """Whether the key says when the cell was executed, so that it stands for that one execution only."""
    return "@" in key
