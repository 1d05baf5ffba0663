"""The flat commit metadata of the original hub: how it names what `RunRecord` says.

Keys are dotted, values are strings. What is about a run is under `run.<run id>.`; labels are `label.NAME`, metrics
`summary.NAME`, parameters `parameters.NAME`. The original's clients in remote mode write it themselves.
"""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

from dotscience.wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dotscience.record import RunRecord

COMMIT_TYPE = "dotscience.run.v1"
_GROUPS = {"labels": "label", "summary": "summary", "parameters": "parameters"}
_TEXTS = ("version", "description", "error", "start", "end")


def remote_commit(record: RunRecord, *, author: str, output_files: Sequence[str]) -> dict[str, str]:
    """The metadata of a commit that holds one run of code outside of the hub.

    Inputs are left out: the format ties each to a commit of the workspace (`path@commit`), and such code has none.

    Args:
        record: with both of its times.
        author: the hub's name for who publishes.
        output_files: the outputs that the commit holds, relative to the root.
    """
    wire = to_wire(record)
    commit = {
        "author": author,
        "exec.start": wire["start"],
        "exec.end": wire["end"],
        "exec.logs": "[]",
        "runner.name": platform.node(),
        "runner.platform": platform.system(),
        "runner.platform_version": platform.version(),
        "runs": json.dumps([record.run_id]),
        "workload.type": "remote",
        "type": COMMIT_TYPE,
    }
    about_run = _about_run(record, wire) | {"output-files": json.dumps(list(output_files))}
    return commit | {f"run.{record.run_id}.{key}": value for key, value in about_run.items()}


def _about_run(record: RunRecord, wire: dict[str, dict[str, str] | str]) -> dict[str, str]:
    about = {key: text for key in _TEXTS if isinstance(text := wire.get(key), str)}
    for key, prefix in _GROUPS.items():
        group = wire[key]
        assert isinstance(group, dict)  # noqa: S101 - for the type checker: wire v1 always has it
        about |= {f"{prefix}.{name}": value for name, value in group.items()}
    about["authority"] = "remote"
    workload_file = record.workload_file or (record.place and record.place.notebook)
    return about | ({"workload-file": workload_file} if workload_file else {})
