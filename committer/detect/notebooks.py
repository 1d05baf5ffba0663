"""Reading notebooks that others write: when they are whole, what they hold, and how to go on while they are not."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from committer.detect.sidecars import read_regular
from committer.detect.sighting import NotebookSight, sighting, time_of
from dotscience.errors import NotebookError
from dotscience.notebook import find_runs
from dotscience.notebook_cells import read_state

SUFFIX = ".ipynb"
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_NOTEBOOK_BYTES = 1 << 30
FIRST_RETRY_S = 0.1
SLOWEST_RETRY_S = 5.0
PATIENCE = 5
"""Failures, about three seconds, after which a notebook is taken to be broken rather than being written."""


def is_notebook(path: str) -> bool:
    """Whether a path relative to the root is that of a notebook, and not a checkpoint or a writer's scratch file.

    A name that is not UTF-8 is none: Jupyter cannot open such a file, and JSON and SQLite cannot hold its name.
    """
    folder, _, name = path.rpartition("/")
    hidden = name.startswith(".") or ".ipynb_checkpoints" in folder.split("/")
    return name.endswith(SUFFIX) and not hidden and not _SURROGATE.search(path)


def signature(status: os.stat_result) -> str:
    """Changes whenever the file does, for all practical purposes."""
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def read_notebook(root: Path, path: str, *, dot_id: str) -> NotebookSight:
    """Read a notebook as it is now.

    Raises:
        NotebookError: it is not a whole notebook, or changed while it was read; a writer may be at work.
        FileNotFoundError: it is gone.
        OSError: it cannot be read.
    """
    file = root / path
    before = file.stat()
    data = read_regular(file, MAX_NOTEBOOK_BYTES)
    if signature(file.stat()) != signature(before):
        raise NotebookError(f"{path} changed while it was read")
    seen = (sighting(found, seen_in=path) for found in find_runs(data, path=path, dot_id=dot_id))
    return NotebookSight(
        path=path,
        signature=signature(before),
        saved_at=time_of(before.st_mtime_ns),
        state=read_state(data, path),
        sightings=[run for run in seen if run is not None],
    )


def being_written(root: Path, path: str) -> bool:
    """Whether Jupyter says that it is writing the notebook: it keeps `.~name` beside it meanwhile."""
    file = root / path
    return file.with_name(f".~{file.name}").exists()


class Reading(Struct, kw_only=True):
    """A notebook that is to be read: when, since when that has failed, and how often."""

    due_at: float
    failing_since: float | None = None
    failures: int = 0


class ReadingList:
    """Which notebooks are to be read when. Times are the event loop's. Belongs to one thread.

    A notebook that cannot be read stays listed, with growing pauses up to `SLOWEST_RETRY_S`, until it can be or is
    gone; a new change makes it due afresh.
    """

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def __len__(self) -> int:
        return len(self._readings)

    def __contains__(self, path: str) -> bool:
        return path in self._readings

    def add(self, path: str, due_at: float) -> None:
        """Read `path` at `due_at`; a later change postpones an earlier one, so that a busy writer is waited for."""
        reading = self._readings.setdefault(path, Reading(due_at=due_at))
        reading.due_at = due_at
        reading.failures = 0

    def next_due_at(self) -> float | None:
        """When the next notebook is due, or None where none is listed."""
        return min((reading.due_at for reading in self._readings.values()), default=None)

    def due(self, now: float) -> Iterator[str]:
        """The notebooks that are due, longest first; they stay listed until `done` or `failed`."""
        ready = [(reading.due_at, path) for path, reading in self._readings.items() if reading.due_at <= now]
        yield from (path for _, path in sorted(ready))

    def done(self, path: str, started_at: float) -> None:
        """`path` was read, or is gone; it stays listed if it changed after `started_at`."""
        reading = self._readings.get(path)
        if reading is not None and reading.due_at <= started_at:
            del self._readings[path]

    def failed(self, path: str, now: float) -> float:
        """`path` cannot be read yet; returns for how long that has been so."""
        reading = self._readings.setdefault(path, Reading(due_at=now))
        if reading.failing_since is None:
            reading.failing_since = now
        reading.failures += 1
        pause_s = min(SLOWEST_RETRY_S, FIRST_RETRY_S * 2 ** min(reading.failures - 1, 16))
        reading.due_at = now + pause_s * random.uniform(0.8, 1.2)
        return now - reading.failing_since

    def settling(self) -> set[str]:
        """The notebooks that are listed and not known to be broken for long: they are probably being written."""
        return {path for path, reading in self._readings.items() if reading.failures <= PATIENCE}
