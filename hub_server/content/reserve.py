"""Room on the hub's disk that is kept for when the disk is full.

While the reserve is there, everything is taken. Where it had to be given up, nothing is pushed any more, and what is
left of its room is for what helps: signing in, looking, collecting garbage. It is taken back by itself.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import structlog

from dotscience.errors import DiskFull

log = structlog.get_logger(__name__)

MAX_SIZE = 64 * 2**20
SHARE_OF_DISK = 50
"""The reserve is one part in so many of the disk, up to `MAX_SIZE`."""
RESERVE_FILE = "hub.reserve"


class Reserve:
    """The reserve of one data folder, whose lock this process holds. Safe to use from any thread.

    To take the room can last as long as to write it, so all but `is_there` is for worker threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / RESERVE_FILE
        self._size = min(MAX_SIZE, shutil.disk_usage(folder).total // SHARE_OF_DISK)
        self._lock = threading.Lock()
        self.look()

    def is_there(self) -> bool:
        """Whether all is well: the reserve is there, and the disk not so full that it has to be given up."""
        return self._path.exists() and not self._is_full()

    def look(self) -> bool:
        """Give the reserve up where the disk is full, take it back where there is room again; whether it is there."""
        with self._lock:
            if self._path.exists():
                if not self._is_full():
                    return True
                self._give_up()
                return False
            return self._free() >= 2 * self._size and self._take()

    def give_up(self) -> bool:
        """Give the reserve up, as something found no room; whether that made some."""
        with self._lock:
            if not self._path.exists():
                return False
            self._give_up()
            return True

    def check(self) -> None:
        """Let something be pushed, or not; take the reserve back first, where there is room again.

        Raises:
            DiskFull: the room that is left is not for that.
        """
        if not self.look():
            raise DiskFull(f"{self._folder} is full; make room there, {2 * self._size >> 20} MiB at least")

    def _is_full(self) -> bool:
        return self._free() < self._size // 4

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free

    def _give_up(self) -> None:
        self._path.unlink()
        log.error("storage.reserve_given_up", folder=str(self._folder), size=self._size)

    def _take(self) -> bool:
        """Allocate it (posix_fallocate(3)); under another name first, so that a part of it is never taken for all."""
        aside = self._path.with_suffix(".new")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
            aside.rename(self._path)
        except OSError as error:
            log.warning("storage.no_reserve", folder=str(self._folder), error=str(error))
            with suppress(OSError):
                aside.unlink()
            return False
        return True
