"""Making a hub of a backup, and checking one.

A hub that was restored has lost what came after the backup. Every dot begins a new epoch, so that committers compare
what they believe with what the hub has, and push again what it lost (docs/design/garbage-collection.md).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from committer.storage.durability import make_folder
from dotscience.client.local_hub import TOKEN_FILE
from dotscience.errors import ConfigError
from hub_server.backup.copying import Progress, copy_packs, find_damaged
from hub_server.backup.making import DUMP
from hub_server.backup.manifest import ListedPack, Manifest, check_files
from hub_server.backup.place import BackupPlace
from hub_server.content.staging import STAGING
from hub_server.content.storage import PackStorage
from hub_server.data_folder import DataFolder
from hub_server.store.backends.backend import Backend
from hub_server.store.backups import begin_new_epochs, note_missing
from hub_server.store.migrate import migrate

ALWAYS_THERE = frozenset({"lost+found"})
"""What the root of a new file system holds."""


class Target(Struct, frozen=True, kw_only=True):
    """The hub that a backup becomes; nothing is in any of these yet, but for packs in a bucket."""

    data: Path
    backend: Backend
    storage: PackStorage


class Restored(Struct, frozen=True, kw_only=True):
    """What was restored: the backup's name, when it was made, its packs, and those that are missing or damaged."""

    name: str
    made_at: datetime
    data: str
    packs: int
    damaged: list[str]


class Checked(Struct, frozen=True, kw_only=True):
    """What was found in a backup: how many packs were read, and those that are missing or damaged."""

    name: str
    made_at: datetime
    packs: int
    damaged: list[str]


def check_backup(place: BackupPlace, name: str | None, progress: Progress) -> Checked:
    """Read all of a backup, by default the newest.

    Raises:
        ConfigError: there is no such backup.
        CorruptObject: it cannot be restored: the manifest, the database or a secret is damaged.
    """
    folder, manifest = place.find(name)
    check_files(folder, manifest)
    packs = manifest.packs if manifest.with_packs else []
    damaged = find_damaged(packs, place.packs, progress)
    return Checked(name=folder.name, made_at=manifest.made_at, packs=len(packs), damaged=[one.hash for one in damaged])


def restore(
    place: BackupPlace, name: str | None, target: Target, *, clock: Callable[[], datetime], progress: Progress
) -> Restored:
    """Make a hub of a backup, by default of the newest; durable when this returns.

    Where it does not come to its end, no hub starts on the data folder. Packs that are damaged in the backup are left
    out, and noted as damaged in the hub, so that committers are asked for what was in them.

    Raises:
        ConfigError: there is no such backup, it is of another database system, or the target is in use or not empty.
        CorruptObject: the manifest, the database or a secret is damaged.
        DiskFull: there is no room for it.
        StorageUnavailable: the target's storage does not answer.
    """
    folder, manifest = place.find(name)
    _check_system(manifest, target)
    check_files(folder, manifest)
    _check_empty(target.data)
    with closing(DataFolder(target.data)) as data:
        data.begin_restoring()
        missing = _restore_packs(place, manifest, target, progress)
        target.backend.load(folder / DUMP)
        migrate(target.backend)
        _bring_up_to_date(target.backend, missing, clock())
        token = folder / TOKEN_FILE
        if token.is_file():
            data.write_token(token.read_text("ascii").strip())
        data.end_restoring()
    return Restored(
        name=folder.name,
        made_at=manifest.made_at,
        data=str(target.data),
        packs=len(manifest.packs) - len(missing),
        damaged=[one.hash for one in missing],
    )


def _restore_packs(place: BackupPlace, manifest: Manifest, target: Target, progress: Progress) -> list[ListedPack]:
    """Bring the packs to their storage; those that are not there afterwards."""
    if manifest.with_packs:
        staging = target.data / STAGING
        make_folder(staging)
        return copy_packs(manifest.packs, place.packs, target.storage, staging, progress).damaged
    there = {(one.hash, one.size) for one in target.storage.packs()}
    return [one for one in manifest.packs if (one.name, one.size) not in there]


def _bring_up_to_date(backend: Backend, missing: list[ListedPack], now: datetime) -> None:
    engine = backend.writer()
    try:
        with engine.begin() as connection:
            begin_new_epochs(connection)
            note_missing(connection, [one.name for one in missing], now)
    finally:
        engine.dispose()


def _check_system(manifest: Manifest, target: Target) -> None:
    if manifest.system != target.backend.system:
        wanted = "--database URL" if manifest.system == "postgresql" else "no --database"
        raise ConfigError(f"the backup's database is one of {manifest.system}; restore it with {wanted}")


def _check_empty(folder: Path) -> None:
    try:
        found = {path.name for path in folder.iterdir()} - ALWAYS_THERE if folder.exists() else set()
    except OSError as error:
        raise ConfigError(f"the data folder {folder} cannot be used ({error.strerror})") from error
    if found:
        raise ConfigError(f"the data folder {folder} is not empty; restore into a new one, and start the hub on that")
