"""Packs in a local folder: `packs/ab/<hash>` once verified and durable, `staging/` while they arrive.

Nothing in `packs/` is ever removed here, not even a pack that the database does not know: a database restored from a
backup can be brought up to date from it, and uploading the same pack again is harmless.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import IO

from blake3 import blake3

from committer.storage.durability import make_folder, storage_errors, sync_data, sync_folder
from committer.storage.objects import MAX_OBJECT_SIZE
from committer.storage.pack import PackEntry, iterate_records, pack_path, read_record
from dotscience.errors import MissingObject

STAGING = "staging"


class PackFolder:
    """The packs of one hub. Every method blocks on the disk and may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging = folder / STAGING
        make_folder(self._staging)

    def sweep(self) -> None:
        """Remove what uploads left behind that a crash cut off. Only for the process that holds the folder's lock."""
        for leftover in self._staging.iterdir():
            leftover.unlink(missing_ok=True)

    def begin(self) -> Upload:
        """Start to receive a pack."""
        with storage_errors(self._staging):
            descriptor, name = tempfile.mkstemp(dir=self._staging)
        return Upload(self._folder, Path(name), os.fdopen(descriptor, "wb+"))

    def read(self, pack: bytes, entry: PackEntry) -> bytes:
        """One object of a pack, verified against its hash.

        Raises:
            MissingObject: the pack's file is gone.
            CorruptObject: the record is not what its hash says.
        """
        try:
            descriptor = os.open(pack_path(self._folder, pack), os.O_RDONLY)
        except FileNotFoundError as error:
            raise MissingObject(f"pack {pack.hex()} is not in {self._folder}; restore it from a backup") from error
        try:
            return read_record(descriptor, entry)
        finally:
            os.close(descriptor)


class Upload:
    """A pack while it arrives. Its methods block, and but for `discard` are called one at a time."""

    def __init__(self, folder: Path, path: Path, file: IO[bytes]) -> None:
        self._folder = folder
        self._path = path
        self._file = file
        self._hasher = blake3()
        self._lock = threading.Lock()  # a client that goes away has its upload discarded while another thread writes
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            DiskFull: there is no room for it.
        """
        with self._lock, storage_errors(self._folder):
            self._file.write(data)
            self._hasher.update(data)
            self.size += len(data)

    @property
    def hash(self) -> bytes:
        """The BLAKE3 of what was written so far."""
        return self._hasher.digest()

    def verify(self) -> list[PackEntry]:
        """Check every record; what the pack holds.

        Raises:
            CorruptObject: the file is no pack, or a record is not what it claims to be.
        """
        with storage_errors(self._folder):
            self._file.flush()
        return [record.entry for record in iterate_records(self._file, max_record=MAX_OBJECT_SIZE)]

    def keep(self) -> None:
        """Give the pack its place, durably: data, then name, then folder (rename(2), fsync(2))."""
        destination = pack_path(self._folder, self.hash)
        with storage_errors(self._folder):
            self._file.flush()
            sync_data(self._file.fileno())
            make_folder(destination.parent)
            self._path.rename(destination)
            sync_folder(destination.parent)
        self._file.close()

    def discard(self) -> None:
        """Forget the upload; nothing to do after `keep`. Idempotent."""
        with self._lock:
            if not self._file.closed:
                self._file.close()
                self._path.unlink(missing_ok=True)
