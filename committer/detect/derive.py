"""Derived runs: what a saved notebook executed without publishing. Pure functions; see ARCHITECTURE 4.6."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from committer.detect.evidence import Execution
from dotscience.notebook_cells import CellError
from dotscience.record import Place, RunRecord


def derived_run(dot_id: str, path: str, executed: Sequence[Execution], *, saved_at: datetime) -> RunRecord:
    """The run that executed these cells, with what their outputs and times tell.

    Its id follows from them, so that the same save never makes two. Cells without a time can be executed again with
    equal results, so the time of the save is a part of it then.
    """
    count = len(executed)
    what = f"Executed {count} cell{'' if count == 1 else 's'} of {path}" if count else f"Saved {path}"
    cells = [execution.cell for execution in executed]
    is_timed = bool(cells) and all(cell.started_at for cell in cells)
    ends = [cell.ended_at for cell in cells if cell.ended_at is not None]
    error = next((cell.error for cell in reversed(cells) if cell.error is not None), None)
    keys = sorted(execution.key for execution in executed)
    return RunRecord(
        run_id=_run_id(dot_id, path, keys if is_timed else [*keys, saved_at.isoformat()]),
        authority="derived",
        description=what,
        error=_message(error) if error else None,
        traceback=error.traceback or None if error else None,
        started_at=min((cell.started_at for cell in cells if cell.started_at is not None), default=None),
        ended_at=max(ends) if is_timed and ends else saved_at,
        mode="interactive",
        workload_file=path,
        place=Place(notebook=path),
    )


def _message(error: CellError) -> str:
    """As Python shows an exception in the last line of a traceback."""
    return f"{error.name}: {error.message}" if error.message else error.name


def _run_id(dot_id: str, path: str, keys: list[str]) -> str:
    return str(uuid5(UUID(dot_id), "\n".join(["derived", path, *keys])))
