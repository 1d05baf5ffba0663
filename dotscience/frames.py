"""Runs as a table: `ds.get_runs` gives a pandas DataFrame."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from dotscience.errors import DotscienceError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

GROUPS = {"param": "parameters", "summary": "summary", "label": "labels"}
TIMES = ("started_at", "ended_at")
FIXED = (
    *("id", "number", "name", "description", "tags", "commit", "source", "status"),
    *(*TIMES, "duration_s", "models"),
)
"""What every run has, as columns of a table."""


def get_runs(
    filter_string: str = "",
    *,
    sort: str = "started_at",
    order: Literal["asc", "desc"] = "desc",
    max_results: int = 1_000,
) -> pd.DataFrame:
    """The runs of this folder's project on its hub, newest first, one row each.

    Columns are `id`, `number`, `name`, `description`, `tags` (a list), `commit`, `source` (the notebook or script),
    `status` ("success" or "error"), `started_at` and `ended_at` (UTC), `duration_s` and `models` (a list of names);
    then `param.NAME`, `summary.NAME` and `label.NAME` for what these runs have. Values that read as numbers are
    numbers, as where runs are sorted; what a run does not have is NaN or None.

    Args:
        filter_string: Only runs that meet this, such as `summary.accuracy > 0.9` (docs/filters.md).
        sort: `started_at`, `param.NAME`, `summary.NAME` or `label.NAME`; runs without the value come last.
        order: Smallest or oldest first ("asc"), or largest or newest.
        max_results: At most so many rows.

    Raises:
        ValueError: `max_results` is less than 0.
        DotscienceError: pandas is not installed, or the folder has no project on a hub.
        HubError: the hub does not answer, or cannot understand the filter.
    """
    if max_results < 0:
        raise ValueError(f"max_results must be 0 or more, not {max_results}")
    try:
        import pandas as pd
    except ImportError as error:
        raise DotscienceError("get_runs needs pandas; run: pip install pandas") from error
    from dotscience.client import credentials  # they take a while to import, for those who need them
    from dotscience.client.hub import HubClient
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    if workspace.hub is None:
        raise WorkspaceError(f"{workspace.root} is bound to no hub; `ds init --hub URL` binds it")
    token = credentials.for_reading(workspace.hub.url, workspace.hub.project_id)
    with HubClient(workspace.hub.url, token) as hub:
        found = hub.runs(workspace.hub.project_id, filter_string=filter_string, sort=sort, order=order)
        rows = [_row(run) for run in islice(found, max_results)]
    frame = pd.DataFrame(rows, columns=[*FIXED, *_named(rows)])
    for name in TIMES:
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def about(run: dict[str, Any]) -> dict[str, Any]:
    """A run as the hub lists it in the columns that every run has; `FIXED` are their names, in this order."""
    record = run["record"]
    return {
        "id": run["id"],
        "number": run["seq"],
        "name": run["name"],
        "description": record.get("description"),
        "tags": run["tags"],
        "commit": run["commit"],
        "source": source_of(record),
        "status": "success" if record.get("error") is None else "error",
        "started_at": record.get("started_at"),
        "ended_at": record.get("ended_at"),
        "duration_s": duration_s(record),
        "models": [model["name"] for model in record.get("models") or ()],
    }


def source_of(record: Mapping[str, Any]) -> str | None:
    """The notebook or script of a run, as far as that is known."""
    return (record.get("place") or {}).get("notebook") or record.get("workload_file")


def duration_s(record: Mapping[str, Any]) -> float | None:
    """How many seconds a run took; None where that is not known."""
    started, ended = (record.get(name) for name in TIMES)
    if not started or not ended:
        return None
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    return seconds if seconds >= 0 else None


def _row(run: dict[str, Any]) -> dict[str, Any]:
    record = run["record"]
    row = about(run)
    for kind, group in GROUPS.items():
        row |= {f"{kind}.{name}": _value(value) for name, value in (record.get(group) or {}).items()}
    return row


def _value(value: Any) -> Any:
    """Numbers on the original's wire are texts."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _named(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The columns that not every run has, by kind and name."""
    names = {name: None for row in rows for name in row if "." in name}
    kinds = list(GROUPS)
    return sorted(names, key=lambda one: (kinds.index(one.partition(".")[0]), one))
