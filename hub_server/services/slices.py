"""What is sent, in slices: a client that reads slowly must not have the hub hold more than one for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from committer.storage.reader import Part, check_size, find_parts, zeros
from committer.storage.tree import TreeEntry
from hub_server.services.objects import ProjectObjects

SLICE_SIZE = 2**17
MAX_GATHERED = 64
"""Of pieces that are small, or compress to nothing, so many are made at once."""


def gather(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one slice to two: each is work for a thread. Some may be smaller, or empty."""
    gathered, count = bytearray(), 0
    for piece in pieces:
        gathered += piece
        count += 1
        if len(gathered) >= SLICE_SIZE or count == MAX_GATHERED:
            yield bytes(gathered)
            gathered.clear()
            count = 0
    yield bytes(gathered)


def read_slices(source: ProjectObjects, entry: TreeEntry, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """A file's bytes from `start` to before `stop` (default: its end); between two slices no more than one is held.

    Raises: as `committer.storage.reader.read_file`.
    """
    for part in find_parts(source, entry, start, stop):
        if isinstance(part, int):
            yield from zeros(part)
        else:
            yield from _slices(source, part)


def _slices(source: ProjectObjects, part: Part) -> Iterator[bytes]:
    for start in range(part.start, part.stop, SLICE_SIZE):
        location = source.find(part.blob)
        check_size(part, location.entry.size)
        yield source.read_slice(location, start, min(start + SLICE_SIZE, part.stop))
