"""Writing to a project's workspace without a checkout (docs/design/legacy.md): uploads, deletions, runs.

Each upload and each deletion is a commit, and so are runs that come without a snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from committer.storage.tree import EntryKind
from committer.storage.tree_edit import TreeEdit
from dotscience.record import Environment, RunRecord
from hub_server.content.packs import Packs
from hub_server.content.paths import Path
from hub_server.content.staging import StagedFile
from hub_server.domain.problems import Problem, not_found
from hub_server.domain.types import PushedBy
from hub_server.services.deposits import Deposits
from hub_server.services.dot_locks import DotLocks
from hub_server.services.hub_commits import Draft, HubCommits, Made
from hub_server.services.new_objects import NewObjects
from hub_server.services.remote_runs import place_outputs, with_files
from hub_server.services.upload_content import UploadContent, take_archive, take_file
from hub_server.services.workspace_heads import Volume
from hub_server.thread_pool import ThreadPool


class Writer(Struct, frozen=True):
    """Who writes: the account's name, and what tells its tokens apart."""

    name: str
    credential: str

    @property
    def pushed_by(self) -> PushedBy:
        """The same, as commits have it."""
        return PushedBy(account=self.name, credential=self.credential)


class Workspaces:
    """Takes in what comes without a committer. Belongs to the event loop.

    Attributes:
        commits: What makes the commits.
        locks: Who is writing to which dot.
        deposits: What was uploaded and not committed with a run yet.
    """

    def __init__(
        self,
        commits: HubCommits,
        packs: Packs,
        workers: ThreadPool,
        *,
        receiving: ThreadPool,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Uploads are written down by the threads of `receiving`, and cut and compressed by those of `workers`."""
        self.commits = commits
        self._packs = packs
        self._workers = workers
        self._receiving = receiving
        self._clock = clock
        self.locks = DotLocks(clock, monotonic=monotonic)
        self.deposits = Deposits()

    def begin_file(self) -> StagedFile:
        """Start to receive an upload; end with `discard`."""
        return self._packs.begin_file()

    def discard(self, staged: StagedFile) -> None:
        """Let go of an upload. Idempotent."""
        if not staged.discarded:
            self._receiving.start(staged.discard)

    async def flush(self, staged: StagedFile) -> None:
        """Write what has gathered of an upload."""
        await self._receiving.run(staged.flush)

    async def put(
        self, volume: Volume, writer: Writer, path: Path, staged: StagedFile, *, is_archive: bool = False
    ) -> Made:
        """Make an upload the file at `path`, or unpack it there if it is a tar archive; a commit either way.

        What an archive does not name stays as it is; a file or link in the place of its own folder is replaced.

        Raises:
            Problem: locked; path-taken; not-found for the branch; corrupt-archive or invalid for an archive that is not
                taken.
            DiskFull: there is no room for it.
        """
        now = self._clock()
        async with self.commits.new_objects(volume.dot) as new:
            if is_archive:
                content = await self._workers.run(lambda: take_archive(staged, path, new))
                message = f"Unpacked an archive of {len(content.entries)} files in {text_of(path)}"
            else:
                content = await self._workers.run(lambda: take_file(staged, path, now, new))
                message = f"Uploaded {text_of(path)} ({staged.size} bytes)"
            edit = _putting(content, instead_of=path if is_archive else ())
            draft = Draft(message=message, author=writer.name, pushed_by=writer.pushed_by, edit=edit)
            made = await self._commit(volume, f"{writer.name}'s upload of {text_of(path)}", draft, new)
        self.deposits.of(volume.dot.id, writer.credential).keep(path, content, made.root, is_archive=is_archive)
        return made

    async def delete(self, volume: Volume, writer: Writer, path: Path) -> Made:
        """Delete a file, or a folder with all that is in it, as a commit.

        Raises:
            Problem: not-found, for the path or the branch; locked.
        """

        def edit(tree: TreeEdit) -> Sequence[RunRecord]:
            if not tree.remove(path):
                raise not_found("path", text_of(path))
            return ()

        draft = Draft(message=f"Deleted {text_of(path)}", author=writer.name, pushed_by=writer.pushed_by, edit=edit)
        async with self.commits.new_objects(volume.dot) as new:
            return await self._commit(volume, f"{writer.name}'s deletion of {text_of(path)}", draft, new)

    async def commit_runs(
        self, volume: Volume, writer: Writer, message: str, runs: Sequence[RunRecord], environment: Environment | None
    ) -> Made:
        """Commit the workspace with these runs, after the writer's own uploads that have begun.

        Raises:
            Problem: upload-refused, where the hub did not take in what the runs are about; locked; not-found for the
                branch.
        """
        deposit = self.deposits.of(volume.dot.id, writer.credential)
        await deposit.settle()
        objects = self.commits.objects(volume.dot)

        def edit(tree: TreeEdit) -> Sequence[RunRecord]:
            place_outputs(tree, objects, deposit, runs)
            finished = [with_files(run, tree) for run in runs]
            deposit.check([file for run in finished for file in run.outputs])
            return finished

        draft = Draft(
            message=message, author=writer.name, pushed_by=writer.pushed_by, edit=edit, environment=environment
        )
        try:
            async with self.commits.new_objects(volume.dot) as new:
                made = await self._commit(volume, f"{writer.name}'s commit of runs", draft, new)
        except Problem as problem:
            if problem.kind == "upload-refused":
                deposit.forget_refusals()  # it was told, and may have been about something that is over
            raise
        self.deposits.forget(volume.dot.id, writer.credential)
        return made

    async def _commit(self, volume: Volume, what: str, draft: Draft, new: NewObjects) -> Made:
        async with self.locks.hold(volume.dot.id, what):
            return await self.commits.commit(volume, draft, new)


def text_of(path: Path) -> str:
    """A path as text."""
    return b"/".join(path).decode("utf-8", "replace")


def _putting(content: UploadContent, *, instead_of: Path = ()) -> Callable[[TreeEdit], Sequence[RunRecord]]:
    def edit(tree: TreeEdit) -> Sequence[RunRecord]:
        there = tree.find(instead_of) if instead_of else None
        if there is not None and there.kind is not EntryKind.DIRECTORY:
            tree.remove(instead_of)
        content.put_into(tree)
        return ()

    return edit
