"""Derived runs: what a saved notebook executed without publishing. Pure functions; see ARCHITECTURE 4.6."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid5

from dotscience.record import Place, RunRecord


def newly_executed(cells: Iterable[str], baseline: Iterable[str]) -> list[str]:
    """The keys of the cells whose execution no commit has accounted for, in the order of the notebook."""
    known = set(baseline)
    return [cell for cell in cells if cell not in known]


def derived_run(dot_id: str, path: str, executed: list[str], *, saved_at: datetime) -> RunRecord:
    """The run that executed these cells. Its id follows from them, so that the same save never makes two."""
    count = len(executed)
    what = f"Executed {count} cell{'' if count == 1 else 's'} of {path}" if count else f"Saved {path}"
    return RunRecord(
        run_id=_run_id(dot_id, path, sorted(executed) or [saved_at.isoformat()]),
        authority="derived",
        description=what,
        ended_at=saved_at,
        mode="interactive",
        workload_file=path,
        place=Place(notebook=path),
    )


def _run_id(dot_id: str, path: str, keys: list[str]) -> str:
    return str(uuid5(UUID(dot_id), "\n".join(["derived", path, *keys])))
