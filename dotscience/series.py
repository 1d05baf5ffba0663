"""The points of a run that is being recorded, in a file that the committer reads while it grows.

docs/design/live-metrics.md describes the file. Imported when the first point is recorded.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from math import isfinite
from operator import index
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakSet

from dotscience import publishing, surroundings
from dotscience.points import MAX_NAME_CHARS, MAX_NAMES, MAX_POINTS, MAX_STEP, SUFFIX
from dotscience.record import encode_json
from dotscience.warning import warn
from dotscience.workspace import RUNS_DIR, STATE_DIR

if TYPE_CHECKING:
    from dotscience.recording import Run

_creating = threading.Lock()
_open: WeakSet[Series] = WeakSet()


class Series:
    """Where a run's points go; safe for threads.

    Without a file they go nowhere, which the user has been told. `run_id` is the id under which the run is going to be
    published. After a fork the child's copy is not `usable`: the file is its parent's.
    """

    def __init__(self, run_id: str, descriptor: int | None = None) -> None:
        self.run_id = run_id
        self.usable = True
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._starts: dict[str, str] = {}
        self._told: set[str] = set()
        self._room = MAX_POINTS
        _open.add(self)

    def __del__(self) -> None:
        """A run that is dropped without being published gives its file back."""
        self.close()

    def add(self, name: str, step: Any, value: Any) -> None:
        """Append a point: one write to the page cache.

        Raises:
            TypeError: the step is no whole number.
            ValueError: it is beyond what JSON's readers have exactly.
        """
        number = _checked_step(step)
        if self._room <= 0 or self._descriptor is None:
            return
        text = self._written(name, value)
        start = self._starts.get(name)
        if start is None:
            start = self._admit(name)
        if text and start:
            self._append(f"{start}{number},{time_ns() // 1000},{text}]\n".encode("ascii"))

    def close(self) -> None:
        """Give the file back; idempotent."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def leave_to_parent(self) -> None:
        """In a forked child, where no other thread runs: let go of the file, also of a lock that was held just then."""
        self._lock = threading.Lock()
        self.usable = False
        self.close()

    def _written(self, name: str, value: Any) -> str:
        """The value in JSON; empty where it is no number."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            self._tell_once(f"a value of the metric {name[:80]!r} is no number: it is no point of its curve")
            return ""
        return repr(number) if isfinite(number) else f'"{number}"'

    def _admit(self, name: str) -> str:
        """How the lines with this name begin; empty if the series takes none."""
        if len(name) > MAX_NAME_CHARS:
            self._tell_once(f"a metric whose name has more than {MAX_NAME_CHARS} characters has no curve")
            return ""
        if len(self._starts) >= MAX_NAMES:
            self._tell_once(f"the run has curves of {MAX_NAMES} metrics: further ones have none")
            return ""
        start = self._starts[name] = f"[{json.dumps(name)},"
        return start

    def _append(self, line: bytes) -> None:
        with self._lock:
            failure = self._write(line)
        if failure is not None:
            self._tell_once(f"{failure}: from here on only the last value of each metric is kept")

    def _write(self, line: bytes) -> str | None:
        """Why this was the last line, if it was; the caller holds the lock."""
        if self._room <= 0 or self._descriptor is None:  # another thread was quicker
            return None
        self._room -= 1
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            self._room = 0
            return f"the points of the run cannot be written ({error.strerror})"
        if written < len(line):
            self._room = 0
            return "the points of the run cannot be written (no space left)"
        return None if self._room else f"the run has {MAX_POINTS} points, which is all that is kept of one"

    def _tell_once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            warn(message)


def _checked_step(step: Any) -> int:
    try:
        number = index(step)
    except TypeError:
        raise TypeError(f"the step of a metric must be a whole number, not {step!r:.80}") from None
    if not -MAX_STEP <= number <= MAX_STEP:
        raise ValueError(f"the step of a metric must be between -{MAX_STEP} and {MAX_STEP}, not {number!r:.80}")
    return number


def begin(run: Run) -> Series:
    """The series of `run`, begun now if it has none that this process may write to."""
    with _creating:
        series = run.series
        if series is None or not series.usable:
            series = run.series = _create(run)
        return series


def _create(run: Run) -> Series:
    run_id = str(uuid4())
    root = run.root or surroundings.workspace_root()
    if not (run.is_local and surroundings.is_tracked(root)):
        where = f"{root} is not in a tracked folder" if run.is_local else "runs of remote mode have none"
        warn(f"the points of metrics are kept nowhere ({where}): the last value of each is")
        return Series(run_id)
    try:
        return Series(run_id, _create_file(Path(root) / STATE_DIR / RUNS_DIR, run_id, _first_line(run, run_id, root)))
    except OSError as error:
        warn(f"the points of metrics cannot be written to {root} ({error.strerror}): the last value of each is kept")
        return Series(run_id)


def _first_line(run: Run, run_id: str, root: str) -> bytes:
    return encode_json(publishing.build_live_record(run, run_id, root)) + b"\n"


def _create_file(folder: Path, run_id: str, first_line: bytes) -> int:
    """A file that others see with its first line and its lock, or not at all."""
    folder.mkdir(mode=0o700, exist_ok=True)
    temporary = folder / f".{run_id}{SUFFIX}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        while first_line:  # the rest of a short write meets the error that made it short
            first_line = first_line[os.write(descriptor, first_line) :]
        temporary.rename(folder / f"{run_id}{SUFFIX}")
    except BaseException:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    return descriptor


def _after_fork() -> None:
    global _creating  # noqa: PLW0603 - a lock that another thread held at the fork is never given back here
    _creating = threading.Lock()
    for series in list(_open):
        series.leave_to_parent()


os.register_at_fork(after_in_child=_after_fork)
