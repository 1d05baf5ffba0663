"""Taking in what committers push (docs/design/interfaces.md §4.1). Everything is idempotent.

A pack becomes visible only when every byte of it was verified and is durable; a commit only when all that it refers
to is here, together with its runs and the move of its branch, in one transaction. A crash at any moment leaves either
all or nothing of a pack, and all or nothing of a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from committer.storage.objects import Kind, Reference, decode_commit, references
from committer.storage.pack import Pack, PackEntry
from dotscience.errors import CorruptObject
from dotscience.record import Commit
from hub_server.content.packs import Packs, Upload
from hub_server.domain.names import check_branch
from hub_server.domain.problems import Problem, invalid
from hub_server.domain.types import (
    CommitAccepted,
    CommitInfo,
    DamagedObjects,
    DotInfo,
    PackAccepted,
    PushedBy,
    RefusedRun,
)
from hub_server.services.events import PROJECTS, EventBus, project_topic
from hub_server.services.identity import utc_now
from hub_server.services.objects import Completeness, ProjectObjects, split_hashes
from hub_server.services.run_records import Budget, read_run
from hub_server.store import commits, health, objects, projects, pushes, runs
from hub_server.store.database import Database
from hub_server.store.projects import DotRow, GcState
from hub_server.thread_pool import ThreadPool

MAX_HASHES = 16_384
MAX_PACK_BYTES = 64 * 2**20
MAX_MISSING = 1_000
MAX_PARENTS = 64
MAX_LOST = 10_000


class Move(Struct, frozen=True, kw_only=True):
    """Point `branch` from `expected_parent` (None: it does not exist yet) to `commit`, for `pushed_by`.

    The contents in `lost` may be missing: a hub that was restored from an older backup has lost them, as have those who
    pushed them. Reading such a file is told that they are missing; they are taken in when somebody sends them.
    """

    commit: bytes
    branch: str
    expected_parent: bytes | None
    pushed_by: PushedBy | None = None
    lost: frozenset[bytes] = frozenset()


class _Checked(Struct, frozen=True, kw_only=True):
    """A commit that is complete, decoded, and ready to be stored."""

    commit: Commit
    runs: list[runs.NewRun]
    refused: list[RefusedRun]
    walked: dict[Kind, list[bytes]]
    unused: set[bytes]
    gc: GcState


class Sync:
    """The hub's side of a push."""

    def __init__(
        self,
        database: Database,
        packs: Packs,
        workers: ThreadPool,
        events: EventBus,
        *,
        clock: Callable[[], datetime] = utc_now,
        runs_came: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """`runs_came` is told how many runs that are new to their project came with a commit."""
        self._database = database
        self._packs = packs
        self._workers = workers
        self._events = events
        self._clock = clock
        self._runs_came = runs_came

    async def state(self, dot: DotRow) -> DotInfo:
        """The heads of a dot."""
        heads = await self._database.read(lambda c: commits.branches(c, dot.id))
        return DotInfo(dot_id=dot.id, project_id=dot.project.id, gc_epoch=str(dot.gc_epoch), branches=heads)

    async def have(self, dot: DotRow, question: bytes) -> bytes:
        """Which of the concatenated hashes the dot's project has: bit i, least significant first, for hash i.

        Raises:
            Problem: malformed-request, when the question is not a list of at most 16,384 hashes.
        """
        hashes = split_hashes(question, MAX_HASHES)
        project = dot.project.key
        found = await self._database.read(lambda c: objects.present(c, project, hashes))
        if any(found.values()):
            found = await self._database.write(lambda c: _present_and_leased(c, project, hashes))
        return _bitmap([name in found for name in hashes])

    async def damaged(self, dot: DotRow) -> DamagedObjects:
        """What is asked for again."""
        found = await self._database.read(lambda c: health.damaged_objects(c, dot.project.key, limit=MAX_MISSING))
        return DamagedObjects(objects=[name.hex() for name in found])

    def begin_pack(self) -> Upload:
        """Start to receive a pack; end with `accept_pack` or `Upload.discard` on a worker."""
        return self._packs.begin()

    async def accept_pack(self, dot: DotRow, name: bytes, upload: Upload) -> tuple[PackAccepted, bool]:
        """Verify an uploaded pack and make its objects the project's; whether it is new to the project.

        Durable when this returns. A pack that is here already is verified and stored again, which mends a file that
        was lost or damaged.

        Raises:
            Problem: corrupt-pack, naming the record that is wrong; pack-busy, while a pack of this name is deleted.
        """
        project = dot.project.key
        await self._spare_pack(name)
        entries = await self._workers.run(lambda: _verify_and_keep(upload, name))
        now, size = self._clock(), upload.size
        created = await self._database.write(lambda c: objects.add_pack(c, project, name, size, entries, now))
        return PackAccepted(pack=name.hex(), objects=len(entries)), created

    async def add_pack(self, dot: DotRow, pack: Pack, keep: Callable[[], None]) -> None:
        """Have a pack of the hub's own kept with `keep`, and make its objects the project's; durable then.

        Raises:
            Problem: pack-busy, as `accept_pack`.
        """
        await self._spare_pack(pack.hash)
        await self._workers.run(keep)
        project, now = dot.project.key, self._clock()
        await self._database.write(lambda c: objects.add_pack(c, project, pack.hash, pack.size, pack.entries, now))

    async def accept_commit(self, dot: DotRow, move: Move) -> tuple[CommitAccepted, bool]:
        """Take a commit in and move its branch; whether anything changed. Parents first, then children.

        Durable when this returns. The same move again changes nothing, even when the branch has moved on.

        Raises:
            Problem: missing-objects or missing-parents, with the first 1,000 in `missing`; head-moved, with `head`;
                invalid, for a commit of another dot or one that does not follow `expected_parent`.
        """
        check_branch(move.branch)
        while True:
            checked = await self._workers.run(lambda: self._check(dot, move))
            try:
                applied = await self._apply(dot, move, checked)
                break
            except pushes.CollectedMeanwhile:
                continue
        if applied.moved:
            self._runs_came(len(applied.new_runs))
            self._announce(dot, move, applied.new_runs)
        accepted = CommitAccepted(
            commit=move.commit.hex(),
            branch=move.branch,
            runs=len(checked.commit.runs) - len(checked.refused),
            refused=checked.refused,
        )
        return accepted, applied.moved

    async def _spare_pack(self, name: bytes) -> None:
        """Make sure that a pack which is about to be kept is not deleted because nothing was in it until now."""
        if not await self._database.read(lambda c: objects.is_doomed(c, name)):
            return
        if not await self._database.write(lambda c: objects.spare_pack(c, name)):
            raise Problem("pack-busy", f"pack {name.hex()} is just being deleted; send it again in a moment")

    async def _apply(self, dot: DotRow, move: Move, checked: _Checked) -> pushes.Applied:
        push = pushes.Push(
            project_key=dot.project.key,
            commit=_new_commit(move, checked, self._clock()),
            expected_parent=move.expected_parent,
            runs=checked.runs,
            complete=checked.walked,
            unused=checked.unused,
            gc=checked.gc,
        )
        return await self._database.write(lambda c: pushes.apply_push(c, push))

    def _check(self, dot: DotRow, move: Move) -> _Checked:
        gc = self._database.read_blocking(lambda c: projects.gc_state(c, dot.id))
        source = ProjectObjects(self._database, self._packs, dot.project.key)
        try:
            commit = self._read_commit(source, dot, move)
            new_runs, following, refused = _read_runs(source, commit)
            walk = Completeness(source, max_missing=MAX_MISSING, lost=move.lost)
            walk.check([(Kind.TREE, commit.root), *following])
            if walk.missing:
                raise _missing(walk.missing)
            return _Checked(
                commit=commit, runs=new_runs, refused=refused, walked=walk.walked, unused=source.unused, gc=gc
            )
        except CorruptObject as error:
            raise invalid("/commit", str(error)) from error

    def _read_commit(self, source: ProjectObjects, dot: DotRow, move: Move) -> Commit:
        if not source.locate([move.commit]):
            raise _missing([move.commit])
        commit = decode_commit(source.get(move.commit))
        if commit.dot_id != dot.id:
            raise invalid("/commit", f"the commit is one of dot {commit.dot_id!r}, not of {dot.id!r}")
        if len(commit.parents) > MAX_PARENTS:
            raise invalid("/commit", f"the commit has {len(commit.parents)} parents, more than {MAX_PARENTS}")
        if move.expected_parent is not None and move.expected_parent not in commit.parents:
            raise invalid("/expected_parent", "the commit does not follow it; a branch only moves forward")
        known = self._database.read_blocking(lambda c: commits.known_commits(c, dot.id, commit.parents))
        absent = [parent for parent in commit.parents if parent not in known]
        if absent:
            raise Problem(
                "missing-parents",
                f"{len(absent)} of the commit's parents were not pushed yet; push them first",
                extra={"missing": [parent.hex() for parent in absent[:MAX_MISSING]]},
            )
        return commit

    def _announce(self, dot: DotRow, move: Move, added: Sequence[str]) -> None:
        topic = project_topic(dot.project.id)
        for run_id in added:
            self._events.publish(topic, "run.created", run_id)
        self._events.publish(topic, "commit.created", move.commit.hex())
        self._events.publish(PROJECTS, "commit.created", dot.project.id)


def _present_and_leased(connection: Connection, project_key: int, hashes: Sequence[bytes]) -> dict[bytes, bool]:
    """What is here, and will be until whoever asks has had the time to commit what needs it."""
    objects.renew_leases(connection, project_key, hashes)
    return objects.present(connection, project_key, hashes)


def _bitmap(bits: Sequence[bool]) -> bytes:
    bitmap = bytearray((len(bits) + 7) // 8)
    for number, bit in enumerate(bits):
        bitmap[number // 8] |= bit << number % 8
    return bytes(bitmap)


def _verify_and_keep(upload: Upload, name: bytes) -> list[PackEntry]:
    try:
        entries = upload.verify(name)
        upload.keep()
    except CorruptObject as error:
        raise Problem("corrupt-pack", str(error)) from error
    finally:
        upload.discard()
    return entries


def _missing(hashes: Sequence[bytes]) -> Problem:
    return Problem(
        "missing-objects",
        f"at least {len(hashes)} objects that the commit needs are not here; upload their packs and try again",
        extra={"missing": [name.hex() for name in hashes]},
    )


def _read_runs(source: ProjectObjects, commit: Commit) -> tuple[list[runs.NewRun], list[Reference], list[RefusedRun]]:
    """The commit's runs that are here; what must be here too: that to which they refer, and the other runs.

    Last, the runs that are too large: nothing else of the commit, and no later one, has to wait for them.
    """
    found = source.locate([name for _, name in commit.runs])
    read: list[runs.NewRun] = []
    following: list[Reference] = []
    refused: list[RefusedRun] = []
    budget = Budget()
    for run_id, name in commit.runs:
        if name not in found:
            following.append((Kind.RUN, name))
        elif reason := budget.refusal(found[name].entry.size):
            following.append((Kind.RUN, name))
            refused.append(RefusedRun(run_id=run_id, reason=reason))
        else:
            data = source.read(found[name])
            read.append(read_run(commit, run_id, name, data))
            following.extend(references(Kind.RUN, data))
    return read, following, refused


def _new_commit(move: Move, checked: _Checked, now: datetime) -> commits.NewCommit:
    commit, refused = checked.commit, {run.run_id for run in checked.refused}
    run_ids = [run_id for run_id, _ in commit.runs if run_id not in refused]
    info = CommitInfo(
        id=move.commit.hex(),
        parents=[parent.hex() for parent in commit.parents],
        branch=move.branch,
        created_at=commit.created_at,
        message=commit.message,
        author=commit.author,
        client=commit.client,
        consistency=commit.consistency,
        unstable=[path.decode("utf-8", "replace") for path in commit.unstable],
        files=commit.stats.files,
        size=commit.stats.size,
        new_bytes=commit.stats.new_bytes,
        runs=run_ids,
        pushed_by=move.pushed_by,
    )
    return commits.NewCommit(
        dot_id=commit.dot_id,
        hash=move.commit,
        branch=move.branch,
        root=commit.root,
        runs=len(run_ids),
        doc=msgspec.json.encode(info),
        pushed_at=now,
    )
