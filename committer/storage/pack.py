"""Packs: immutable files of records, and the only form in which objects are stored and sent.

`docs/design/store-format.md` gives the bytes. Each record repeats its object's name before its payload and the index
at the end lists all of them, so either one is enough to find what a pack holds. A pack is named by the BLAKE3 of the
whole file.
"""

from __future__ import annotations

import os
import struct
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple
from uuid import uuid4

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct
from msgspec.msgpack import Decoder

from committer.storage.codec import Hash, Size, digest
from committer.storage.compression import Compressor, Encoding, compress_zstd, decompress_zstd
from committer.storage.damage import read_error
from committer.storage.durability import make_folder, storage_error, storage_errors, sync_data, sync_folder
from committer.storage.growing_file import GrowingFile
from committer.storage.objects import MAX_OBJECT_SIZE, Kind
from dotscience.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORD_MAGIC = b"DSR1"
PACK_MAGIC = b"DSPK"
HEADER = struct.Struct("<4sBB32sII")
TRAILER = struct.Struct("<I32s4s")
MAX_RECORDS = 2**16
MAX_INDEX_SIZE = 64 * MAX_RECORDS
"""An index entry takes at most 52 bytes of msgpack."""
PACKS = "packs"
TEMPORARY_SUFFIX = ".tmp"
READ_SIZE = 2**20
"""Bytes that are hashed at once."""


class PackEntry(Struct, frozen=True, array_like=True, gc=False):
    """Where a pack holds an object: its record starts at `offset`; `stored` (payload) and `size` (plain) are bytes."""

    hash: Hash
    kind: Kind
    offset: Size
    stored: Annotated[int, Meta(ge=0, lt=2**32)]
    size: Annotated[int, Meta(ge=0, lt=2**32)]
    encoding: Encoding

    @property
    def end(self) -> int:
        """Where the next record starts."""
        return self.offset + HEADER.size + self.stored

    @property
    def header(self) -> bytes:
        """The bytes that stand before the payload."""
        return HEADER.pack(RECORD_MAGIC, self.kind, self.encoding, self.hash, self.stored, self.size)


class Record(NamedTuple):
    """A verified record."""

    entry: PackEntry
    data: bytes


class Prepared(Struct, frozen=True, gc=False):
    """An object ready to be stored: its hash, its plain size, and what a record of it holds."""

    name: bytes
    size: int
    encoding: Encoding
    payload: bytes | memoryview


class Pack(NamedTuple):
    """A sealed pack."""

    hash: bytes
    size: int
    entries: list[PackEntry]


Index = Annotated[list[PackEntry], Meta(min_length=1, max_length=MAX_RECORDS)]
_INDEX: Decoder[list[PackEntry]] = Decoder(Index)


def pack_path(folder: Path, pack: bytes) -> Path:
    """The place of a pack below a store's folder."""
    name = pack.hex()
    return folder / PACKS / name[:2] / name


def hash_file(file: IO[bytes]) -> bytes:
    """The BLAKE3 of a file from its start: what a pack is named by."""
    file.seek(0)
    hasher = blake3()
    while block := file.read(READ_SIZE):
        hasher.update(block)
    return hasher.digest()


# Writing


class PackWriter:
    """Writes one pack below a store's `folder`; nothing has its final name until `seal` has made it durable.

    Not thread-safe. End its life with `seal` or `discard`.

    Attributes:
        entries: Its records so far.
        size: Its bytes so far.
        pack: What it has become, once it is sealed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / PACKS / f"{uuid4().hex}{TEMPORARY_SUFFIX}"
        self._compressor = Compressor()
        self._hasher = blake3()
        self.entries: list[PackEntry] = []
        self.size = 0
        self.pack: Pack | None = None
        with storage_errors(folder):
            make_folder(self._path.parent)
            self._file = GrowingFile(self._path, self._hasher.update)

    def add(self, kind: Kind, name: bytes, data: bytes | memoryview) -> PackEntry:
        """Append an object whose hash is `name`.

        Raises:
            DiskFull: there is no room for it; the writer can only be discarded then.
        """
        encoding, payload = self._compressor.compress(data)
        return self.append(kind, Prepared(name, len(data), encoding, payload))

    def append(self, kind: Kind, prepared: Prepared) -> PackEntry:
        """As `add`, of what somebody else has compressed."""
        entry = PackEntry(prepared.name, kind, self.size, len(prepared.payload), prepared.size, prepared.encoding)
        self._write(entry.header, prepared.payload)
        self.entries.append(entry)
        return entry

    def read(self, entry: PackEntry) -> bytes:
        """An object that has been added."""
        with storage_errors(self._folder):
            descriptor = self._file.readable()
        return read_record(descriptor, entry)

    def seal(self) -> Pack:
        """Make the pack durable under its name: sync the data, rename, sync the folder (rename(2), fsync(2))."""
        index = compress_zstd(msgspec.msgpack.encode(self.entries))
        self._write(index, TRAILER.pack(len(index), digest(index), PACK_MAGIC))
        with storage_errors(self._folder):
            sync_data(self._file.finish())
            self._file.close()
            pack = Pack(self._hasher.digest(), self.size, self.entries)
            path = pack_path(self._folder, pack.hash)
            make_folder(path.parent)
            self._path.rename(path)
            sync_folder(path.parent)
        self.pack = pack
        return pack

    def discard(self) -> None:
        """Forget all that was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, *parts: bytes | memoryview) -> None:
        try:
            for part in parts:
                self._file.append(part)
                self.size += len(part)
        except OSError as error:
            raise storage_error(self._folder, error) from error


