"""Copying packs from one storage to another, each compared with its hash on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from blake3 import blake3
from msgspec import Struct

from committer.storage.durability import storage_errors
from dotscience.errors import MissingObject
from hub_server.backup.manifest import READ_SIZE, ListedPack
from hub_server.content.storage import PackStorage

Progress = Callable[[int, int], None]
"""Gets how many bytes of how many have been dealt with."""
ATTEMPTS = 2
"""What was wrong on its way is right the second time."""


class Copied(Struct):
    """How many packs were copied and their size in bytes, and the packs that are not what their names say."""

    packs: int = 0
    size: int = 0
    damaged: list[ListedPack] = []


def copy_packs(
    packs: Iterable[ListedPack], source: PackStorage, target: PackStorage, staging: Path, progress: Progress
) -> Copied:
    """Copy the packs that `target` does not have, in their size; what cannot be copied is listed, and no error.

    `staging` is a folder on the target's file system, if it has one.

    Raises:
        DiskFull: there is no room for them.
        StorageUnavailable: a storage does not answer.
    """
    there = {one.hash: one.size for one in target.packs()}
    todo = [one for one in packs if there.get(one.name) != one.size]
    total, done, copied = sum(one.size for one in todo), 0, Copied()
    for one in todo:
        progress(done, total)
        if _copy(one, source, target, staging):
            copied.packs += 1
            copied.size += one.size
        else:
            copied.damaged.append(one)
        done += one.size
    progress(done, total)
    return copied


def find_damaged(packs: Iterable[ListedPack], storage: PackStorage, progress: Progress) -> list[ListedPack]:
    """Read the packs; those that are not what their names say, or not there."""
    listed = list(packs)
    total, done, damaged = sum(one.size for one in listed), 0, []
    for one in listed:
        progress(done, total)
        if not any(_is_well(one, storage) for _ in range(ATTEMPTS)):
            damaged.append(one)
        done += one.size
    progress(done, total)
    return damaged


def _copy(pack: ListedPack, source: PackStorage, target: PackStorage, staging: Path) -> bool:
    aside = staging / uuid4().hex
    try:
        for _ in range(ATTEMPTS):
            if _write(pack, source, aside):
                target.keep(aside, pack.name)
                return True
        return False
    finally:
        aside.unlink(missing_ok=True)


def _write(pack: ListedPack, source: PackStorage, path: Path) -> bool:
    """Write a pack into a file; whether it was what its name says."""
    hasher = blake3()
    try:
        with storage_errors(path.parent), path.open("wb") as file:
            path.chmod(0o600)
            for piece in _pieces(pack, source):
                hasher.update(piece)
                file.write(piece)
    except MissingObject:
        return False
    return hasher.hexdigest() == pack.hash


def _is_well(pack: ListedPack, storage: PackStorage) -> bool:
    hasher = blake3()
    try:
        for piece in _pieces(pack, storage):
            hasher.update(piece)
    except MissingObject:
        return False
    return hasher.hexdigest() == pack.hash


def _pieces(pack: ListedPack, storage: PackStorage) -> Iterator[bytes]:
    for start in range(0, pack.size, READ_SIZE):
        try:
            yield storage.read(pack.name, start, min(READ_SIZE, pack.size - start))
        except OSError as error:  # a disk that fails to read this one may read the next
            raise MissingObject(f"pack {pack.hash} cannot be read ({error})") from error
