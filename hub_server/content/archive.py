"""Reading a tar archive that somebody sent: strictly, in bounded memory, and without writing anything.

The formats are those of POSIX (ustar, pax) and of GNU tar for long names. Python's `tarfile` parses the header blocks;
it does not lead the way, as it takes a broken header for the end of the archive, and reads an extended header of any
size into memory. An archive with anything in it that cannot be kept is refused as a whole: to leave something out
silently would lose it.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from committer.storage.codec import MAX_SIZE
from hub_server.content.paths import Path, check_path, shown, split_key
from hub_server.domain.problems import Problem

BLOCK = tarfile.BLOCKSIZE
MAX_ENTRIES = 100_000
MAX_EXTENDED = 2**20
"""Bytes of an extended header (a long name, or pax records), which are read into memory."""
_READ_SIZE = 2**20
_NS = 10**9

_EXTENDED = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_KINDS_NOT_KEPT = {
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class ArchiveKind(Enum):
    """What an entry of an archive is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symbolic link"
    HARD_LINK = "hard link"


class ArchiveEntry(Struct, frozen=True, kw_only=True):
    """An entry: a file's content is the `size` bytes from `offset` of the archive; links have a `target`.

    A symbolic link's target is as it stands there, unchecked; a hard link's is a path of the archive.
    """

    path: Path
    kind: ArchiveKind
    offset: int
    size: int
    mode: int
    mtime_ns: int
    target: bytes = b""

    @property
    def named(self) -> Path:
        """The path that a hard link stands for."""
        return _names(self.target)


def read_archive(descriptor: int, size: int) -> Iterator[ArchiveEntry]:
    """The entries of the archive in an open file of `size` bytes, in order; the archive's own root is left out.

    Raises:
        Problem: corrupt-archive, for what is no whole archive or has too much in it; invalid, for a path that no
            snapshot can have.
    """
    return _Reader(descriptor, size).entries()


class _Reader:
    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._position = 0
        self._count = 0

    def entries(self) -> Iterator[ArchiveEntry]:
        while (header := self._next_header()) is not None:
            pending: dict[str, bytes] = {}
            while header.type in _EXTENDED:
                self._extend(pending, header)
                header = self._next_header()
                if header is None:
                    raise _corrupt("it ends after an extended header")
            entry = self._entry(header, pending)
            if entry.path:
                yield entry

    def _next_header(self) -> tarfile.TarInfo | None:
        """The header at the position, None at the archive's end; the position moves behind it."""
        self._count += 1
        if self._count > 2 * MAX_ENTRIES:  # with an extended header for each
            raise _corrupt(f"it has more than {MAX_ENTRIES} entries; send it in parts")
        block = self._read(BLOCK)
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if not any(block):
                self._check_rest()
                return None
            raise _corrupt(f"the header at byte {self._position - BLOCK} is damaged ({error})") from error

    def _read(self, count: int) -> bytes:
        if count > self._size - self._position:
            raise _corrupt(f"it ends at byte {self._size} without an end mark; it was cut off, or is no tar archive")
        data = os.pread(self._descriptor, count, self._position)
        self._position += count
        return data

    def _check_rest(self) -> None:
        while self._position < self._size:
            start = self._position
            if any(self._read(min(_READ_SIZE, self._size - start))):
                raise _corrupt(f"something follows its end mark, after byte {start}")

    def _extend(self, pending: dict[str, bytes], header: tarfile.TarInfo) -> None:
        """Take in what an extended header says about the entry after it."""
        if not 0 <= header.size <= MAX_EXTENDED:
            raise _corrupt(f"an extended header has {header.size} bytes, more than {MAX_EXTENDED}")
        data = self._read(-(-header.size // BLOCK) * BLOCK)[: header.size]
        if header.type == tarfile.GNUTYPE_LONGNAME:
            pending["path"] = data.rstrip(b"\0")
        elif header.type == tarfile.GNUTYPE_LONGLINK:
            pending["linkpath"] = data.rstrip(b"\0")
        else:
            self._add_records(pending, _pax_records(data), is_global=header.type == tarfile.XGLTYPE)

    def _add_records(self, pending: dict[str, bytes], records: dict[str, bytes], *, is_global: bool) -> None:
        if any(key.startswith("GNU.sparse.") for key in records):
            raise _corrupt("it holds a sparse file; pack it without --sparse")
        if not is_global:
            pending.update(records)
        elif {"path", "linkpath", "size"} & records.keys():
            raise _corrupt("it gives one name or size to several entries")

    def _entry(self, header: tarfile.TarInfo, pending: dict[str, bytes]) -> ArchiveEntry:
        kind = _kind(header)
        size = _number(pending["size"]) if "size" in pending else header.size
        if kind is not ArchiveKind.FILE:
            size = 0  # links and folders have no content, whatever they claim
        if not 0 <= size <= self._size - self._position:
            raise _corrupt(f"{shown(_raw(header.name))} claims {size} bytes, more than follow")
        offset = self._position
        self._position += -(-size // BLOCK) * BLOCK
        return ArchiveEntry(
            path=_names(pending.get("path", _raw(header.name))),
            kind=kind,
            offset=offset,
            size=size,
            mode=header.mode & 0o777,
            mtime_ns=_time_ns(pending.get("mtime"), header.mtime),
            target=pending.get("linkpath", _raw(header.linkname)),
        )


def _kind(header: tarfile.TarInfo) -> ArchiveKind:
    match header.type:
        case tarfile.REGTYPE | tarfile.AREGTYPE | tarfile.CONTTYPE:
            return ArchiveKind.FILE
        case tarfile.DIRTYPE:
            return ArchiveKind.FOLDER
        case tarfile.SYMTYPE:
            return ArchiveKind.SYMLINK
        case tarfile.LNKTYPE:
            return ArchiveKind.HARD_LINK
    what = _KINDS_NOT_KEPT.get(header.type, f"an entry of the unknown type {header.type!r}")
    raise _corrupt(f"{shown(_raw(header.name))} is {what}, which a workspace cannot hold")


def _names(raw: bytes) -> Path:
    """The path that a name in an archive stands for: as it is, but for `./` before it and `/` after it."""
    if raw.startswith(b"/"):
        split_key(raw, "/archive")
    return check_path(tuple(name for name in raw.rstrip(b"/").split(b"/") if name not in (b".", b"")), "/archive")


def _pax_records(data: bytes) -> dict[str, bytes]:
    """The records of a pax header: `length key=value`, each with a newline (pax(1), "pax Extended Header")."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        length, space, _ = data[position : position + 20].partition(b" ")
        end = position + _number(length)
        start = position + len(length) + 1
        if not space or not start < end <= len(data) or data[end - 1 : end] != b"\n":
            raise _corrupt("an extended header cannot be read")
        key, _, value = data[start : end - 1].partition(b"=")
        records[key.decode("utf-8", "replace")] = value
        position = end
    return records


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise _corrupt(f"{shown(text)} is no number")
    return int(text)


def _time_ns(text: bytes | None, seconds: float) -> int:
    """A time; one that cannot be read or kept is that of the epoch's start."""
    try:
        ns = int(float(text) * _NS) if text is not None else int(seconds) * _NS
    except (ValueError, OverflowError):
        return 0
    return ns if abs(ns) <= MAX_SIZE else 0


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _corrupt(detail: str) -> Problem:
    return Problem("corrupt-archive", f"the archive cannot be taken: {detail}")
