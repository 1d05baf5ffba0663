"""A hub's packs: received into `staging/`, verified, and then kept in a storage.

When a pack is deleted is not decided here (`hub_server.services.collector`). Uploading the same pack again is harmless.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from blake3 import blake3

from committer.storage.durability import make_folder
from committer.storage.objects import MAX_OBJECT_SIZE, Kind
from committer.storage.pack import (
    MAX_RECORDS,
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
from committer.storage.recent_objects import RecentObjects
from dotscience.errors import CorruptObject, MissingObject
from hub_server.content.staging import STAGING, StagedFile
from hub_server.content.storage import PackStorage, StoredPack

READ_SIZE = 4 * 2**20
LARGE_BYTES = 4 * 2**20
"""Of an object that is larger, and so no chunk of a file, one at a time is read to be sent."""
RECENT_BYTES = 64 * 2**20
NEW_PACK_SIZE = 16 * 2**20
"""Bytes after which the hub begins another pack of its own."""
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
        self._recent = RecentObjects(RECENT_BYTES)
        self._large = threading.Lock()

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

    def begin_file(self) -> StagedFile:
        """Start to receive a file that is no pack; does not touch the disk yet."""
        return StagedFile(self._folder)

    def new_writer(self) -> NewPacks:
        """Start to write packs of the hub's own."""
        return NewPacks(Path(tempfile.mkdtemp(dir=self._staging)), self._storage)

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

    def read_slice(self, pack: bytes, entry: PackEntry, start: int, stop: int) -> bytes:
        """A part of one object, verified as a whole; those that were read last are remembered.

        Raises: as `read`.
        """
        data = self._recent.get(entry.hash)
        if data is None:
            with self._large if entry.size > LARGE_BYTES else nullcontext():
                data = self.read(pack, entry)
            self._recent.put(entry.hash, data)
        return data[start:stop]

    def read_head(self, pack: bytes, entry: PackEntry, size: int) -> bytes:
        """The first `size` bytes of the record of one object as it is stored, which was verified as a whole.

        Raises: as `read`.
        """
        with self._large if entry.size > LARGE_BYTES else nullcontext():
            return self.read_record(pack, entry)[:size]

    def read_stored(self, pack: bytes, entry: PackEntry, start: int, stop: int) -> bytes:
        """A part of the record of one object as it is stored, not verified.

        Raises: as `read`.
        """
        return self._storage.read(pack, entry.offset + start, min(stop, record_size(entry)) - start)

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
        except (MissingObject, CorruptObject):
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


class NewPacks:
    """Packs that the hub writes itself: `append` to them, `seal`, `keep` each; always end with `discard`.

    Its methods block, and are called one at a time, from any thread.
    """

    def __init__(self, folder: Path, storage: PackStorage) -> None:
        self._folder = folder
        self._storage = storage
        self._writer: PackWriter | None = None
        self._sealed: list[Pack] = []

    def append(self, kind: Kind, prepared: Prepared) -> None:
        """Add an object.

        Raises:
            DiskFull: there is no room for it; all that is left to do is to discard.
        """
        size = len(prepared.payload)
        if self._writer is not None and not self._has_room(self._writer, size):
            self._seal()
        if self._writer is None:
            self._writer = PackWriter(self._folder)
        self._writer.append(kind, prepared)

    def seal(self) -> list[Pack]:
        """All packs so far, in the order in which they were written; what is added next begins another."""
        self._seal()
        return self._sealed

    def keep(self, pack: Pack) -> None:
        """Have one of them kept, durably.

        Raises:
            DiskFull: there is no room for it.
            StorageUnavailable: it cannot be kept now.
        """
        self._storage.keep(pack_path(self._folder, pack.hash), pack.hash)

    def discard(self) -> None:
        """Remove what was not kept. Idempotent."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _has_room(self, writer: PackWriter, size: int) -> bool:
        return writer.size + size <= NEW_PACK_SIZE and len(writer.entries) < MAX_RECORDS

    def _seal(self) -> None:
        if self._writer is not None:
            self._sealed.append(self._writer.seal())
            self._writer = None


class Upload(StagedFile):
    """A pack while it arrives: `add` its bytes, then `verify` and `keep` it; always end with `discard`."""

    def __init__(self, folder: Path, storage: PackStorage) -> None:
        super().__init__(folder)
        self._storage = storage
        self._hasher = blake3()

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
        file = self.open()
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

    def _flushed(self, data: bytearray) -> None:
        self._hasher.update(data)
