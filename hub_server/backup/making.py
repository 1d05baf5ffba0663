"""Making a backup, while the hub goes on.

The database is dumped as of one moment, and every pack that it knows then is copied. The hub may delete a pack an hour
after the last object in it has gone (docs/design/garbage-collection.md), so most packs are copied before the dump, and
those that came meanwhile right after it; where a pack was deleted all the same, the dump is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection

from dotscience.client.local_hub import TOKEN_FILE
from dotscience.version import __version__
from hub_server.backup.copying import Copied, Progress, copy_packs
from hub_server.backup.manifest import ListedPack, Manifest, StoredFile, describe, write_manifest
from hub_server.backup.place import BackupPlace
from hub_server.content.storage import PackStorage
from hub_server.store.backends.backend import Backend
from hub_server.store.backups import used_packs
from hub_server.store.migrate import looking

DUMP = "database"
ATTEMPTS = 3


class Origin(Struct, frozen=True, kw_only=True):
    """The hub of which backups are made."""

    data: Path
    backend: Backend
    storage: PackStorage


class BackupMade(Struct, frozen=True, kw_only=True):
    """A backup: its name and folder, what it consists of, and what had to be copied for it; sizes in bytes.

    `damaged` are the packs that the hub itself does not have as they should be; `forgotten` counts older backups that
    were deleted.
    """

    name: str
    folder: str
    size: int
    packs: int
    copied: int
    copied_size: int
    damaged: list[str]
    forgotten: int


class BackupMaker:
    """Makes backups of one hub in one place."""

    def __init__(
        self, origin: Origin, place: BackupPlace, *, clock: Callable[[], datetime], progress: Progress
    ) -> None:
        self._origin = origin
        self._place = place
        self._clock = clock
        self._progress = progress

    def make(self, *, with_packs: bool = True, keep: int | None = None) -> BackupMade:
        """Make one, durably; then delete all but the newest `keep` backups of the place.

        Raises:
            ConfigError: the database or the place cannot be used.
            DiskFull: there is no room for it.
            StorageUnavailable: the hub's storage does not answer.
        """
        with self._place.opened():
            copied, packs = Copied(), self._packs_now()
            if with_packs:
                _add(copied, self._copy(packs))
            folder, packs = self._dump(copied, with_packs=with_packs)
            manifest = self._describe(folder, packs, copied, with_packs=with_packs)
            write_manifest(folder, manifest)
            name = self._place.finish(folder, manifest.made_at)
            return _made(self._place, name, manifest, copied, self._place.forget(keep))

    def _dump(self, copied: Copied, *, with_packs: bool) -> tuple[Path, list[ListedPack]]:
        """Dump the database, and copy the packs that it knows and that are not copied yet."""
        for _ in range(ATTEMPTS):
            folder = self._place.begin()
            (folder / DUMP).touch(mode=0o600)
            packs = self._origin.backend.dump(folder / DUMP, _list_packs)
            copied.damaged = []
            if with_packs:
                _add(copied, self._copy(packs))
            if not self._are_gone(copied.damaged):
                break
            shutil.rmtree(folder)
        return folder, packs

    def _are_gone(self, packs: list[ListedPack]) -> bool:
        """Whether the hub has done without some of these packs meanwhile."""
        return bool(packs) and not set(packs) <= set(self._packs_now())

    def _describe(self, folder: Path, packs: list[ListedPack], copied: Copied, *, with_packs: bool) -> Manifest:
        return Manifest(
            made_at=self._clock(),
            hub=__version__,
            system=self._origin.backend.system,
            with_packs=with_packs,
            files=[describe(folder / DUMP), *self._copy_token(folder)],
            packs=packs,
            damaged=[one.hash for one in copied.damaged],
        )

    def _copy_token(self, folder: Path) -> list[StoredFile]:
        token = self._origin.data / TOKEN_FILE
        if not token.is_file():
            return []
        copy = folder / TOKEN_FILE
        copy.touch(mode=0o600)
        copy.write_bytes(token.read_bytes())
        return [describe(copy)]

    def _copy(self, packs: list[ListedPack]) -> Copied:
        return copy_packs(packs, self._origin.storage, self._place.packs, self._place.staging, self._progress)

    def _packs_now(self) -> list[ListedPack]:
        with looking(self._origin.backend) as connection:
            return _list_packs(connection)


def _list_packs(connection: Connection) -> list[ListedPack]:
    return [ListedPack(row.hash.hex(), row.size) for row in used_packs(connection)]


def _add(total: Copied, more: Copied) -> None:
    total.packs += more.packs
    total.size += more.size
    total.damaged = more.damaged


def _made(place: BackupPlace, name: str, manifest: Manifest, copied: Copied, forgotten: int) -> BackupMade:
    packs = manifest.packs if manifest.with_packs else []
    return BackupMade(
        name=name,
        folder=str(place.folder),
        size=sum(one.size for one in manifest.files) + sum(one.size for one in packs),
        packs=len(packs),
        copied=copied.packs,
        copied_size=copied.size,
        damaged=manifest.damaged,
        forgotten=forgotten,
    )
