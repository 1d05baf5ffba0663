"""Commits that the hub makes itself, by the way that committers' take: packs, then the move of a branch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import msgspec
from msgspec import Struct

from committer.storage.objects import Kind, encode_commit
from committer.storage.tree_edit import TreeEdit
from dotscience.errors import FolderRefused, PathTaken
from dotscience.record import Commit, CommitStats, Environment, RunRecord, encode_json
from dotscience.version import __version__
from hub_server.content.packs import Packs
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.types import PushedBy
from hub_server.services.new_objects import NewObjects
from hub_server.services.objects import ProjectObjects
from hub_server.services.sync import Move, Sync
from hub_server.services.workspace_heads import CLIENT, Head, Volume, find_head
from hub_server.store.database import Database
from hub_server.store.projects import DotRow
from hub_server.thread_pool import ThreadPool

MOVES = 5
"""How often a commit is made anew because somebody else has moved the branch meanwhile."""

Edit = Callable[[TreeEdit], Sequence[RunRecord]]


class Draft(Struct, frozen=True, kw_only=True):
    """A commit to be made: `edit` changes the tree, on a worker, and says which runs there are; once for each try."""

    message: str
    author: str
    pushed_by: PushedBy
    edit: Edit
    environment: Environment | None = None


class Made(Struct, frozen=True):
    """A commit that was made: its id and its tree."""

    id: bytes
    root: bytes


class HubCommits:
    """Makes commits. Belongs to the event loop."""

    def __init__(
        self, database: Database, packs: Packs, sync: Sync, workers: ThreadPool, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._packs = packs
        self._sync = sync
        self._workers = workers
        self._clock = clock

    @asynccontextmanager
    async def new_objects(self, dot: DotRow) -> AsyncIterator[NewObjects]:
        """Where the objects of one commit go; what was not committed in the block is dropped after it."""
        packs = await self._workers.run(self._packs.new_writer)
        try:
            yield NewObjects(self.objects(dot), packs)
        finally:
            self._workers.start(packs.discard)

    def objects(self, dot: DotRow) -> ProjectObjects:
        """What the dot's project has."""
        return ProjectObjects(self._database, self._packs, dot.project.key)

    async def head(self, volume: Volume) -> Head:
        """Where the volume is.

        Raises:
            Problem: not-found, for a branch that does not exist.
        """
        found = await self._database.read(lambda c: find_head(c, volume))
        if found is None:
            raise not_found("branch", volume.branch)
        return found

    async def commit(self, volume: Volume, draft: Draft, new: NewObjects) -> Made:
        """Commit what the draft makes of the volume's head; durable when this returns.

        Raises:
            Problem: not-found for the branch; what the draft raises; head-moved, when it was moved each time.
        """
        for attempt in range(MOVES):
            head = await self.head(volume)
            made = await self._workers.run(partial(self._make, volume.dot, head, draft, new))
            try:
                await self._accept(volume.dot, head, made, new, draft.pushed_by)
            except Problem as problem:
                if problem.kind != "head-moved" or attempt == MOVES - 1:
                    raise
            else:
                return made
        raise AssertionError("the loop above returns or raises")

    async def _accept(self, dot: DotRow, head: Head, made: Made, new: NewObjects, pushed_by: PushedBy) -> None:
        for pack in await self._workers.run(new.seal):
            await self._sync.add_pack(dot, pack, partial(new.keep, pack))
        move = Move(commit=made.id, branch=head.branch, expected_parent=head.expected_parent, pushed_by=pushed_by)
        await self._sync.accept_commit(dot, move)

    def _make(self, dot: DotRow, head: Head, draft: Draft, new: NewObjects) -> Made:
        tree = TreeEdit(self.objects(dot), head.root)
        try:
            records = draft.edit(tree)
            root = tree.finish(lambda data: new.put(Kind.TREE, data))
        except PathTaken as error:
            raise Problem("path-taken", str(error)) from error
        except FolderRefused as error:
            raise invalid("/key", str(error)) from error
        environment = draft.environment and new.put(Kind.ENVIRONMENT, encode_json(draft.environment)).hex()
        runs = [msgspec.structs.replace(one, environment=environment) for one in records]
        commit = Commit(
            dot_id=dot.id,
            parents=[] if head.commit is None else [head.commit],
            root=root,
            runs=[(one.run_id, new.put(Kind.RUN, encode_json(one))) for one in runs],
            created_at=self._clock(),
            message=draft.message,
            author=draft.author,
            client=f"{CLIENT}/{__version__}",
            consistency="atomic",
            stats=CommitStats(
                files=tree.files + (head.info.files if head.info else 0),
                size=tree.size + (head.info.size if head.info else 0),
                new_bytes=new.stored,
            ),
        )
        return Made(new.put(Kind.COMMIT, encode_commit(commit)), root)
