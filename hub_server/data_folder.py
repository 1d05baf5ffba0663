"""The hub's data folder: one hub at a time, and what it leaves there for this user's other programs.

`hub.lock` is held (flock(2)) while a hub runs, so that a killed hub leaves no lock behind. `hub.json` says where it
listens; `admin.token` is a token of the first administrator. All of it is readable by the owner only. A folder with
`restore.unfinished` holds a part of a backup, and no hub starts on it.
"""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path

import msgspec

from dotscience.client.local_hub import HUB_FILE, TOKEN_FILE, HubFile, read_hub_file
from dotscience.errors import ConfigError
from dotscience.workspace import sync_folder, write_durably

DATABASE = "hub.db"
LOCK_FILE = "hub.lock"
RESTORING = "restore.unfinished"


class DataFolder:
    """An open data folder; this process holds its lock until `close`."""

    def __init__(self, path: Path) -> None:
        """Take the lock, making the folder where it is missing.

        Raises:
            ConfigError: a hub runs on it, it cannot be used, or a backup was not restored to its end.
        """
        self.path = path
        self._lock = _lock(path)
        if (path / RESTORING).exists():
            self.close()
            raise ConfigError(f"a backup was not restored to its end in {path}; empty that folder and restore it again")

    def begin_restoring(self) -> None:
        """From now on no hub starts here, until `end_restoring`."""
        write_durably(self.path / RESTORING, b"")

    def end_restoring(self) -> None:
        """All that a hub needs is here."""
        (self.path / RESTORING).unlink()
        sync_folder(self.path)

    def announce(self, url: str, now: datetime) -> None:
        """Say where this hub listens."""
        running = HubFile(url=url, pid=os.getpid(), started_at=now)
        write_durably(self.path / HUB_FILE, msgspec.json.encode(running) + b"\n")

    def has_token(self) -> bool:
        """Whether a first start has left the administrator's token."""
        return (self.path / TOKEN_FILE).is_file()

    def write_token(self, token: str) -> None:
        """Leave the administrator's token."""
        write_durably(self.path / TOKEN_FILE, token.encode() + b"\n")

    def close(self) -> None:
        """Take the announcement back and let the lock go; idempotent."""
        if self._lock >= 0:
            (self.path / HUB_FILE).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the data folder {folder} cannot be used ({error.strerror}); choose one with --data"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(_held_by(folder)) from None
    return descriptor


def _held_by(folder: Path) -> str:
    running = read_hub_file(folder)
    where = f"process {running.pid} at {running.url}" if running else "another process"
    return f"a hub already runs on {folder}: {where}; use that one, or choose another folder with --data"
