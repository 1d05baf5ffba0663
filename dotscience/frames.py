"""Runs as a table: `ds.get_runs` gives a pandas DataFrame."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from dotscience.errors import DotscienceError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

GROUPS = {"param": "parameters", "summary": "summary", "label": "labels"}
TIMES = ("started_at", "ended_at")


def get_runs(
    filter_string: str = "",
    *,
    sort: str = "started_at",
    order: Literal["asc", "desc"] = "desc",
    max_results: int = 1_000,
) -> pd.DataFrame:
    """The runs of this folder's project on its hub, newest first, one row each.

    Columns are `id`, `number`, `name`, `tags` (a list), `commit`, `status` ("success" or "error"), `started_at` and
    `ended_at` (UTC), then `param.NAME`, `summary.NAME` and `label.NAME` for what these runs have. Values that read as
    numbers are numbers, as where runs are sorted; what a run does not have is NaN or None.

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
    frame = pd.DataFrame(rows, columns=_columns(rows))
    for name in TIMES:
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def _row(run: dict[str, Any]) -> dict[str, Any]:
    record = run["record"]
    row = {
        "id": run["id"],
        "number": run["seq"],
        "name": run["name"],
        "tags": run["tags"],
        "commit": run["commit"],
        "status": "success" if record.get("error") is None else "error",
        "started_at": record.get("started_at"),
        "ended_at": record.get("ended_at"),
    }
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


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Those of every run first, then by kind and name."""
    names = {name: None for row in rows for name in row if "." in name}
    fixed = ["id", "number", "name", "tags", "commit", "status", *TIMES]
    kinds = list(GROUPS)
    return [*fixed, *sorted(names, key=lambda one: (kinds.index(one.partition(".")[0]), one))]
