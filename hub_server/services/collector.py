"""Garbage collection: deleting what no commit needs (docs/design/garbage-collection.md).

A cycle marks what the commits of a project need, notes what else there is as unused, and deletes what has been noted
as such by an earlier cycle and long enough ago. Packs that hold nothing are deleted later still, when nobody can be
reading them any more. A cycle may end at any moment, by a crash too; the next one goes on from what the database says.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec import Struct

from committer.storage.objects import Kind, Reference, references
from dotscience.errors import MissingObject
from hub_server.services.marks import Marks
from hub_server.services.objects import ProjectObjects
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.store import garbage
from hub_server.store.objects import PackRow
from hub_server.store.projects import DotRow

log = structlog.get_logger(__name__)

PAGE = 5_000
COMMITS = 256
READ_GRACE = timedelta(hours=1)
"""How long after a pack was found empty somebody may still read what lay in it."""
ORPHAN_AGE = timedelta(days=7)
"""How old a pack without an entry in the database must be: a restored backup may not know it yet."""

_LEAVES = frozenset({Kind.BLOB, Kind.ENVIRONMENT})


class Swept(Struct, frozen=True, kw_only=True):
    """What a cycle found and did in one project; sizes in bytes.

    `unused` objects are those that remain because they have not been unused for long enough; in a dry run nothing is
    deleted, and `deleted` is what would be.
    """

    kept: int = 0
    unused: int = 0
    unused_size: int = 0
    deleted: int = 0
    deleted_size: int = 0


class Collector:
    """Collects the garbage of one project after the other. Belongs to the event loop; long work runs on `workers`."""

    def __init__(self, context: UpkeepContext, *, keep_unused: timedelta) -> None:
        """Objects are deleted when they were unused for at least `keep_unused`."""
        self._database, self._packs, self._workers, self._stopping, self._clock = context
        self._keep_unused = keep_unused

    async def collect(self, dot: DotRow, *, dry_run: bool = False) -> Swept:
        """One cycle in one project.

        Raises:
            SnapshotError: what the commits need cannot be found out, so that nothing was deleted.
            Stopped: the hub stops.
        """
        started = self._clock()
        if not dry_run:
            await self._database.write(lambda c: garbage.start_cycle(c, dot.id))
        with Marks() as marks:
            await self._workers.run(lambda: self._mark(dot, marks))
            return await self._sweep(dot, marks, started, dry_run=dry_run)

    async def delete_packs(self) -> tuple[int, int]:
        """Delete the packs that have held nothing for long enough; how many, and how many bytes.

        Raises:
            StorageUnavailable: a file cannot be deleted now; the next time goes on there.
        """
        now = self._clock()
        await self._database.write(lambda c: garbage.doom_empty_packs(c, now))
        await self._doom_unknown(now)
        count = size = 0
        for row in await self._database.read(lambda c: garbage.packs_to_delete(c, now - READ_GRACE)):
            self._stopping.check()
            if await self._delete_pack(row):
                count, size = count + 1, size + row.size
        return count, size

    # Marking, on a worker

    def _mark(self, dot: DotRow, marks: Marks) -> None:
        source = ProjectObjects(self._database, self._packs, dot.project.key)
        after = 0
        while page := self._commits(dot, after):
            self._mark_from([(Kind.COMMIT, name) for _, name in page], source, marks)
            after = page[-1][0]

    def _commits(self, dot: DotRow, after: int) -> list[tuple[int, bytes]]:
        return self._database.read_blocking(lambda c: garbage.commit_page(c, dot.id, after, COMMITS))

    def _mark_from(self, roots: list[Reference], source: ProjectObjects, marks: Marks) -> None:
        pending = roots
        while pending:
            self._stopping.check()
            batch, pending = pending[-PAGE:], pending[:-PAGE]
            inner = [one for one in marks.add(batch) if one[0] not in _LEAVES]
            pending.extend(_below(inner, source))

    # Sweeping

    async def _sweep(self, dot: DotRow, marks: Marks, started: datetime, *, dry_run: bool) -> Swept:
        before = min(started, started - self._keep_unused)
        found = Swept()
        page = await self._page(dot, b"")
        while page:
            self._stopping.check()
            marked = await self._marked(marks, page)
            found = _add(found, page, marked, before)
            if not dry_run:
                await self._note(dot, page, marked, started)
            page = await self._page(dot, page[-1].hash)
        if dry_run:
            return found
        objects, size = await self._delete(dot, before)
        return msgspec.structs.replace(found, deleted=objects, deleted_size=size)

    async def _page(self, dot: DotRow, after: bytes) -> list[garbage.Known]:
        return await self._database.read(lambda c: garbage.object_page(c, dot.project.key, after, PAGE))

    async def _marked(self, marks: Marks, page: list[garbage.Known]) -> set[bytes]:
        return await self._workers.run(lambda: marks.among([one.hash for one in page]))

    async def _note(self, dot: DotRow, page: list[garbage.Known], marked: set[bytes], now: datetime) -> None:
        unused = [one.hash for one in page if one.unused_since is None and one.hash not in marked]
        used = [one.hash for one in page if one.unused_since is not None and one.hash in marked]
        if unused or used:
            await self._database.write(lambda c: garbage.note_use(c, dot.project.key, unused, used, now))

    async def _delete(self, dot: DotRow, before: datetime) -> tuple[int, int]:
        objects = size = 0
        while True:
            self._stopping.check()
            deleted = await self._database.write(
                lambda c: garbage.delete_unused(c, dot.project.key, dot.id, before, PAGE)
            )
            if not deleted.objects:
                return objects, size
            objects, size = objects + deleted.objects, size + deleted.size
            log.info("gc.objects_deleted", project=dot.project.id, objects=deleted.objects, size=deleted.size)

    # Packs

    async def _doom_unknown(self, now: datetime) -> None:
        oldest = (now - ORPHAN_AGE).timestamp()
        found = await self._workers.run(lambda: [(p.hash, p.size) for p in self._packs.kept() if p.kept_at < oldest])
        known = await self._database.read(lambda c: garbage.known_packs(c, [name for name, _ in found]))
        unknown = [one for one in found if one[0] not in known]
        if unknown:
            count = await self._database.write(lambda c: garbage.doom_unknown_packs(c, unknown, now))
            log.warning("gc.unknown_packs", count=count)

    async def _delete_pack(self, row: PackRow) -> bool:
        if not await self._database.write(lambda c: garbage.begin_deleting(c, row.key)):
            return False
        await self._workers.run(lambda: self._packs.delete(row.hash))
        await self._database.write(lambda c: garbage.forget_pack(c, row.key))
        log.info("gc.pack_deleted", pack=row.hash.hex(), size=row.size)
        return True


def _below(inner: list[Reference], source: ProjectObjects) -> list[Reference]:
    """What some objects refer to; a commit's parents have places of their own in the list of commits, or are gone."""
    found = source.locate(name for _, name in inner)
    following: list[Reference] = []
    for kind, name in inner:
        if name not in found:
            raise MissingObject(f"object {name.hex()}, which a commit needs, is not here")
        below = references(kind, source.read(found[name]))
        following.extend(one for one in below if one[0] is not Kind.COMMIT)
    return following


def _add(total: Swept, page: list[garbage.Known], marked: set[bytes], before: datetime) -> Swept:
    unmarked = [one for one in page if one.hash not in marked]
    expired = [one for one in unmarked if one.unused_since is not None and one.unused_since < before]
    return Swept(
        kept=total.kept + len(page) - len(unmarked),
        unused=total.unused + len(unmarked) - len(expired),
        unused_size=total.unused_size + sum(one.size for one in unmarked) - sum(one.size for one in expired),
        deleted=total.deleted + len(expired),
        deleted_size=total.deleted_size + sum(one.size for one in expired),
    )
