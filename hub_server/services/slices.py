"""What is sent, in slices: a client that reads slowly must not have the hub hold more than one for it."""

from __future__ import annotations

from collections.abc import Iterator

from committer.storage.reader import Part, check_size, find_parts, zeros
from committer.storage.tree import TreeEntry
from hub_server.services.objects import ProjectObjects

SLICE_SIZE = 2**17


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
