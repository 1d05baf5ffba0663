"""A hub's packs: received into `staging/`, verified, and then kept in a storage.

When a pack is deleted is not decided here (`hub_server.services.collector`). Uploading the same pack again is harmless.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from blake3 import blake3

from committer.storage.durability import make_folder, storage_errors
from committer.storage.objects import MAX_OBJECT_SIZE
from committer.storage.pack import (
    Pack,
    PackEntry,
    PackWriter,
    Prepared,
    check_record,
    iterate_records,
    pack_path,
    read_index,
    record_size,
)
from dotscience.errors import CorruptObject, MissingObject
from hub_server.content.storage import PackStorage, StoredPack

STAGING = "staging"
FLUSH_SIZE = 2**20
READ_SIZE = 4 * 2**20
MAX_PLAIN_BYTES = 64 * 2**30
"""What one pack may decompress to: a minute of one thread's time, and far more than real data ever gets from 64 MiB."""


class Packs:
    """The packs of one hub. Its methods may be called from any thread, and but for `begin` they block."""

    def __init__(self, folder: Path, storage: PackStorage) -> None:
        """Uploads arrive in `folder`, and end up in `storage`."""
        self._folder = folder
        self._storage = storage
        self._staging = folder / STAGING
        make_folder(self._staging)

    def sweep(self) -> None:
        """Remove what uploads left behind that a crash cut off. Only for the process that holds the folder's lock."""
        for leftover in self._staging.iterdir():
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)

    def begin(self) -> Upload:
        """Start to receive a pack; does not touch the disk yet."""
        return Upload(self._folder, self._storage)

    def read(self, pack: bytes, entry: PackEntry) -> bytes:
        """One object of a pack, verified against its hash.

        Raises:
            MissingObject: the pack is not kept any more.
            CorruptObject: the record is not what its hash says.
            StorageUnavailable: it cannot be read now.
        """
        return check_record(entry, self._read(pack, entry))

    def read_record(self, pack: bytes, entry: PackEntry) -> bytes:
        """The record of one object as it is stored, verified.

        Raises: as `read`.
        """
        record = self._read(pack, entry)
        check_record(entry, record)
        return record

    def copy(self, records: Iterable[tuple[bytes, PackEntry]]) -> PackCopy:
        """Write objects that lie in kept packs into a new one, as they are stored, each verified; it is not kept yet.

        Raises:
            MissingObject, CorruptObject, StorageUnavailable: as `read`; nothing is left behind.
            DiskFull: there is no room for it.
        """
        folder = Path(tempfile.mkdtemp(dir=self._staging))
        writer = PackWriter(folder)
        try:
            for pack, entry in records:
                record = self.read_record(pack, entry)
                payload = memoryview(record)[record_size(entry) - entry.stored :]
                writer.append(entry.kind, Prepared(entry.hash, entry.size, entry.encoding, payload))
            return PackCopy(self._storage, folder, writer.seal())
        except BaseException:
            writer.discard()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def check(self, pack: bytes, size: int) -> bool:
        """Read a whole pack of `size` bytes; whether it is what its name says.

        Raises:
            StorageUnavailable: it cannot be read now.
        """
        hasher = blake3()
        try:
            for start in range(0, size, READ_SIZE):
                left = size - start
                # One byte more than there should be at the end: a storage need not answer for what lies behind it.
                hasher.update(self._storage.read(pack, start, READ_SIZE if left > READ_SIZE else left + 1))
        except (MissingObject, OSError):
            return False
        return hasher.digest() == pack

    def delete(self, pack: bytes) -> None:
        """Delete a pack; no error where it is not kept.

        Raises:
            StorageUnavailable: it cannot be deleted now.
        """
        self._storage.delete(pack)

    def kept(self) -> Iterator[StoredPack]:
        """Every pack that is kept, in no particular order.

        Raises:
            StorageUnavailable: they cannot be listed now.
        """
        return self._storage.packs()

    def _read(self, pack: bytes, entry: PackEntry) -> bytes:
        return self._storage.read(pack, entry.offset, record_size(entry))


class PackCopy:
    """A pack made of objects from others: `keep` it or not, and always end with `discard`. Its methods block."""

    def __init__(self, storage: PackStorage, folder: Path, pack: Pack) -> None:
        self._storage = storage
        self._folder = folder
        self.pack = pack

    def keep(self) -> None:
        """Have it kept, durably.

        Raises:
            DiskFull: there is no room for it.
            StorageUnavailable: it cannot be kept now.
        """
        self._storage.keep(pack_path(self._folder, self.pack.hash), self.pack.hash)

    def discard(self) -> None:
        """Remove what was not kept. Idempotent."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Upload:
    """A pack while it arrives: `add` its bytes, then `verify` and `keep` it; always end with `discard`.

    Its methods are called one at a time, from any thread, and but for `add` they block. Only `discard` may come at any
    moment: a client that goes away has its upload discarded while another thread writes.
    """

    def __init__(self, folder: Path, storage: PackStorage) -> None:
        self._folder = folder
        self._storage = storage
        self._buffer = bytearray()
        self._hasher = blake3()
        self._path = folder / STAGING / uuid4().hex
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self.size = 0
        self.discarded = False

    def add(self, data: bytes) -> bool:
        """Take the next bytes; whether so many have gathered that they should be flushed."""
        self._buffer += data
        self.size += len(data)
        return len(self._buffer) >= FLUSH_SIZE

    def flush(self) -> None:
        """Write what has gathered.

        Raises:
            DiskFull: there is no room for it.
        """
        with self._lock, storage_errors(self._folder):
            if not self.discarded:
                file = self._open()
                file.write(self._buffer)
                file.flush()
                self._hasher.update(self._buffer)
            self._buffer.clear()

    def verify(self, name: bytes, *, max_plain: int = MAX_PLAIN_BYTES) -> list[PackEntry]:
        """Check that all that was added has the hash `name`, and every record its own; what the pack holds.

        Raises:
            CorruptObject: it has another hash, is no pack, a record is not what it claims to be, or all of them are
                more than `max_plain` bytes when decompressed.
        """
        self.flush()
        found = self._hasher.digest()
        if found != name:
            raise CorruptObject(f"the body's hash is {found.hex()}, not the {name.hex()} in the address; send it again")
        file = self._open()
        plain = sum(entry.size for entry in read_index(file))
        if plain > max_plain:
            raise CorruptObject(f"the pack's objects are {plain} bytes, more than the {max_plain} that one may hold")
        return [record.entry for record in iterate_records(file, max_record=MAX_OBJECT_SIZE)]

    def keep(self) -> None:
        """Have the pack kept, durably.

        Raises:
            DiskFull: there is no room for it.
            StorageUnavailable: it cannot be kept now.
        """
        self._storage.keep(self._path, self._hasher.digest())

    def discard(self) -> None:
        """Let go of the file, and remove it unless it was kept; never fails. Idempotent."""
        with self._lock:
            self.discarded = True
            if self._file is not None:
                with suppress(OSError):  # a pack that was kept is not there any more
                    self._path.unlink()
                with suppress(OSError):  # what could not be written before cannot be written now, nor need it be
                    self._file.close()

    def _open(self) -> IO[bytes]:
        if self._file is None:
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb+")
        return self._file
