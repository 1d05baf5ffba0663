"""What a saved notebook says of its cells' executions: source, count, times, outputs and errors.

Who writes what is measured in docs/design/executions.md. Nothing here needs Jupyter, and nothing does I/O.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from dotscience.errors import NotebookError
from dotscience.notebook import as_text, decode_slowly, joined, without_cells

EXECUTE_INPUT = "iopub.execute_input"
_STARTS = (EXECUTE_INPUT, "iopub.status.busy", "shell.execute_reply.started", "shell.execute_reply")
_ENDS = ("shell.execute_reply", "iopub.status.idle")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_RUNNING = frozenset({"running", "pending"})
MAX_ERROR_CHARS = 10_000
MAX_TRACEBACK_CHARS = 100_000


class CellError(Struct, frozen=True, array_like=True):
    """The exception that a cell ended in, as plain text."""

    name: str
    message: str
    traceback: str


class CellState(Struct, frozen=True, array_like=True, kw_only=True):
    """A code cell as it was saved. Hashes do not depend on how the file is laid out, nor on which editor wrote it.

    `started_at` and `ended_at` are those of the last execution, as whoever executed the cell wrote them down; not
    everybody does. `is_running` is whether a writer says that the execution is not over.
    """

    index: int
    cell_id: str | None
    source: str
    execution_count: int | None
    started_at: datetime | None
    ended_at: datetime | None
    outputs: str
    has_output: bool
    error: CellError | None = None
    is_running: bool = False


class NotebookState(Struct, frozen=True, array_like=True, kw_only=True):
    """A notebook's code cells, in order. `digest` is that of the file's bytes.

    `is_executing` is whether a writer that says when its execution is over has not said so yet (papermill).
    """

    digest: str
    cells: list[CellState]
    is_executing: bool = False


class _CodeCell(Struct):
    cell_type: str = ""
    id: str | None = None
    source: str | list[str] = ""
    execution_count: int | None = None
    metadata: dict[str, Any] = {}
    outputs: list[dict[str, Any]] = []


class _ExecutedNotebook(Struct):
    cells: list[_CodeCell]
    metadata: dict[str, Any] = {}


_EXECUTED_NOTEBOOK = msgspec.json.Decoder(_ExecutedNotebook)


def read_state(data: bytes, path: str = "the file") -> NotebookState:
    """The state of a notebook.

    Raises:
        NotebookError: `data` is not a notebook, or only a part of one.
    """
    notebook = _decode_executed(data, path)
    papermill_since = _papermill_since(notebook.metadata)
    cells = [
        _cell_state(index, cell, papermill_since)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
    ]
    return NotebookState(
        digest=hashlib.sha256(data).hexdigest(),
        cells=cells,
        is_executing=papermill_since is not None,
    )


def read_cells(data: bytes, path: str = "the file") -> list[CellState]:
    """The state of each code cell of a notebook, in order.

    Raises:
        NotebookError: `data` is not a notebook, or only a part of one.
    """
    return read_state(data, path).cells


def _cell_state(index: int, cell: _CodeCell, papermill_since: datetime | None) -> CellState:
    started_at, ended_at = _times(cell.metadata)
    return CellState(
        index=index,
        cell_id=cell.id,
        source=_digest(_lines(as_text(cell.source)).rstrip("\n"))[:32],
        execution_count=cell.execution_count,
        started_at=started_at,
        ended_at=ended_at,
        outputs=_digest(normalised(cell.outputs)),
        has_output=bool(cell.outputs),
        error=_error(cell.outputs) or _error_without_output(cell, started_at),
        is_running=_is_running(cell, ended_at, papermill_since),
    )


def _papermill_since(metadata: dict[str, Any]) -> datetime | None:
    """When papermill began to execute the notebook, unless it has ended that, well or not."""
    papermill = _mapping(metadata, "papermill")
    return parse_time(papermill.get("start_time")) if papermill.get("end_time") is None else None


def _is_running(cell: _CodeCell, ended_at: datetime | None, papermill_since: datetime | None) -> bool:
    """Whether papermill has not come to the end of a cell.

    Cells behind one that failed stay "pending" for ever, and so do all behind the place where papermill was killed,
    whoever executes them later.
    """
    waits = papermill_since is not None and _mapping(cell.metadata, "papermill").get("status") in _RUNNING
    return waits and (ended_at is None or papermill_since is None or ended_at < papermill_since)


def _decode_executed(data: bytes, path: str) -> _ExecutedNotebook:
    """Decode only what is needed; slowly what msgspec refuses but notebooks have."""
    try:
        return _EXECUTED_NOTEBOOK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _as_executed_notebook(decode_slowly(data, path), path)


def _as_executed_notebook(document: Any, path: str) -> _ExecutedNotebook:
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise NotebookError(f"{path} is not a notebook of nbformat 4: {without_cells(document)}")
    return _ExecutedNotebook(cells=[_as_code_cell(cell) for cell in cells], metadata=_mapping(document, "metadata"))


def _as_code_cell(cell: Any) -> _CodeCell:
    if not isinstance(cell, dict):
        return _CodeCell()
    count, outputs = cell.get("execution_count"), cell.get("outputs")
    return _CodeCell(
        cell_type=as_text(cell.get("cell_type")),
        id=as_text(cell.get("id")) or None,
        source=as_text(cell.get("source")),
        execution_count=count if type(count) is int else None,
        metadata=_mapping(cell, "metadata"),
        outputs=[output for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else [],
    )


# ---------------------------------------------------------------------------------- times


def _times(metadata: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """When the last execution began and ended, by whichever writer's notes are there, the most exact first.

    Of nbclient's and JupyterLab's times the first stays the same from an execution's first save to its last
    (jupyter_client, messaging); kernels that send no execute_input lack it.
    """
    timing = _mapping(metadata, "execution")
    started_at = next((at for name in _STARTS if (at := parse_time(timing.get(name)))), None)
    if started_at is not None:
        return started_at, next((at for name in _ENDS if (at := parse_time(timing.get(name)))), None)
    for name, start, end in (
        ("papermill", "start_time", "end_time"),
        ("ploomber", "timestamp_start", "timestamp_end"),
        ("ExecuteTime", "start_time", "end_time"),
    ):
        noted = _mapping(metadata, name)
        if (started_at := parse_time(noted.get(start))) is not None:
            return started_at, parse_time(noted.get(end))
    return _colab_times(_mapping(metadata, "executionInfo"))


def _colab_times(noted: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Colab notes when a cell ended and how long it took, both in milliseconds."""
    ended, took = noted.get("timestamp"), noted.get("elapsed")
    if not isinstance(ended, int | float) or isinstance(ended, bool):
        return None, None
    elapsed = took if isinstance(took, int | float) else 0
    return parse_time((ended - elapsed) / 1000), parse_time(ended / 1000)


