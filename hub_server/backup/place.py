"""A folder that holds backups: `backups/<time>/` for each, and the packs of all of them in `packs/`.

A backup is written in `staging/` and gets its place by a rename when all of it is durable, its packs first. Who finds
it in `backups/` has a whole one. Packs are kept once, however many backups need them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from committer.storage.durability import make_folder, storage_errors, sync_file, sync_folder
from dotscience.errors import ConfigError
from hub_server.backup.manifest import Manifest, read_manifest
from hub_server.content.local import LocalStorage

BACKUPS = "backups"
STAGING = "staging"
LOCK = "lock"


class BackupPlace:
    """A folder of backups, at most one of which is written at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packs = LocalStorage(folder)
        self.staging = folder / STAGING

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The folder is made where it is missing, and this process alone writes to it as long as the block.

        Raises:
            ConfigError: another process does, it holds something else, or it cannot be used.
        """
        self._make()
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.staging, ignore_errors=True)  # what a backup left that did not come to its end
            make_folder(self.staging)
            yield
        except BlockingIOError:
            raise ConfigError(f"another backup is being written to {self.folder}; wait for its end") from None
        finally:
            os.close(descriptor)

    def begin(self) -> Path:
        """A new folder for the files of a backup."""
        folder = self.staging / uuid4().hex
        folder.mkdir(mode=0o700)
        return folder

    def finish(self, folder: Path, made_at: datetime) -> str:
        """Give a backup whose files are complete its place, durably; its name."""
        with storage_errors(self.folder):
            for path in folder.iterdir():
                sync_file(path)
            sync_folder(folder)
            name = self._free_name(made_at)
            folder.rename(self.folder / BACKUPS / name)
            sync_folder(self.folder / BACKUPS)
        return name

    def names(self) -> list[str]:
        """The backups, oldest first."""
        with suppress(FileNotFoundError):
            return sorted(path.name for path in (self.folder / BACKUPS).iterdir())
        return []

    def find(self, name: str | None) -> tuple[Path, Manifest]:
        """A backup by its name, by default the newest: its folder and manifest.

        Raises:
            ConfigError: there is no such backup.
            CorruptObject: its manifest is damaged.
        """
        names = self.names()
        if not names or (name is not None and name not in names):
            raise ConfigError(f"{self.folder} has no backup {name or ''}".rstrip() + _those(names))
        folder = self.folder / BACKUPS / (name or names[-1])
        return folder, read_manifest(folder)

    def forget(self, keep: int | None) -> int:
        """Delete all but the newest backups, and the packs that none of those left needs; how many backups went.

        Raises:
            CorruptObject: it cannot be known which packs are needed, so that none was deleted.
        """
        gone = [] if keep is None else self.names()[:-keep]
        with storage_errors(self.folder):
            for name in gone:
                (self.folder / BACKUPS / name).rename(self.staging / uuid4().hex)
            sync_folder(self.folder / BACKUPS)
            shutil.rmtree(self.staging)
        needed = {pack.name for name in self.names() for pack in read_manifest(self.folder / BACKUPS / name).packs}
        for stored in list(self.packs.packs()):
            if stored.hash not in needed:
                self.packs.delete(stored.hash)
        return len(gone)

    def _make(self) -> None:
        try:
            if self.folder.is_dir() and not (self.folder / BACKUPS).is_dir() and any(self.folder.iterdir()):
                raise ConfigError(f"{self.folder} is not empty and holds no backups; name a folder for backups alone")
            make_folder(self.folder.absolute() / BACKUPS)
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot hold backups ({error.strerror}); name another folder") from error

    def _free_name(self, made_at: datetime) -> str:
        stem = f"{made_at:%Y-%m-%dT%H%M%SZ}"
        taken = set(self.names())
        return next(name for name in (stem, *(f"{stem}-{n:02}" for n in range(2, 100))) if name not in taken)


def _those(names: list[str]) -> str:
    return f"; it has {', '.join(names[-10:])}" if names else "s; name the folder that `ds hub backup` wrote to"
