"""Giving back what was pushed, object by object: to those who dropped it from their own disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import NamedTuple

import structlog

from committer.storage.pack import record_size
from dotscience.errors import CorruptObject, MissingObject
from hub_server.content.packs import Packs
from hub_server.services.objects import ProjectObjects, split_hashes
from hub_server.services.slices import SLICE_SIZE, gather
from hub_server.store.database import Database
from hub_server.store.objects import Location
from hub_server.store.projects import DotRow
from hub_server.thread_pool import ThreadPool

log = structlog.get_logger(__name__)

MAX_NAMES = 1_024
MAX_ANSWER_BYTES = 16 * 2**20
"""An answer ends before the record that would exceed this, but has at least one."""


class Fetched(NamedTuple):
    """Records, one after the other in slices, and how many of the hashes they answer; what is not here is left out."""

    records: AsyncIterator[bytes]
    answered: int


class Fetching:
    """Reads objects as they are stored. Belongs to the event loop."""

    def __init__(self, database: Database, packs: Packs, workers: ThreadPool, *, senders: ThreadPool) -> None:
        self._database = database
        self._packs = packs
        self._workers = workers
        self._senders = senders

    async def fetch(self, dot: DotRow, question: bytes) -> Fetched:
        """The records of the concatenated hashes, in this order, as far as the dot's project has them.

        Raises:
            Problem: malformed-request, when the question is not a list of at most 1,024 hashes.
        """
        names = split_hashes(question, MAX_NAMES)
        source = ProjectObjects(self._database, self._packs, dot.project.key)
        found = await self._workers.run(lambda: source.locate(names))
        answered = _count_answered(names, found)
        wanted = [found[name] for name in names[:answered] if name in found]
        return Fetched(
            self._senders.stream(gather(chain.from_iterable(self._read(source, one) for one in wanted))), answered
        )

    def _read(self, source: ProjectObjects, location: Location) -> Iterator[bytes]:
        """A record that was verified, in slices; none where it is damaged or gone."""
        head = self._read_head(source, location)
        if head is None:
            return
        yield head
        for start in range(SLICE_SIZE, record_size(location.entry), SLICE_SIZE):
            yield self._read_slice(source, location, start)

    def _read_head(self, source: ProjectObjects, location: Location) -> bytes | None:
        """The first slice of a record that was verified as a whole, if it could be."""
        name = location.entry.hash
        try:
            return self._packs.read_head(location.pack, location.entry, SLICE_SIZE)
        except MissingObject:  # it was just put into another pack, or belonged to nothing and was collected
            moved = source.locate([name]).get(name)
            return self._read_head(source, moved) if moved is not None and moved.pack != location.pack else None
        except CorruptObject as error:
            log.error("object.damaged", object=name.hex(), error=str(error))  # noqa: TRY400 - the message says it all
            return None

    def _read_slice(self, source: ProjectObjects, location: Location, start: int) -> bytes:
        """A slice of a record, which is put into other packs as it is."""
        try:
            return self._packs.read_stored(location.pack, location.entry, start, start + SLICE_SIZE)
        except MissingObject:
            moved = source.find(location.entry.hash)
            return self._packs.read_stored(moved.pack, moved.entry, start, start + SLICE_SIZE)


def _count_answered(names: list[bytes], found: dict[bytes, Location]) -> int:
    """How many of the hashes one answer is for; at least one of those that are here."""
    size = 0
    for number, name in enumerate(names):
        if name in found:
            stored = found[name].entry.stored
            if size and size + stored > MAX_ANSWER_BYTES:
                return number
            size += stored
    return len(names)
