"""Looking after what is stored: garbage collection and scrubbing, by themselves and when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec
import structlog

from dotscience.errors import SnapshotError
from hub_server.domain.types import Collected, Failed, Scrubbed, Upkeep, UpkeepState
from hub_server.services.audit import forget_failed_sign_ins
from hub_server.services.collector import Collector
from hub_server.services.repacking import Repacker
from hub_server.services.scrub import Scrubber
from hub_server.services.stopping import Stopped
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.store import accounts, projects
from hub_server.store.projects import DotRow

T = TypeVar("T")

log = structlog.get_logger(__name__)

LOOK_S = 600.0
"""How often the time is looked at, in seconds."""
SCRUB_PARTS = 30
"""What is done by itself reads one such part at a time: of a day each, everything within a month."""
LAST = "upkeep"

Progress = Callable[[int, int], None]


class Job(Generic[T]):
    """One way to look after the storage, done by one task at a time. Belongs to the event loop."""

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self.state: Upkeep[T] = Upkeep()
        self._name = name
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Callable[[Progress], Awaitable[T]]) -> Upkeep[T]:
        """Begin `work`, unless it is being done; how it stands."""
        if not self.state.running:
            self.state = Upkeep(running=True, started_at=self._clock())
            self._task = asyncio.get_running_loop().create_task(self._run(work))
        return self.state

    async def end(self) -> None:
        """Wait until nothing is being done."""
        if self._task is not None:
            await self._task

    async def _run(self, work: Callable[[Progress], Awaitable[T]]) -> None:
        result, error = None, None
        try:
            result = await work(self._note_progress)
        except Stopped:
            error = "the hub stopped"
        except SnapshotError as failure:
            error = str(failure)
        except Exception:  # the task's boundary: a defect here must not look like work without an end
            log.exception("upkeep.failed", job=self._name)
            error = "internal error; the hub's log has the details"
        self.state = msgspec.structs.replace(
            self.state, running=False, finished_at=self._clock(), result=result, error=error
        )
        log.info("upkeep.done", job=self._name, result=result and msgspec.to_builtins(result), error=error)

    def _note_progress(self, done: int, total: int) -> None:
        self.state = msgspec.structs.replace(self.state, done=done, total=total)


class UpkeepService:
    """Does both jobs every now and then, and at once when asked to. Belongs to the event loop."""

    def __init__(
        self,
        context: UpkeepContext,
        *,
        collector: Collector,
        repacker: Repacker,
        scrubber: Scrubber,
        every: timedelta | None,
    ) -> None:
        """`every` None: only when asked to."""
        self._context = context
        self._collector = collector
        self._repacker = repacker
        self._scrubber = scrubber
        self._every = every
        self._gc: Job[Collected] = Job("gc", context.clock)
        self._scrub: Job[Scrubbed] = Job("scrub", context.clock)
        self._waiting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to do it regularly."""
        if self._every is not None:
            self._waiting = asyncio.get_running_loop().create_task(self._repeat(self._every))

    async def close(self) -> None:
        """End what is under way, soon, and wait for that."""
        self._context.stopping.stop()
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        await self._gc.end()
        await self._scrub.end()

    def state(self) -> UpkeepState:
        """What is being done, or was last."""
        return UpkeepState(gc=self._gc.state, scrub=self._scrub.state)

    def collect_garbage(self, *, dry_run: bool = False) -> Upkeep[Collected]:
        """Start to collect garbage in all projects; where that is under way, it just goes on."""
        return self._gc.start(lambda progress: self._collect(progress, dry_run=dry_run))

    def scrub(self, *, parts: int = 1) -> Upkeep[Scrubbed]:
        """Start to check a part of what is stored, all of it by default."""
        return self._scrub.start(lambda progress: self._scrubber.scrub(parts, progress))

    async def _repeat(self, every: timedelta) -> None:
        while True:
            try:
                if await self._is_due(every):
                    self.collect_garbage()
                    self.scrub(parts=SCRUB_PARTS)
            except Exception:  # the loop's boundary: a disk that is full today must not end upkeep for good
                log.exception("upkeep.not_begun")
            await asyncio.sleep(LOOK_S)

    async def _is_due(self, every: timedelta) -> bool:
        """Whether it is time; noted at once, so that a hub which fails at it does not try without end."""
        now = self._context.clock()
        stored = await self._context.database.read(lambda c: accounts.find_setting(c, LAST))
        last = None if stored is None else datetime.fromisoformat(stored.decode())
        if last is not None and last <= now < last + every:
            return False
        await self._context.database.write(lambda c: accounts.store_setting(c, LAST, now.isoformat().encode()))
        return last is not None

    async def _collect(self, progress: Progress, *, dry_run: bool) -> Collected:
        if not dry_run:
            await self._forget()
        dots = await self._context.database.read(projects.list_dots)
        total = Collected(dry_run=dry_run, projects=len(dots))
        for number, dot in enumerate(dots):
            progress(number, len(dots))
            total = await self._collect_one(dot, total)
        if dry_run:
            return total
        packs, freed = await self._collector.delete_packs()
        return msgspec.structs.replace(total, packs_deleted=packs, freed=freed)

    async def _forget(self) -> None:
        forgotten = await forget_failed_sign_ins(self._context.database, self._context.clock())
        if forgotten:
            log.info("audit.forgotten", failed_sign_ins=forgotten)

    async def _collect_one(self, dot: DotRow, total: Collected) -> Collected:
        """What is wrong with one project keeps no other from being looked after."""
        try:
            swept = await self._collector.collect(dot, dry_run=total.dry_run)
        except SnapshotError as error:
            return _with_failure(total, dot, f"nothing was deleted, as it cannot be known what is needed: {error}")
        total = msgspec.structs.replace(
            total,
            kept=total.kept + swept.kept,
            unused=total.unused + swept.unused,
            unused_size=total.unused_size + swept.unused_size,
            deleted=total.deleted + swept.deleted,
            deleted_size=total.deleted_size + swept.deleted_size,
        )
        if total.dry_run:
            return total
        try:
            repacked = await self._repacker.repack(dot)
        except SnapshotError as error:
            return _with_failure(total, dot, f"packs were left as they are, as one cannot be copied: {error}")
        return msgspec.structs.replace(total, repacked=total.repacked + repacked)


def _with_failure(total: Collected, dot: DotRow, detail: str) -> Collected:
    log.error("gc.failed", project=dot.project.id, error=detail)
    return msgspec.structs.replace(total, failed=[*total.failed, Failed(project_id=dot.project.id, detail=detail)])
