"""Runs that are going on, as the processes that record them have noted them (docs/design/live-metrics.md, 2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from committer.sync.points import PointsFile, points_files
from dotscience.errors import WireFormatError
from dotscience.record import RunRecord, decode_json

MAX_RUNNING = 20
TAIL_BYTES = 64 * 1024
"""Where the last values of a run's metrics are looked for."""


class RunningRun(Struct, frozen=True, kw_only=True):
    """A run that is not published yet: `record` is as it was at its first point, `latest` what its metrics are now."""

    run_id: str
    record: RunRecord
    latest: dict[str, Any]


def running_runs(folder: Path) -> list[RunningRun]:
    """At most 20 runs whose processes still have their files in `folder`, newest first; others are left out."""
    found = islice((run for path in points_files(folder) if (run := _read(path)) is not None), MAX_RUNNING)
    return sorted(found, key=_started, reverse=True)


def _read(path: Path) -> RunningRun | None:
    """The run of a file; None where it is over or published, or the file is none of ours."""
    with suppress(OSError, WireFormatError), PointsFile(path) as file:
        if file.is_held() and not path.with_suffix(".json").exists():
            return RunningRun(
                run_id=file.run_id, record=decode_json(file.record(), RunRecord), latest=dict(_latest(file))
            )
    return None


def _latest(file: PointsFile) -> Iterator[tuple[str, Any]]:
    """Names and values in the order in which they were recorded, so that the last of a name counts."""
    piece = file.read(max(0, file.size - TAIL_BYTES), to_the_end=False)
    for name, _, _, value in piece.points:
        yield name, value


def _started(run: RunningRun) -> str:
    return "" if run.record.started_at is None else run.record.started_at.isoformat()
