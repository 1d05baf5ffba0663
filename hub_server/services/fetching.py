"""Giving back what was pushed, object by object: to those who dropped it from their own disk."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from dotscience.errors import CorruptObject, MissingObject
from hub_server.content.packs import Packs
from hub_server.services.objects import ProjectObjects, split_hashes
from hub_server.store.database import Database
from hub_server.store.objects import Location
from hub_server.store.projects import DotRow
from hub_server.thread_pool import ThreadPool

log = structlog.get_logger(__name__)

MAX_NAMES = 1_024
MAX_ANSWER_BYTES = 16 * 2**20
"""An answer ends before the record that would exceed this, but has at least one."""


class Fetched(NamedTuple):
    """Records, one after the other, and how many of the hashes they answer; of those, what is not here is left out."""

    records: bytes
    answered: int


class Fetching:
    """Reads objects as they are stored. Belongs to the event loop."""

    def __init__(self, database: Database, packs: Packs, workers: ThreadPool) -> None:
        self._database = database
        self._packs = packs
        self._workers = workers

    async def fetch(self, dot: DotRow, question: bytes) -> Fetched:
        """The records of the concatenated hashes, in this order, as far as the dot's project has them.

        Raises:
            Problem: malformed-request, when the question is not a list of at most 1,024 hashes.
        """
        names = split_hashes(question, MAX_NAMES)
        source = ProjectObjects(self._database, self._packs, dot.project.key)
        return await self._workers.run(lambda: self._gather(source, names))

    def _gather(self, source: ProjectObjects, names: list[bytes]) -> Fetched:
        found = source.locate(names)
        records: list[bytes] = []
        size = 0
        for number, name in enumerate(names):
            if name in found:
                size += found[name].entry.stored
                if records and size > MAX_ANSWER_BYTES:
                    return Fetched(b"".join(records), number)
                records.append(self._read(source, found[name]))
        return Fetched(b"".join(records), len(names))

    def _read(self, source: ProjectObjects, location: Location) -> bytes:
        """A record, verified; empty where it is damaged or gone."""
        name = location.entry.hash
        try:
            return self._packs.read_record(location.pack, location.entry)
        except MissingObject:  # it was just put into another pack, or belonged to nothing and was collected
            moved = source.locate([name]).get(name)
            return self._read(source, moved) if moved is not None and moved.pack != location.pack else b""
        except CorruptObject as error:
            log.error("object.damaged", object=name.hex(), error=str(error))  # noqa: TRY400 - the message says it all
            return b""
