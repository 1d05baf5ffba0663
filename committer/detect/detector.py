"""Detection as a whole: watch, wait until files are quiet and whole, read them, hand on what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Protocol, TypeVar

from committer.detect.notebooks import ReadingList, being_written, is_notebook, read_notebook
from committer.detect.scan import changed_notebooks, is_ignored
from committer.detect.sidecars import SidecarScan, scan_sidecars
from committer.detect.sighting import NotebookSight
from committer.detect.watcher import Changes, Watcher
from committer.log import get_logger
from committer.settings import CommitterSettings
from committer.storage.ignore import IGNORE_FILE, IgnoreRules, load_ignore
from committer.workspace.watch import DirtySet
from dotscience.errors import ConfigError, DotscienceError, NotebookError
from dotscience.workspace import Workspace

log = get_logger(__name__)

SCAN_PAUSE_S = 1.0
"""Between two scans that lost events ask for: whoever overflows the queue is likely to do so again."""

T = TypeVar("T")


class Listener(Protocol):
    """Whom detection tells; called on the event loop, one call after the other's end for each kind."""

    async def sidecars_read(self, scan: SidecarScan) -> None:
        """The sidecar folder was read."""

    async def notebook_read(self, sight: NotebookSight) -> None:
        """A notebook changed and is whole."""

    async def notebook_signatures(self) -> dict[str, str]:
        """The state in which each notebook was last handed on."""

    def notebook_unreadable(self, path: str, reason: str) -> None:
        """A notebook has been unreadable for some time."""

    def notebook_gone(self, path: str) -> None:
        """A notebook is not there any more, or is to be ignored."""

    def project_changed(self) -> None:
        """The project file may have changed."""


class Detector:
    """Watches one workspace for its listener. Belongs to the event loop; files are read on `executor`."""

    def __init__(
        self,
        workspace: Workspace,
        settings: CommitterSettings,
        listener: Listener,
        executor: Executor,
        dirty: DirtySet | None = None,
    ) -> None:
        """Prepare to detect; `dirty` is told of all changes in the workspace that can be watched."""
        self._root = workspace.root
        self._workspace = workspace
        self._settings = settings
        self._listener = listener
        self._executor = executor
        self._readings = ReadingList()
        self._listed = asyncio.Event()
        self._quiet = asyncio.Condition()
        self._rules = self._load_rules()
        self._watcher = Watcher(
            self._root,
            skip=lambda folder: self._rules.excludes_entry(folder.encode("utf-8", "surrogateescape"), directory=True),
            poll=settings.watch == "poll",
            poll_interval_s=settings.poll_interval_s,
            dirty=dirty,
        )

    @property
    def polling(self) -> bool:
        """Whether changes are looked for at intervals, for want of a better way."""
        return self._watcher.polling

    async def start(self) -> None:
        """Begin to watch, then look at everything that is there: nothing can fall between the two.

        What cannot be entered, for want of room perhaps, is left to `watch`.
        """
        self._watcher.attach(asyncio.get_running_loop())
        await self._call(self._watcher.start)
        try:
            await self._scan()
        except DotscienceError as error:
            log.warning("scan.failed", error=str(error))
            self._watcher.require_scan()

    async def stop(self) -> None:
        """Stop watching; idempotent."""
        await self._call(self._watcher.stop)

    async def watch(self) -> None:
        """Take changes from the watcher until cancelled. When this fails, the next call looks at everything again."""
        while True:
            changes = await self._watcher.changes()
            try:
                await self._heed(changes)
            except Exception:
                self._watcher.require_scan()
                raise

    async def read(self) -> None:
        """Read the notebooks that are due until cancelled. One at which this fails is put off, behind the others."""
        while True:
            self._listed.clear()
            for path in list(self._readings.due(self._now())):
                await self._read_one(path)
            async with self._quiet:
                self._quiet.notify_all()
            await self._until_due()

    def nudge(self, path: str) -> None:
        """Read a notebook now, without waiting until it is quiet: its writer says that it is done."""
        if is_notebook(path) and not is_ignored(self._rules, path):
            self._list(path, delay_s=0.0)

    def is_listed(self, path: str) -> bool:
        """Whether a change of the notebook has not been handed on yet."""
        return path in self._readings

    async def settled(self, timeout_s: float) -> None:
        """Wait until no notebook seems to be in the middle of being written, at most `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self._quiet:
                await self._quiet.wait_for(lambda: not self._readings.settling())
        except TimeoutError:
            log.info("notebooks.unsettled", notebooks=sorted(self._readings.settling())[:10])

    async def rescan_sidecars(self) -> None:
        """Read the sidecar folder now."""
        await self._listener.sidecars_read(await self._call(scan_sidecars, self._workspace.runs_dir))

    async def _heed(self, changes: Changes) -> None:
        if changes.project:
            self._listener.project_changed()
        if changes.rules:
            self._rules = self._load_rules()
            await self._call(self._watcher.restart)
            await self._scan()
            return
        if changes.scan_required:
            log.warning("scan.required", root=str(self._root))
            await asyncio.sleep(SCAN_PAUSE_S)
            await self._scan()
            return
        if changes.sidecars:
            await self.rescan_sidecars()
        for folder in changes.folders:
            await self._scan_folder(folder)
        for path in changes.notebooks:
            if not is_ignored(self._rules, path):
                self._list(path, delay_s=self._settings.debounce_s)

    async def _scan(self) -> None:
        self._rules = self._load_rules()
        await self.rescan_sidecars()
        await self._scan_folder("")

    async def _scan_folder(self, folder: str) -> None:
        if folder and is_ignored(self._rules, folder):
            return
        known = await self._listener.notebook_signatures()
        for path in await self._call(changed_notebooks, self._root, self._rules, known, folder):
            self._list(path, delay_s=self._settings.debounce_s if folder else 0.0)

    def _list(self, path: str, *, delay_s: float) -> None:
        self._readings.add(path, self._now() + delay_s)
        self._listed.set()

    async def _until_due(self) -> None:
        due_at = self._readings.next_due_at()
        try:
            async with asyncio.timeout_at(due_at):
                await self._listed.wait()
        except TimeoutError:
            return

    async def _read_one(self, path: str) -> None:
        started_at = self._now()
        try:
            sight = await self._call(partial(self._read_whole, path, patient=path in self._readings.settling()))
            await self._listener.notebook_read(sight)
        except FileNotFoundError:
            self._readings.done(path, started_at)
            self._listener.notebook_gone(path)
        except (NotebookError, OSError) as error:
            failing_s = self._readings.failed(path, self._now())
            if failing_s >= self._settings.unreadable_after_s:
                self._listener.notebook_unreadable(path, str(error))
        except Exception:
            self._readings.failed(path, self._now())
            raise
        else:
            self._readings.done(path, started_at)

    def _read_whole(self, path: str, *, patient: bool) -> NotebookSight:
        """On the executor. Jupyter's sign of writing is heeded only for a while: after a crash it stays for ever.

        A symbolic link is nothing of its own: the notebook that it leads to is noticed where that is.
        """
        if (self._root / path).is_symlink():
            raise FileNotFoundError(path)
        if patient and being_written(self._root, path):
            raise NotebookError(f"{path} is being written")
        return read_notebook(self._root, path, dot_id=self._workspace.dot_id)

    def _load_rules(self) -> IgnoreRules:
        try:
            return load_ignore(self._root)
        except ConfigError as error:
            log.error("ignore.unusable", file=IGNORE_FILE, error=str(error))  # noqa: TRY400 - the message says it all
            return IgnoreRules()

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
