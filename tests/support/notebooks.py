"""Notebooks as writers save them: cells with the traces of executions, in the shapes that real programs leave."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from dotscience.notebook_cells import CellState, NotebookState

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> str:
    """A time as Jupyter writes it."""
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def stream(text: Any, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    bundle = {name.replace("__", "/").replace("_", "."): value for name, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def failure(name: str = "ValueError", message: str = "no") -> dict[str, Any]:
    trace = ["\x1b[31m---------\x1b[39m", f"\x1b[31m{name}\x1b[39m: {message}"]
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": trace}


def code(
    source: Any = "x",
    *outputs: dict[str, Any],
    count: int | None = None,
    cell_id: str | None = None,
    times: tuple[float, float] | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A code cell; `times` are when it began and ended, in seconds, as JupyterLab and nbclient note them."""
    noted = {}
    if times is not None:
        noted = {"execution": {"iopub.execute_input": at(times[0]), "shell.execute_reply": at(times[1])}}
    cell = {
        "cell_type": "code",
        "execution_count": count,
        "metadata": noted | (metadata or {}),
        "source": source,
        "outputs": list(outputs),
    }
    return cell | ({"id": cell_id} if cell_id else {})


def text(source: str = "words") -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def document(*cells: dict[str, Any], **metadata: Any) -> bytes:
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def states(*cells: str, executed_at: datetime | None = None) -> NotebookState:
    """A state of cells written `id:count:output`."""
    made = []
    for index, cell in enumerate(cells):
        name, count, output = cell.split(":")
        made.append(
            CellState(
                index=index,
                cell_id=name,
                source=name,
                execution_count=int(count),
                started_at=executed_at,
                ended_at=executed_at,
                outputs=output,
                has_output=bool(output),
            )
        )
    return NotebookState(digest=hashlib.sha256(repr(made).encode()).hexdigest(), cells=made)
