"""Packs in a local folder: `packs/ab/<hash>`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from committer.storage.damage import read_error
from committer.storage.durability import make_folder, storage_errors, sync_file, sync_folder
from committer.storage.pack import PACKS, pack_path
from dotscience.errors import MissingObject
from hub_server.content.storage import StoredPack, pack_named


class LocalStorage:
    """A `PackStorage` in a folder; staged files must be on the same file system."""

    _making_folder = threading.Lock()  # who finds a folder made must not rely on it before its maker has synced it

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, staged: Path, pack: bytes) -> None:
        """Give the pack its place, durably: data, then name, then folder (rename(2), fsync(2))."""
        destination = pack_path(self._folder, pack)
        with storage_errors(self._folder):
            sync_file(staged)
            with self._making_folder:
                make_folder(destination.parent)
            staged.rename(destination)
            sync_folder(destination.parent)

    def read(self, pack: bytes, offset: int, size: int) -> bytes:
        """A part of a pack."""
        try:
            descriptor = os.open(pack_path(self._folder, pack), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingObject(f"pack {pack.hex()} is not in {self._folder}; restore it from a backup") from error
        except OSError as error:
            raise read_error(f"pack {pack.hex()}", error) from error
        try:
            return os.pread(descriptor, size, offset)
        except OSError as error:
            raise read_error(f"pack {pack.hex()}", error) from error
        finally:
            os.close(descriptor)

    def delete(self, pack: bytes) -> None:
        """Remove the pack's file, durably."""
        path = pack_path(self._folder, pack)
        with storage_errors(self._folder):
            if path.exists():
                path.unlink()
                sync_folder(path.parent)

    def packs(self) -> Iterator[StoredPack]:
        """Every pack's file."""
        for path in (self._folder / PACKS).glob("??/*"):
            pack = pack_named(path.name)
            if pack is not None and path.is_file():
                status = path.stat()
                yield StoredPack(pack, status.st_size, status.st_mtime)