def parse_time(value: Any) -> datetime | None:
    """A time as ISO 8601, UTC where it names no zone, or as seconds since the Unix epoch."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


# ---------------------------------------------------------------------------------- outputs


def normalised(outputs: list[dict[str, Any]]) -> list[Any]:
    """Outputs so that what editors rewrite without executing makes no difference.

    The pieces of a stream are one text, images have no line ends, text has those of Unix, an exception is its name and
    message, numbers that are equal are the same; counts and metadata are left aside.
    """
    streams: dict[str, int] = {}
    alike: list[Any] = []
    for output in outputs:
        kind = as_text(output.get("output_type"))
        if kind == "stream":
            name, text = as_text(output.get("name")), _lines(as_text(output.get("text")))
            if name in streams:
                alike[streams[name]][2] += text
            else:
                streams[name] = len(alike)
                alike.append([kind, name, text])
        elif kind == "error":
            alike.append([kind, as_text(output.get("ename")), as_text(output.get("evalue"))])
        else:
            bundle = _mapping(output, "data")
            alike.append([kind, {name: _content(name, value) for name, value in bundle.items()}])
    return alike


def _content(kind: str, value: Any) -> Any:
    text = joined(value)
    if not isinstance(text, str):
        return _numbers(text)
    return "".join(text.split()) if kind.startswith("image/") and kind != "image/svg+xml" else _lines(text).rstrip("\n")


def _numbers(value: Any) -> Any:
    """JSON with each number as JavaScript writes it: front ends make 1 of 1.0."""
    if isinstance(value, dict):
        return {str(name): _numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _error(outputs: list[dict[str, Any]]) -> CellError | None:
    """The last exception among a cell's outputs."""
    for output in reversed(outputs):
        if output.get("output_type") == "error":
            lines = output.get("traceback")
            trace = "\n".join(line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ""
            return CellError(
                _plain(as_text(output.get("ename")), MAX_ERROR_CHARS),
                _plain(as_text(output.get("evalue")), MAX_ERROR_CHARS),
                _plain(trace, MAX_TRACEBACK_CHARS),
            )
    return None


def _error_without_output(cell: _CodeCell, started_at: datetime | None) -> CellError | None:
    """The failure that papermill noted of a cell whose kernel sends no exceptions as outputs; stderr tells why.

    The note stays when somebody executes the cell later.
    """
    papermill = _mapping(cell.metadata, "papermill")
    noted_at = parse_time(papermill.get("end_time"))
    is_later = started_at is not None and noted_at is not None and started_at > noted_at
    if papermill.get("exception") is not True or is_later:
        return None
    pieces = [as_text(output.get("text")) for output in cell.outputs if output.get("name") == "stderr"]
    return CellError("CellExecutionError", _plain("".join(pieces).strip(), MAX_ERROR_CHARS), "")


def _plain(text: str, limit: int) -> str:
    """Without colours, and without what no encoding can hold."""
    return _ANSI.sub("", text)[:limit].encode("utf-8", "replace").decode()


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _mapping(holder: Any, name: str) -> dict[str, Any]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return found if isinstance(found, dict) else {}


def _digest(value: Any) -> str:
    try:
        data = msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:
        data = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()
