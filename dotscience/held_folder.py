"""A folder that is known by an open descriptor as well as by its path: a run in it outlives its being renamed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def hold(path: str) -> int | None:
    """A descriptor of the folder, or None where it cannot be opened. It is closed when the process ends."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def place_of(descriptor: int, believed: str) -> str | None:
    """Where an open folder is now: `believed`, unless that is gone or another folder by now; None for nowhere."""
    held = os.fstat(descriptor)
    if _is_at(held, believed):
        return believed
    try:
        path = _path_of(descriptor)
    except OSError:
        return None
    return path if _is_at(held, path) else None


def _is_at(held: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(held, os.stat(path))  # noqa: PTH116 - paths are strings in the library
    except OSError:
        return False


def _path_of(descriptor: int) -> str:
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))  # fcntl(2)
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - proc(5)


class HeldFolder:
    """A folder wherever it is; belongs to the process, and is closed with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = hold(str(path))

    def now(self) -> Path:
        """Where it is at this moment; where it was, if it is gone."""
        if self._descriptor is None:
            return self._path
        return Path(place_of(self._descriptor, str(self._path)) or self._path)
