"""`ds hub backup` and `ds hub restore`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hub_server.command_output import JSON, progress_bar, show

if TYPE_CHECKING:
    from hub_server.settings import HubSettings

FOLDER = click.Path(file_okay=False, path_type=Path)
BACKUP = click.option("--backup", "name", metavar="NAME", help="Which backup, by its time. [default: the newest]")


@click.command(
    epilog="""\b
Examples:
  ds hub backup /mnt/backup
  ds hub backup /mnt/backup --keep 30 --json       for a timer
  ds hub backup /mnt/backup --check                read the newest one
"""
)
@click.argument("dest", type=FOLDER)
@click.option("--keep", type=click.IntRange(1), help="Delete all but so many of the newest backups. [default: none]")
@click.option("--without-packs", is_flag=True, help="Only the database, where the packs are backed up by other means.")
@click.option("--check", is_flag=True, help="Make no backup, but read one that is there.")
@BACKUP
@JSON
@click.pass_context
def backup(
    context: click.Context,
    /,
    *,
    dest: Path,
    keep: int | None,
    without_packs: bool,
    check: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Back the hub up into the folder DEST, while it runs or not.

    DEST keeps any number of backups; a pack that is in it already is not copied again. What is written there holds
    secrets. Ends with 1 where packs are damaged.
    """
    if check:
        done = _check(dest, name)
        show(done, as_json, _check_lines)
    elif name is not None:
        raise click.UsageError("--backup says which backup to check; it goes with --check")
    else:
        done = _make(context.obj, dest, keep, with_packs=not without_packs)
        show(done, as_json, _backup_lines)
    context.exit(1 if done["damaged"] else 0)


@click.command(
    epilog="""\b
Examples:
  ds hub restore /mnt/backup --data /srv/hub
  ds hub restore /mnt/backup --data /srv/hub --backup 2026-01-02T030405Z
  ds hub --database postgresql://hub@db.example.org/new restore /mnt/backup --data /srv/hub
"""
)
@click.argument("source", type=FOLDER)
@click.option("--data", type=FOLDER, help="The data folder to make; it must be empty. [default: the hub's]")
@BACKUP
@JSON
@click.pass_context
def restore(context: click.Context, /, *, source: Path, data: Path | None, name: str | None, as_json: bool) -> None:
    """Make a hub of a backup in the folder SOURCE.

    Start it with `ds hub` afterwards. Committers then push what it has lost. Ends with 1 where packs are damaged.
    """
    settings = context.obj if data is None else msgspec.structs.replace(context.obj, data=data.absolute())
    done = _restore(settings, source, name)
    show(done, as_json, _restore_lines)
    context.exit(1 if done["damaged"] else 0)


def _make(settings: HubSettings, dest: Path, keep: int | None, *, with_packs: bool) -> dict[str, Any]:
    from hub_server.backup.making import BackupMaker, Origin
    from hub_server.backup.place import BackupPlace
    from hub_server.opening import open_backend, open_storage
    from hub_server.services.identity import utc_now

    origin = Origin(data=settings.data, backend=open_backend(settings), storage=open_storage(settings))
    with progress_bar("bytes") as progress:
        maker = BackupMaker(origin, BackupPlace(dest), clock=utc_now, progress=progress)
        return _builtins(maker.make(with_packs=with_packs, keep=keep))


def _check(dest: Path, name: str | None) -> dict[str, Any]:
    from hub_server.backup.place import BackupPlace
    from hub_server.backup.restoring import check_backup

    with progress_bar("bytes") as progress:
        return _builtins(check_backup(BackupPlace(dest), name, progress))


def _restore(settings: HubSettings, source: Path, name: str | None) -> dict[str, Any]:
    from hub_server.backup.place import BackupPlace
    from hub_server.backup.restoring import Target, restore
    from hub_server.opening import open_backend, open_storage
    from hub_server.services.identity import utc_now

    target = Target(data=settings.data, backend=open_backend(settings), storage=open_storage(settings))
    with progress_bar("bytes") as progress:
        return _builtins(restore(BackupPlace(source), name, target, clock=utc_now, progress=progress))


def _builtins(done: msgspec.Struct) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(done)
    return made


def _backup_lines(done: dict[str, Any]) -> Iterator[str]:
    from rich.filesize import decimal

    yield f"Backup {done['name']} in {done['folder']}: {done['packs']:,} packs, {decimal(done['size'])}"
    yield f"Copied {done['copied']:,} packs ({decimal(done['copied_size'])}); the others were there"
    if done["forgotten"]:
        yield f"Deleted {done['forgotten']:,} older backups"
    yield from _damage_lines(done, "of the hub are damaged and not in the backup; see `ds hub scrub`")


def _check_lines(done: dict[str, Any]) -> Iterator[str]:
    yield f"Backup {done['name']}: read its database and {done['packs']:,} packs"
    yield from _damage_lines(done, "are damaged; back up into another folder")


def _restore_lines(done: dict[str, Any]) -> Iterator[str]:
    yield f"Restored the backup {done['name']} with {done['packs']:,} packs into {done['data']}"
    yield from _damage_lines(done, "are not there; committers that have what was in them send it again")


def _damage_lines(done: dict[str, Any], what: str) -> Iterator[str]:
    if done["damaged"]:
        yield f"{len(done['damaged']):,} packs {what}:"
        yield from (f"  {one}" for one in done["damaged"])