# Reading


def read_record(descriptor: int, entry: PackEntry) -> bytes:
    """The object that a pack, open at `descriptor`, holds at `entry`. Safe from many threads: it reads with pread(2).

    Raises:
        CorruptObject: the header, the payload or the hash is not what the entry says, or the disk fails.
        StorageUnavailable: it cannot be read now.
    """
    try:
        record = os.pread(descriptor, record_size(entry), entry.offset)
    except OSError as error:
        raise read_error(f"record {entry.hash.hex()}", error) from error
    return check_record(entry, record)


def record_size(entry: PackEntry) -> int:
    """How many bytes of a pack, from `entry.offset` on, the object's record takes."""
    return HEADER.size + entry.stored


def read_index(file: IO[bytes]) -> list[PackEntry]:
    """A pack's own list of its records, in the order in which they stand there, without gaps.

    Raises:
        CorruptObject: the file is not a whole pack; its index, its trailer or the extent of its records is wrong.
    """
    size = file.seek(0, os.SEEK_END)
    if size < TRAILER.size:
        raise CorruptObject(f"a pack of {size} bytes is too short to be one")
    file.seek(size - TRAILER.size)
    length, checksum, magic = TRAILER.unpack(_read_exactly(file, TRAILER.size))
    start = size - TRAILER.size - length
    if magic != PACK_MAGIC or start < 0 or length > MAX_INDEX_SIZE:
        raise CorruptObject("a pack does not end as a pack does; it is damaged or was cut off")
    file.seek(start)
    packed = _read_exactly(file, length)
    if digest(packed) != checksum:
        raise CorruptObject("a pack's index does not match its checksum")
    entries = _decode_index(decompress_zstd(packed, limit=MAX_INDEX_SIZE))
    _check_extents(entries, start)
    return entries


def iterate_records(file: IO[bytes], *, max_record: int = MAX_OBJECT_SIZE) -> Iterator[Record]:
    """Every record of a pack in order, verified: header, sizes, hash. One record is in memory at a time.

    `file` must be seekable. The pack's own name is not checked here (`hash_file`), nor what the objects mean
    (`references`).

    Raises:
        CorruptObject: a record is not what it claims, or is larger than `max_record` bytes; the message names it.
        Records
            before it have been yielded, so keep them out of sight until the iteration has ended.
    """
    for entry in read_index(file):
        if entry.size > max_record:
            raise CorruptObject(f"record {entry.hash.hex()} is {entry.size} bytes, more than the {max_record} allowed")
        file.seek(entry.offset)
        yield Record(entry, check_record(entry, file.read(record_size(entry))))


def parse_records(data: bytes) -> Iterator[Record]:
    """Records that stand one after the other, as in a pack but without its index; each verified.

    Raises:
        CorruptObject: they are not that, or one is not what it claims; those before it have been yielded.
    """
    position = 0
    while position < len(data):
        entry = _entry_at(data, position)
        yield Record(entry, check_record(entry, data[position : entry.end]))
        position = entry.end


def _entry_at(data: bytes, position: int) -> PackEntry:
    try:
        magic, kind, encoding, name, stored, size = HEADER.unpack_from(data, position)
        entry = PackEntry(name, Kind(kind), position, stored, size, Encoding(encoding))
    except (struct.error, ValueError) as error:
        raise CorruptObject(f"there is no record at {position}: {error}") from error
    if magic != RECORD_MAGIC or size > MAX_OBJECT_SIZE:
        raise CorruptObject(f"there is no record at {position}")
    return entry


def _decode_index(data: bytes) -> list[PackEntry]:
    try:
        entries = _INDEX.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CorruptObject(f"a pack's index cannot be decoded: {error}") from error
    if msgspec.msgpack.encode(entries) != data:
        raise CorruptObject("a pack's index is not in canonical form")
    return entries


def _check_extents(entries: list[PackEntry], end: int) -> None:
    position = 0
    for entry in entries:
        if entry.offset != position:
            raise CorruptObject(f"record {entry.hash.hex()} is listed at {entry.offset}, but belongs at {position}")
        position = entry.end
    if position != end:
        raise CorruptObject(f"a pack's records should end at {end}, but end at {position}")


def _read_exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise CorruptObject("a pack ended while it was read")
    return data


def check_record(entry: PackEntry, record: bytes) -> bytes:
    """The object in the bytes that a pack has at `entry`.

    Raises:
        CorruptObject: the header, the payload or the hash is not what the entry says.
    """
    name = entry.hash.hex()
    if len(record) != HEADER.size + entry.stored:
        raise CorruptObject(f"record {name} is cut off: its pack ended while it was read")
    if record[: HEADER.size] != entry.header:
        raise CorruptObject(f"record {name} does not start with the header that its index lists")
    try:
        data = _plain(entry, record[HEADER.size :])
    except CorruptObject as error:
        raise CorruptObject(f"record {name}: {error}") from error
    if digest(data) != entry.hash:
        raise CorruptObject(f"record {name} holds bytes of another hash; its pack is damaged")
    return data


def _plain(entry: PackEntry, payload: bytes) -> bytes:
    data = payload
    if entry.encoding is Encoding.ZSTD:
        data = decompress_zstd(payload, limit=entry.size)
    if len(data) != entry.size:
        raise CorruptObject(f"it holds {len(data)} bytes, but claims {entry.size}")
    return data
