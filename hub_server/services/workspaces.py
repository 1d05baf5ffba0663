"""Writing to a project's workspace without a checkout (docs/design/legacy.md): uploads, deletions, runs.

Each upload and each deletion is a commit, and so are runs that come without a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from committer.storage.tree import EntryKind
from dotscience.record import Environment, RunRecord
from hub_server.content.packs import Packs
from hub_server.content.paths import Path
from hub_server.content.staging import StagedFile
from hub_server.domain.problems import Problem, not_found
from hub_server.services.deposits import Deposits
from hub_server.services.dot_locks import DotLocks
from hub_server.services.hub_commits import Draft, HubCommits, Made
from hub_server.services.new_objects import NewObjects
from hub_server.services.remote_runs import place_outputs, with_files
from hub_server.services.tree_edit import TreeEdit
from hub_server.services.upload_content import UploadContent, take_archive, take_file
from hub_server.services.workers import Workers
from hub_server.services.workspace_heads import Volume


class Writer(Struct, frozen=True):
    """Who writes: the account's name, and what tells its tokens apart."""

    name: str
    credential: str


class Workspaces:
    """Takes in what comes without a committer. Belongs to the event loop.

    Attributes:
        commits: What makes the commits.
        locks: Who is writing to which dot.
        deposits: What was uploaded and not committed with a run yet.
    """

    def __init__(self, commits: HubCommits, packs: Packs, workers: Workers, *, clock: Callable[[], datetime]) -> None:
        self.commits = commits
        self._packs = packs
        self._workers = workers
        self._clock = clock
        self.locks = DotLocks(clock)
        self.deposits = Deposits()

    def begin_file(self) -> StagedFile:
        """Start to receive an upload; end with `discard`."""
        return self._packs.begin_file()

    def discard(self, staged: StagedFile) -> None:
        """Let go of an upload. Idempotent."""
        if not staged.discarded:
            self._workers.start(staged.discard)

    async def flush(self, staged: StagedFile) -> None:
        """Write what has gathered of an upload."""
        await self._workers.run(staged.flush)

    async def put_file(self, volume: Volume, writer: Writer, path: Path, staged: StagedFile) -> Made:
        """Make an upload the file at `path`, as a commit.

        Raises:
            Problem: locked; path-taken; not-found for the branch.
            DiskFull: there is no room for it.
        """
        now = self._clock()
        async with self.commits.new_objects(volume.dot) as new:
            content = await self._workers.run(lambda: take_file(staged, path, now, new))
            message = f"Uploaded {text_of(path)} ({staged.size} bytes)"
            made = await self._put(
                volume, writer, Draft(message=message, author=writer.name, edit=_putting(content)), new
            )
        self.deposits.of(volume.dot.id, writer.credential).keep(path, content, made.root, is_archive=False)
        return made

    async def put_archive(self, volume: Volume, writer: Writer, folder: Path, staged: StagedFile) -> Made:
        """Unpack an uploaded tar archive in `folder`, as a commit; what it does not name stays as it is.

        A file or link in the folder's own place is replaced.

        Raises:
            Problem: corrupt-archive or invalid, for an archive that is not taken; and as `put_file`.
            DiskFull: there is no room for it.
        """
        async with self.commits.new_objects(volume.dot) as new:
            content = await self._workers.run(lambda: take_archive(staged, folder, new))
            message = f"Unpacked an archive of {len(content.entries)} files in {text_of(folder)}"
            edit = _putting(content, instead_of=folder)
            made = await self._put(volume, writer, Draft(message=message, author=writer.name, edit=edit), new)
        self.deposits.of(volume.dot.id, writer.credential).keep(folder, content, made.root, is_archive=True)
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

        draft = Draft(message=f"Deleted {text_of(path)}", author=writer.name, edit=edit)
        async with self.commits.new_objects(volume.dot) as new:
            return await self._put(volume, writer, draft, new)

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

        draft = Draft(message=message, author=writer.name, edit=edit, environment=environment)
        try:
            async with self.commits.new_objects(volume.dot) as new:
                made = await self._put(volume, writer, draft, new)
        except Problem as problem:
            if problem.kind == "upload-refused":
                deposit.forget_refusals()  # it was told, and may have been about something that is over
            raise
        self.deposits.forget(volume.dot.id, writer.credential)
        return made

    async def _put(self, volume: Volume, writer: Writer, draft: Draft, new: NewObjects) -> Made:
        async with self.locks.hold(volume.dot.id, f'{writer.name} ("{draft.message}")'):
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
