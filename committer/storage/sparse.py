"""Writing a file without the zeros in it, so that it takes no more room than it has to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 4096
"""The block size of the usual file systems: smaller holes would not save anything."""

_ZEROS = bytes(BLOCK)


def write_sparse(descriptor: int, size: int, extents: Iterable[tuple[int, bytes]]) -> Iterator[int]:
    """Give an open, empty file its size and what is not zero of `extents`; yields how many bytes each extent had.

    Raises:
        OSError: the file system does not take it.
    """
    os.ftruncate(descriptor, size)
    for offset, data in extents:
        for start, stop in filled(data, offset):
            _write_at(descriptor, data[start:stop], offset + start)
        yield len(data)


def filled(data: bytes, offset: int) -> Iterator[tuple[int, int]]:
    """The parts of `data`, which belongs at `offset` of a file, that are not whole blocks of zeros."""
    if _ZEROS not in data:
        yield 0, len(data)
        return
    begin: int | None = None
    position = 0
    while position < len(data):
        end = min(len(data), position + BLOCK - (offset + position) % BLOCK)
        if data[position:end] == _ZEROS:
            if begin is not None:
                yield begin, position
            begin = None
        elif begin is None:
            begin = position
        position = end
    if begin is not None:
        yield begin, position


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
