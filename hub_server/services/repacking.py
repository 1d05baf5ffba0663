"""Writing packs anew that are mostly empty, or too small: the second half of garbage collection.

Nothing is changed in place: the objects that are left are copied into a new pack, verified, the new pack is kept, and
one transaction says that they lie there. The old packs hold nothing then, and go the way of all such packs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog
from sqlalchemy import Connection

from committer.storage.pack import Pack, PackEntry
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.store import garbage, objects
from hub_server.store.projects import DotRow

log = structlog.get_logger(__name__)

SMALL = 2**20
"""A pack below this size is small, in bytes."""
MANY = 16
"""So many small packs are worth a new one."""
TARGET = 16 * 2**20
"""How large a new pack gets, in bytes."""


class Repacker:
    """Packs the objects of one project after the other. Belongs to the event loop."""

    def __init__(self, context: UpkeepContext) -> None:
        self._database, self._packs, self._workers, self._stopping, self._clock = context

    async def repack(self, dot: DotRow) -> int:
        """Replace the project's packs that are not worth their space; how many.

        Raises:
            SnapshotError: an object cannot be copied; the packs that hold it remain.
        """
        used = await self._database.read(lambda c: garbage.pack_use(c, dot.project.key))
        count = 0
        for group in groups(wasteful(used)):
            self._stopping.check()
            await self._replace(dot, group)
            count += len(group)
        return count

    async def _replace(self, dot: DotRow, group: Sequence[garbage.PackUse]) -> None:
        records = await self._database.read(lambda c: _records(c, dot, group))
        if not records:
            return
        copy = await self._workers.run(lambda: self._packs.copy((one.hash, entry) for one, entry in records))
        try:
            name = copy.pack.hash
            if await self._database.write(lambda c: objects.spare_pack(c, name)):
                await self._workers.run(copy.keep)
                await self._move(dot, [one.key for one, _ in records], copy.pack)
        finally:
            await self._workers.run(copy.discard)

    async def _move(self, dot: DotRow, sources: list[int], to: Pack) -> None:
        now = self._clock()
        await self._database.write(lambda c: garbage.move_objects(c, dot.project.key, sources, to, now))
        log.info("gc.repacked", project=dot.project.id, packs=len(set(sources)), into=to.hash.hex())


def wasteful(packs: Sequence[garbage.PackUse]) -> list[garbage.PackUse]:
    """The packs of which more than half holds nothing any more; and the small ones, where there are many."""
    sparse = [one for one in packs if one.used * 2 < one.size]
    small = [one for one in packs if one.used * 2 >= one.size and one.size < SMALL]
    return sparse + (small if len(small) >= MANY else [])


def groups(packs: Sequence[garbage.PackUse]) -> Iterator[list[garbage.PackUse]]:
    """Packs whose used parts fit together into one of the target size."""
    group: list[garbage.PackUse] = []
    size = 0
    for one in packs:
        if group and size + one.used > TARGET:
            yield group
            group, size = [], 0
        group.append(one)
        size += one.used
    if group:
        yield group


def _records(
    connection: Connection, dot: DotRow, group: Sequence[garbage.PackUse]
) -> list[tuple[garbage.PackUse, PackEntry]]:
    return [(one, entry) for one in group for entry in garbage.entries_in_pack(connection, dot.project.key, one.key)]
