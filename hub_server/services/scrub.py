"""Reading the packs again, to find out in time which of them a disk has damaged.

A damaged pack is not deleted, as some of it may be well. But committers are told that its objects are not here, so that
whoever still has them sends them again; then they lie in a pack that is well.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from hub_server.domain.types import DamagedPack, Scrubbed
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.store import health
from hub_server.store.objects import PackRow

log = structlog.get_logger(__name__)


class Scrubber:
    """Reads packs, those first that were not read for the longest time. Belongs to the event loop."""

    def __init__(self, context: UpkeepContext) -> None:
        self._database, self._packs, self._workers, self._stopping, self._clock = context

    async def scrub(self, part: int, progress: Callable[[int, int], None]) -> Scrubbed:
        """Check one `part`-th of all that is stored; `progress` gets how many bytes of how many were read.

        Raises:
            StorageUnavailable: the storage does not answer; what was checked stays checked.
            Stopped: the hub stops.
        """
        rows = await self._database.read(lambda c: health.packs_to_check(c, part=part))
        size, done = sum(row.size for row in rows), 0
        damaged: list[DamagedPack] = []
        for row in rows:
            self._stopping.check()
            progress(done, size)
            if not await self._is_well(row):
                damaged += await self._note_damage(row)
            done += row.size
        return Scrubbed(packs=len(rows), size=size, damaged=damaged)

    async def _is_well(self, row: PackRow) -> bool:
        well = await self._read(row) or await self._read(row)  # what was wrong on its way is right the second time
        if well:
            now = self._clock()
            await self._database.write(lambda c: health.note_well(c, row.key, now))
        return well

    async def _read(self, row: PackRow) -> bool:
        return await self._workers.run(lambda: self._packs.check(row.hash, row.size))

    async def _note_damage(self, row: PackRow) -> list[DamagedPack]:
        """Say what is damaged; nothing is where the pack was deleted meanwhile, or holds nothing."""
        now = self._clock()
        damage = await self._database.write(lambda c: health.note_damage(c, row, now))
        if not damage.objects:
            return []
        log.error("scrub.damaged", pack=damage.pack, projects=damage.projects, objects=damage.objects)
        return [damage]
