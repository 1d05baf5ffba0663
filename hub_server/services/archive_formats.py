"""Entries of a snapshot as archives, made piece by piece while they are read; blocks, so for workers.

A ZIP opens everywhere by a double click. It is written without going back: sizes and checksums follow each file's bytes
(APPNOTE.TXT 4.4.4, bit 3). A tar keeps what a ZIP cannot: names that are not UTF-8, and any time.
"""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

from committer.storage.tree import EntryKind, TreeEntry
from hub_server.services.objects import ProjectObjects
from hub_server.services.slices import gather, read_slices

ArchiveFormat = Literal["zip", "tar"]
Member = tuple[bytes, TreeEntry]
"""A path in an archive, without a slash at its end, and what is there."""

_COMPRESSION_LEVEL = 1
"""Notebooks and tables become a third of their size by it, and more would cost several times as much."""

_TYPES = {EntryKind.DIRECTORY: stat.S_IFDIR, EntryKind.SYMLINK: stat.S_IFLNK}
_FIRST, _LAST = datetime(1980, 1, 1, tzinfo=UTC).timestamp(), datetime(2107, 12, 31, tzinfo=UTC).timestamp()
_UNIX_SYSTEM = 3
_FOLDER_ATTRIBUTE = 0x10
_TIME_FIELD = struct.Struct("<HHBl")
_MAX_FIELD_TIME = 2**31 - 1


def pieces_of(form: ArchiveFormat, source: ProjectObjects, members: Iterable[Member]) -> Iterator[bytes]:
    """An archive of the members, each folder before what is in it."""
    return gather(zip_pieces(source, members) if form == "zip" else tar_pieces(source, members))


def tar_pieces(source: ProjectObjects, members: Iterable[Member]) -> Iterator[bytes]:
    """A tar archive (POSIX.1-2001, pax) of the members."""
    for path, entry in members:
        yield _tar_header(path, entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if entry.is_file:
            yield from read_slices(source, entry)
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _tar_header(path: bytes, entry: TreeEntry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path.decode("utf-8", "surrogateescape"))
    header.mode = entry.mode
    header.mtime = entry.mtime_ns // 10**9
    match entry.kind:
        case EntryKind.DIRECTORY:
            header.type = tarfile.DIRTYPE
        case EntryKind.SYMLINK:
            header.type, header.linkname = tarfile.SYMTYPE, entry.content.decode("utf-8", "surrogateescape")
        case _:
            header.size = entry.size
    return header


def zip_pieces(source: ProjectObjects, members: Iterable[Member]) -> Iterator[bytes]:
    """A ZIP archive of the members, with permissions, links and times as Info-ZIP has them."""
    written = _Written()
    archive = zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL)
    try:
        for path, entry in members:
            for _ in _write_member(archive, source, path, entry):
                yield written.take()
        archive.close()
        yield written.take()
    finally:
        archive.fp = None  # one that nobody waits for any more is not brought to an end, which may take long


def _write_member(archive: zipfile.ZipFile, source: ProjectObjects, path: bytes, entry: TreeEntry) -> Iterator[None]:
    """Write a member; pauses after each piece of it."""
    header = _zip_header(path, entry)
    if entry.kind is EntryKind.DIRECTORY:
        archive.mkdir(header)
        yield
        return
    with archive.open(header, "w") as member:
        for piece in (entry.content,) if entry.kind is EntryKind.SYMLINK else read_slices(source, entry):
            member.write(piece)
            yield
    yield


def _zip_header(path: bytes, entry: TreeEntry) -> zipfile.ZipInfo:
    is_folder = entry.kind is EntryKind.DIRECTORY
    seconds = entry.mtime_ns // 10**9
    shown = datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)
    header = zipfile.ZipInfo(_text(path) + ("/" if is_folder else ""), shown.timetuple()[:6])
    header.file_size, header.CRC = entry.size, 0
    header.create_system = _UNIX_SYSTEM
    header.external_attr = (_TYPES.get(entry.kind, stat.S_IFREG) | entry.mode & 0o777) << 16
    header.external_attr |= _FOLDER_ATTRIBUTE if is_folder else 0
    header.compress_type = zipfile.ZIP_DEFLATED if entry.is_file else zipfile.ZIP_STORED
    if not is_folder and 0 <= seconds <= _MAX_FIELD_TIME:
        header.extra = _TIME_FIELD.pack(0x5455, 5, 1, seconds)
    return header


def _text(path: bytes) -> str:
    """A path as text: a ZIP has no names that are not UTF-8, and some readers take a backslash for a slash."""
    text = path.decode("utf-8", "surrogateescape").replace("\\", "%5C")
    return "".join(f"%{ord(one) - 0xDC00:02X}" if "\udc80" <= one <= "\udcff" else one for one in text)


class _Written(io.RawIOBase):
    """What was written and not taken yet; cannot seek, which is how `zipfile` knows that it must not go back."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._buffer += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken
