"""Telling by stat(2) whether a file has changed since it was looked at."""

from __future__ import annotations

import os
import stat
import time
from typing import NamedTuple

TICK_NS = 10_000_000
"""The coarsest clock that Linux stamps files with (100 Hz): two changes within a tick can look alike."""


class FileSignature(NamedTuple):
    """Size in bytes and time of the last change (Unix time)."""

    size: int
    mtime_ns: int


def signature_of(path: str) -> FileSignature | None:
    """The signature of a regular file, links followed; None where there is none.

    A file that was changed within the last tick is waited for, at most a tick, so that whatever changes it after this
    call gives it another signature (git's documentation calls such files racy).
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - paths are strings in the library, which runs for every file
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    age_ns = time.time_ns() - status.st_mtime_ns
    if 0 <= age_ns < TICK_NS:
        time.sleep((TICK_NS - age_ns) / 1e9)
    return FileSignature(status.st_size, status.st_mtime_ns)
