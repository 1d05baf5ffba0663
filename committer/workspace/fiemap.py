"""Cloning a file, and telling from where two files lie on the disk which of their bytes may differ.

A clone (ioctl_ficlone(2)) shares the blocks of the file that it was made of, and holds still: whoever writes to either
of them gets new blocks (linux/Documentation/filesystems/xfs and btrfs call it copy on write). So as long as a clone is
there nobody else's bytes can come to lie in its blocks, and where another file has the same block in the same place, it
has the same bytes. The extent map (linux/Documentation/filesystems/fiemap.rst) says which block lies where, without
reading any.

Only where an extent map can be taken at its word do two places count as equal. Everything else counts as changed, as
do blocks that were moved by defragmenting: that costs time, never bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/fs.h. The numbers are those of x86, Arm, RISC-V and S/390; elsewhere the kernel answers ENOTTY.
FICLONE = 0x40049409
FS_IOC_FIEMAP = 0xC020660B
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_NOCOW_FL = 0x00800000

# linux/fiemap.h
FLAG_SYNC = 0x1
EXTENT_LAST = 0x1
EXTENT_UNWRITTEN = 0x800
EXTENT_SHARED = 0x2000
PLAIN = EXTENT_LAST | EXTENT_UNWRITTEN | EXTENT_SHARED
"""What an extent may be flagged with and still be compared by its address.

Not so one that has no address yet (UNKNOWN, DELALLOC), that shares a block with something else (NOT_ALIGNED, INLINE,
TAIL), or that is ENCODED: of a compressed extent btrfs gives the address at which it begins, whichever part of it a
file uses.
"""

MAX_EXTENTS = 2**16
"""Beyond, a file is in so many pieces that reading it costs less than asking where they lie (25 µs each on XFS)."""

_BATCH = 2**11
_HEADER = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQ16xI12x")
_FLAGS = struct.Struct("=I4x")


class Extent(NamedTuple):
    """The bytes of a file from `start` to before `stop`, and the address of the first on the disk; `flags` as above."""

    start: int
    stop: int
    address: int
    flags: int


class _Stretch(NamedTuple):
    """The bytes of a file up to before `stop`, from where the stretch before it ended.

    Two stretches with an equal `place` that is not None hold equal bytes. It is how far the address is from the
    position in the file, and whether anything was written there yet.
    """

    stop: int
    place: tuple[int, bool] | None


_HOLE = (-1, False)  # no address is that far from its position: both are multiples of the block size


class _TooManyError(Exception):
    """A file has more extents than is worth looking at."""


def clone(source: int, target: int) -> None:
    """Make `target`, open for writing and empty, share all content of `source`, open for reading, as it is now.

    What is in memory only is written to the disk first.

    Raises:
        OSError: the file system cannot (EOPNOTSUPP), the files are on two of them (EXDEV), the disk is full, …
    """
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _match_nocow(source, target)
        fcntl.ioctl(target, FICLONE, source)


def extents(descriptor: int, stop: int) -> Iterator[Extent]:
    """The extents of an open file up to the position `stop`, in order; between them are holes.

    Raises:
        OSError: the file system has no extent maps.
    """
    buffer = bytearray(_HEADER.size + _BATCH * _EXTENT.size)
    position = 0
    while position < stop:
        _HEADER.pack_into(buffer, 0, position, stop - position, FLAG_SYNC, 0, _BATCH, 0)
        fcntl.ioctl(descriptor, FS_IOC_FIEMAP, buffer)
        mapped = _HEADER.unpack_from(buffer)[3]
        flags = EXTENT_LAST
        found = memoryview(buffer)[_HEADER.size : _HEADER.size + mapped * _EXTENT.size]
        for start, address, length, flags in _EXTENT.iter_unpack(found):
            yield Extent(start, start + length, address, flags)
            position = start + length
        if flags & EXTENT_LAST:
            return


def changed_ranges(old: int, new: int, *, max_extents: int = MAX_EXTENTS) -> list[Range] | None:
    """Where two open files, both of which hold still, may differ; sorted and apart. What only one has is changed.

    None where either has more than `max_extents` extents.

    Raises:
        OSError: the file system has no extent maps.
    """
    shorter, longer = sorted((os.fstat(old).st_size, os.fstat(new).st_size))
    changed: list[Range] = []
    try:
        for found in _differences(_stretches(old, shorter, max_extents), _stretches(new, shorter, max_extents)):
            _append(changed, found)
    except _TooManyError:
        return None
    if shorter < longer:
        _append(changed, Range(shorter, longer))
    return changed


def _match_nocow(source: int, target: int) -> None:
    """Let an empty file be written in place, or not, as another is: btrfs shares no blocks between these two kinds."""
    flags = _flags(target) & ~FS_NOCOW_FL | _flags(source) & FS_NOCOW_FL
    fcntl.ioctl(target, FS_IOC_SETFLAGS, _FLAGS.pack(flags))


def _flags(descriptor: int) -> int:
    """A file's attributes (ioctl_iflags(2))."""
    (flags,) = _FLAGS.unpack(fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, bytes(_FLAGS.size)))
    return int(flags)


def _stretches(descriptor: int, size: int, max_extents: int) -> Iterator[_Stretch]:
    """All of an open file up to `size`, holes included."""
    position = 0
    for number, extent in enumerate(extents(descriptor, size)):
        if number >= max_extents:
            raise _TooManyError
        if extent.start > position:
            yield _Stretch(extent.start, _HOLE)
        position = min(extent.stop, size)
        yield _Stretch(position, _place(extent))
    if position < size:
        yield _Stretch(size, _HOLE)


def _place(extent: Extent) -> tuple[int, bool] | None:
    if extent.flags & ~PLAIN:
        return None
    return extent.address - extent.start, bool(extent.flags & EXTENT_UNWRITTEN)


def _differences(old: Iterator[_Stretch], new: Iterator[_Stretch]) -> Iterator[Range]:
    """Where two files that end at the same position may differ, piece by piece."""
    position = 0
    one, other = next(old, None), next(new, None)
    while one is not None and other is not None:
        stop = min(one.stop, other.stop)
        if one.place is None or one.place != other.place:
            yield Range(position, stop)
        position = stop
        one = next(old, None) if one.stop == stop else one
        other = next(new, None) if other.stop == stop else other


def _append(ranges: list[Range], found: Range) -> None:
    """Add a range that begins where the last one ends or later."""
    if ranges and ranges[-1].stop == found.start:
        found = Range(ranges.pop().start, found.stop)
    ranges.append(found)
