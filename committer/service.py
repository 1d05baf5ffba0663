"""The committer of one workspace: a long-lived process that turns what it notices into commits and pushes them.

One event loop decides; everything that blocks has a thread of its own: the store (snapshots and commits), the journal,
reading files, pushing. Whatever a kill -9 interrupts is taken up at the next start: sidecars and notebooks are still
there, the journal knows what is pending, and a push can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from committer import entries, tenure
from committer.books import Books
from committer.captured_files import remove_abandoned, remove_captures
from committer.commits import CommitMaker, Plan, Taken
from committer.detect.detector import Detector
from committer.detect.notebooks import is_notebook
from committer.detect.sidecars import (
    ENVIRONMENT_SUFFIX,
    SidecarFile,
    SidecarScan,
    environment_path,
    read_brackets,
    remove_ended,
    remove_read,
)
from committer.detect.sighting import NotebookSight
from committer.events import EventFeed
from committer.identity import CopiedWorkspace, bind_journal, set_aside_other_dot, settle_identity, store_folder
from committer.log import get_logger
from committer.notice import Noticed, notice, notice_notebook
from committer.reading_status import describe
from committer.room import Dropped, droppable, make_room
from committer.running import RunningRun, running_runs
from committer.sending import Sender
from committer.settings import CommitterSettings
from committer.status import (
    Facts,
    HubStatus,
    Problem,
    Status,
    internal_problem,
    lost_problem,
    problem_of,
    refused_problem,
)
from committer.storage.ignore import IgnoreRules, load_ignore
from committer.storage.store import ObjectStore
from committer.sync.journal import Counts, Journal, RunOutline
from committer.sync.transfer import Target
from committer.work import CommitLoop
from committer.workspace.choose import choose_reading
from committer.workspace.watch import DirtySet
from dotscience.capture_manifest import CapturedFile
from dotscience.client import credentials
from dotscience.errors import ConfigError, DotscienceError
from dotscience.held_folder import place_of
from dotscience.version import __version__
from dotscience.workspace import HubBinding, Workspace, is_root, read_project

log = get_logger(__name__)

ROOT_CHECK_S = 2.0
REFUSED, LOST = "refused", "lost"
STOP_PUSH_S = 3.0
RESTART_LOOP_S = 1.0
SERVE_AFTER_S = 1.0
MENDED_AFTER_S = 15.0
"""A loop that has run for so long is well again; longer than any of them waits before it repeats what failed."""

T = TypeVar("T")


class Outcome(Struct, frozen=True, kw_only=True):
    """Why a committer ended: `root` is where to go on, or None; a push that was cut off can be repeated."""

    root: Path | None = None
    push_cut_off: bool = False


class Committer:
    """Everything that runs for one workspace, from `run` to its return. Belongs to the event loop."""

    def __init__(self, workspace: Workspace, settings: CommitterSettings, *, lasts: bool = True) -> None:
        """`lasts` is false for one that ends when it has saved the workspace."""
        self.feed = EventFeed()
        self._lasts = lasts
        self._workspace = workspace
        self._settings = settings
        self._store_folder = store_folder(workspace, settings.state_dir)
        self._facts = Facts(
            root=str(workspace.root),
            dot_id=workspace.dot_id,
            version=__version__,
            hub=_hub_status(workspace.hub),
        )
        self._books = Books()
        self._stale = asyncio.Event()
        self._storage = ThreadPoolExecutor(1, "storage")
        self._reading = ThreadPoolExecutor(1, "reading")
        self._dirty = DirtySet()
        self._detector = Detector(workspace, settings, self, self._reading, self._dirty)
        self._commits = CommitLoop(
            workspace.dot_id, settings, self._books, self._facts, self, lambda: self._tracked_since
        )
        self._tracked_since = workspace.initialised_at
        self._stopping = asyncio.Event()
        self._all_pushed = asyncio.Event()
        self._published: Status | None = None
        self._pushed_number: int | None = None
        self._continue_at: Path | None = None

    # Life

    async def run(self) -> Outcome:
        """Be the workspace's committer until stopped; returns where to go on when the folder or its dot changed.

        Raises:
            WorkspaceError: it has one already, or cannot be written.
            SnapshotError: the store cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._sender = Sender(
            self._store_folder,
            self._workspace.runs_dir,
            self._settings,
            self._facts,
            target=self._target,
            refresh=self._refresh,
            changed=self._stale.set,
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(tenure.hold_root(self._workspace.root))
            root = os.open(self._workspace.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, root)
            await self._open(stack)
            if self._lasts:
                self._serve(stack)
            await self._live(root, stack)
        return Outcome(root=self._continue_at, push_cut_off=not self._sender.is_idle)

    def stop(self) -> None:
        """Finish the commit in hand and end."""
        self._stopping.set()

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        stack.callback(self._reading.shutdown)
        stack.callback(self._storage.shutdown)
        self._maker = await self._on_storage(self._open_store, stack)
        stack.push_async_callback(self._books.close)
        await self._books.open(self._store_folder)
        try:
            self._tracked_since = await self._books.use(lambda journal: settle_identity(journal, self._workspace))
        except CopiedWorkspace as error:
            self._commits.refusal = error
            self._facts.problems["copy"] = Problem(
                type="copied-workspace", detail=str(error), hint="Run `ds init --new-dot-id` in this folder."
            )
        await self._books.use(lambda journal: bind_journal(journal, self._workspace))

    def _open_store(self, stack: contextlib.AsyncExitStack) -> CommitMaker:
        """What is opened here is closed by the stack, on the storage thread, too."""
        set_aside_other_dot(self._workspace, self._store_folder)
        store = ObjectStore(self._store_folder, min_free_bytes=self._settings.min_free_bytes)
        stack.push_async_callback(self._on_storage, store.close)
        self._store = store
        reading = choose_reading(
            self._workspace,
            wanted=self._settings.change_source,
            dirty=self._dirty,
            min_free_bytes=self._settings.min_free_bytes,
        )
        stack.push_async_callback(self._on_storage, reading.close)
        log.info("reading.chosen", name=reading.name, consistency=reading.consistency)
        self._facts.reading = describe(reading)
        self._sender.use(reading)
        return CommitMaker(self._workspace, store, self._load_rules, reading)

    def _load_rules(self) -> IgnoreRules:
        return load_ignore(self._workspace.root, protected=[credentials.config_folder(), self._store_folder.parent])

    def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        from committer import api  # the web server is a quarter of what a short `ds snapshot` would cost

        path = tenure.socket_path(self._workspace.root)
        server = api.serve(self, path)
        stack.callback(path.unlink, missing_ok=True)
        stack.push_async_callback(server.close_all_connections)
        stack.callback(server.stop)
        stack.callback(self.feed.close)
        stack.enter_context(tenure.announce(self._workspace.root, path, lasts=self._lasts))
        log.info("committer.started", root=str(self._workspace.root), socket=str(path))

    async def _serve_if_it_takes_long(self, stack: contextlib.AsyncExitStack) -> None:
        """Let others see, and use, a committer that only saves the workspace, where that is not done at once."""
        if not self._lasts:
            await asyncio.sleep(SERVE_AFTER_S)
            self._serve(stack)

    async def _live(self, root: int, stack: contextlib.AsyncExitStack) -> None:
        async with asyncio.TaskGroup() as group:
            watching = [
                group.create_task(self._keep(name, loop))
                for name, loop in (("refresh", self._refreshing), ("root", lambda: self._watch_root(root)))
            ]
            serving = self._keep("api", lambda: self._serve_if_it_takes_long(stack), ends=True)
            watching.append(group.create_task(serving))
            try:
                await self._detector.start()
                await self._remove_abandoned_captures()
                self._facts.started = True
                self._facts.polling = self._detector.polling
                self._stale.set()
                commits = group.create_task(self._keep("commits", self._commits.run, ends=True))
                for name, loop in (
                    ("watch", self._detector.watch),
                    ("read", self._detector.read),
                    ("push", self._sender.push.run),
                    ("datasets", self._sender.datasets.run),
                    ("live", self._sender.live.run),
                    ("room", self._keeping_room),
                ):
                    watching.append(group.create_task(self._keep(name, loop)))
                await self._stopping.wait()
                self._commits.stop()
                await commits
            finally:
                for task in watching:
                    task.cancel()
                await self._detector.stop()
                await self._on_reading(self._sender.end, STOP_PUSH_S)
                log.info("committer.stopped", root=str(self._workspace.root))

    async def _remove_abandoned_captures(self) -> None:
        """What publishes left behind that were killed before their sidecar was there."""
        pending = await self._books.use(lambda journal: {run.run_id for run in journal.pending_runs()})
        await self._on_reading(remove_abandoned, self._workspace.root, pending)

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]], *, ends: bool = False) -> None:
        """Run one of the loops; what goes wrong in it is logged and shown, and must not stop the others."""
        while True:
            mended = self._loop.call_later(MENDED_AFTER_S, self._forget_problem, name)
            try:
                await loop()
            except DotscienceError as error:
                log.error("loop.failed", loop=name, error=str(error))  # noqa: TRY400 - the message says it all
                await self._pause_after(name, problem_of(error))
            except Exception as error:
                log.exception("loop.failed", loop=name)
                await self._pause_after(name, internal_problem(error))
            else:
                if ends or self._stopping.is_set():
                    return
            finally:
                mended.cancel()

    async def _pause_after(self, name: str, problem: Problem) -> None:
        self._facts.problems[name] = problem
        self._stale.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESTART_LOOP_S):
                await self._stopping.wait()

    def _forget_problem(self, name: str) -> None:
        if self._facts.problems.pop(name, None) is not None:
            self._stale.set()

    async def _watch_root(self, root: int) -> None:
        """Notice that the folder was moved away under us, and go on where it is now."""
        while not self._stopping.is_set():
            await asyncio.sleep(ROOT_CHECK_S)
            place = place_of(root, str(self._workspace.root))
            if place != str(self._workspace.root):
                log.warning("root.moved", was=str(self._workspace.root), now=place)
                self._continue_at = Path(place) if place is not None and is_root(Path(place)) else None
                self.stop()

    # What detection tells

    async def sidecars_read(self, scan: SidecarScan) -> None:
        """Enter the runs, remove the files of those that are committed, mind the brackets."""
        self._sender.live.wake()
        sightings = [seen for _, seen in scan.runs]

        def enter(journal: Journal) -> tuple[list[Noticed], list[SidecarFile], set[str], set[str]]:
            with journal.transaction():
                noticed = notice(journal, sightings, tracked_since=self._tracked_since)
            outlines = journal.outlines(seen.record.run_id for seen in sightings)
            committed = {run.run_id for run in outlines if run.state in ("committed", "pushed")}
            done = [file for file, seen in scan.runs if seen.record.run_id in committed]
            return noticed, done, committed, set(journal.environment_hashes())

        noticed, done, committed, stored = await self._books.use(enter)
        await self._on_reading(_remove_committed, self._workspace, done, committed, stored)
        self._show_broken(scan.broken)
        for notebook in scan.brackets.ended.values():
            self._detector.nudge(notebook)
            self._commits.close_at_once(notebook)
        await self.noticed(noticed)

    async def notebook_read(self, sight: NotebookSight) -> None:
        """Enter the notebook's state and the runs in it."""
        self._facts.problems.pop(f"notebook:{sight.path}", None)
        noticed = await self._books.use(
            lambda journal: notice_notebook(
                journal, sight, tracked_since=self._tracked_since, derived_runs=self._settings.derived_runs
            )
        )
        await self.noticed(noticed)

    async def notebook_signatures(self) -> dict[str, str]:
        """The state in which each notebook was last entered."""
        return await self._books.use(lambda journal: journal.signatures())

    def notebook_unreadable(self, path: str, reason: str) -> None:
        """Show that a notebook cannot be read; what was read of it before stays."""
        self._facts.problems[f"notebook:{path}"] = Problem(
            type="notebook-unreadable",
            detail=f"The notebook cannot be read: {reason}",
            hint="Open it and save it again, or restore it; runs from it are noticed as soon as it can be read.",
            notebook=path,
        )
        self._stale.set()

    def notebook_gone(self, path: str) -> None:
        """Forget what was wrong with a notebook that is gone."""
        self._forget_problem(f"notebook:{path}")

    def project_changed(self) -> None:
        """Follow a new hub; start afresh for a new dot; end where the folder is not tracked any more."""
        root = self._workspace.root
        try:
            workspace = read_project(root)
        except ConfigError as error:
            log.warning("project.unusable", error=str(error))
            if not is_root(root):
                self.stop()
            return
        if workspace.dot_id != self._workspace.dot_id:
            self._continue_at = root
            self.stop()
        elif workspace.hub != self._workspace.hub:
            log.info("hub.bound", url=workspace.hub.url if workspace.hub else None)
            self._workspace = workspace
            self._facts.hub = _hub_status(workspace.hub)
            self._sender.rebound()
            self._stale.set()

    # What the commit loop needs

    async def gather(self, settle_s: float) -> None:
        """Notice what was published so far, and let notebooks that are being written become whole."""
        await self._detector.rescan_sidecars()
        await self._detector.settled(settle_s)

    async def missing_environments(self, wanted: set[str]) -> set[str]:
        """Those of the environments whose files are not there yet; not a forged name, which no file can have."""
        paths = {name: environment_path(self._workspace.runs_dir, name) for name in wanted}
        return await self._on_reading(lambda: {name for name, path in paths.items() if path and not path.is_file()})

    async def take(self, plan: Plan) -> Taken:
        """Take a commit on the store's thread."""
        return await self._on_storage(self._maker.take, plan)

    async def capture(self, paths: list[str]) -> list[CapturedFile]:
        """Store files for a publish that waits; see `CommitMaker.capture`."""
        return await self._on_storage(self._maker.capture, paths)

    async def committed(self, taken: Taken) -> None:
        """Remove the sidecars and captures, tell, and push."""
        await self._detector.rescan_sidecars()
        await self._on_reading(remove_captures, self._workspace.root, taken.runs)
        await self._tell_runs(taken.runs, "updated")
        self._sender.push.wake()
        self._stale.set()

    async def noticed(self, noticed: list[Noticed]) -> None:
        """Tell about runs, and see whether a commit is due."""
        for one in noticed:
            log.info("run.noticed", run_id=one.run_id, action=one.action)
        for action in ("detected", "updated"):
            await self._tell_runs([one.run_id for one in noticed if one.action == action], action)
        if noticed:
            self._stale.set()
        self._commits.reconsider()

    async def executing(self) -> frozenset[str]:
        """The notebooks of living brackets."""
        return (await self._on_reading(read_brackets, self._workspace.runs_dir)).executing

    async def closed(self, notebooks: Collection[str]) -> None:
        """Acknowledge the end of the notebooks' executions."""
        await self._on_reading(remove_ended, self._workspace.runs_dir, notebooks)

    def is_listed(self, notebook: str) -> bool:
        """Whether a notebook has changes that were not read yet."""
        return self._detector.is_listed(notebook)

    def changed(self) -> None:
        """Publish the status soon."""
        self._stale.set()

    # What the API asks

    def status(self) -> Status:
        """The state at this moment."""
        return self._facts.status()

    def _running(self, journal: Journal) -> list[RunningRun]:
        """The runs that are going on and that the journal has not got yet."""
        found = running_runs(self._workspace.runs_dir)
        known = {run.run_id for run in journal.outlines(run.run_id for run in found)}
        return [run for run in found if run.run_id not in known]

    async def runs(self, *, notebook: str | None, limit: int, before: int | None) -> entries.RunPage:
        """A page of runs, newest first. A notebook that is a link stands for the one that it leads to."""
        notebook = None if notebook is None else await self._on_reading(_followed, self._workspace.root, notebook)

        def read(journal: Journal) -> entries.RunPage:
            rows, refused = journal.page(notebook=notebook, limit=limit, before=before), journal.refused()
            return entries.RunPage(
                runs=[entries.entry(row, self._workspace.hub, refused.get(row.run_id)) for row in rows],
                next_before=rows[-1].seq if len(rows) == limit else None,
                total=journal.total(notebook),
                running=self._running(journal) if notebook is None and before is None else [],
            )

        return await self._books.use(read)

    async def run_with_environment(self, run_id: str) -> entries.RunDetail | None:
        """One run, or None where it is not known."""
        row = await self._books.use(lambda journal: journal.run(run_id))
        if row is None:
            return None
        named = row.record.environment
        known = await self._books.use(lambda journal: journal.environment_hash(named) if named else None)
        refused = await self._books.use(lambda journal: journal.refused().get(run_id))
        return await self._on_reading(entries.detail, row, self._workspace, self._store_folder, known, refused)

    async def save(self, description: str) -> Taken:
        """Take a commit now, and have it pushed; the status knows of it when this returns."""
        taken = await self._commits.save(description)
        await self._refresh()
        return taken

    async def pushed(self, timeout_s: float, sending: Callable[[int, int], None]) -> bool:
        """Wait until everything is pushed, or cannot be for now; at most `timeout_s`. Whether it is.

        Meanwhile `sending` is told how many bytes of how many are sent.
        """
        if self._workspace.hub is None:
            return False
        with contextlib.suppress(TimeoutError), self.feed.subscribe() as events:
            async with asyncio.timeout(timeout_s):
                while self._facts.unpushed or self._published is None:
                    if self.status().state in ("unreachable", "error"):
                        break
                    await events.next(timeout_s)
                    sending(*self._facts.sent)
        return self._facts.unpushed == 0

    async def make_room(self, *, keep: int | None = None, dry_run: bool = False) -> Dropped:
        """Drop contents that the hub has until the store is no larger than `keep` bytes (default: as set).

        Nothing is dropped while a commit waits to be pushed, and nothing of the newest commit.

        Raises:
            DiskFull: there is not even room for what is kept.
        """
        limit = self._settings.local_store_max if keep is None else keep
        is_bound = self._workspace.hub is not None
        may_go = await self._books.use(lambda journal: droppable(journal, is_bound=is_bound))
        return await self._on_storage(partial(make_room, self._store, may_go, keep=limit, dry_run=dry_run))

    async def _keeping_room(self) -> None:
        while True:
            await self._all_pushed.wait()
            self._all_pushed.clear()
            await self.make_room()

    async def import_runs(self, run_ids: list[str]) -> int:
        """Take earlier runs over; returns how many were."""

        def take_over(journal: Journal) -> list[str]:
            with journal.transaction():
                return journal.take_over(run_ids)

        taken = await self._books.use(take_over)
        await self.noticed([Noticed(run_id, "updated") for run_id in taken])
        return len(taken)

    def nudge(self, path: str) -> None:
        """Look at a notebook now; a path outside of the workspace is nobody's business here."""
        relative = _relative(self._workspace.root, path)
        if relative is not None and is_notebook(relative):
            self._detector.nudge(_followed(self._workspace.root, relative))

    def push_now(self) -> None:
        """Try to reach the hub now."""
        self._sender.push.wake(at_once=True)
        self._sender.live.wake(at_once=True)

    # Telling

    def _target(self) -> Target | None:
        """Where to push; nowhere without a hub, or where the folder is a copy."""
        hub = self._workspace.hub
        if hub is None or self._commits.refusal is not None:
            return None
        return Target(
            url=hub.url,
            project_id=hub.project_id,
            token=credentials.load(hub.url, hub.project_id),
            dot_id=self._workspace.dot_id,
            host=socket.gethostname(),
            root=self._workspace.root,
        )

    async def _refreshing(self) -> None:
        while True:
            await self._stale.wait()
            await self._refresh()

    async def _refresh(self) -> None:
        """Bring the facts up to date with the journal, and tell what changed."""
        self._stale.clear()
        known, pushed_before = self._facts, self._pushed_number
        read = await self._books.use(lambda journal: _read_facts(journal, pushed_before))
        self._pushed_number = read.pushed_number
        known.set_counts(read.counts)
        known.head, known.head_at, known.consistency = read.head, read.head_at, read.consistency
        for about, problem in ((REFUSED, refused_problem(read.refused)), (LOST, lost_problem(read.lost))):
            known.problems.pop(about, None)
            if problem is not None:
                known.problems[about] = problem
        if known.hub is not None and known.unpushed == 0:
            self._all_pushed.set()
        self._tell(read.pushed_runs, "updated")
        status = self.status()
        if status != self._published:
            self._published = status
            self.feed.publish({"type": "status", "status": status})

    async def _tell_runs(self, run_ids: list[str], action: str) -> None:
        if run_ids:
            self._tell(await self._books.use(lambda journal: journal.outlines(run_ids)), action)

    def _tell(self, runs: list[RunOutline], action: str) -> None:
        for run_id, notebook, state in runs:
            event = {"type": "run", "action": action, "run_id": run_id, "notebook": notebook, "state": state}
            self.feed.publish(event)

    def _show_broken(self, broken: list[str]) -> None:
        if broken:
            self._facts.problems["sidecar"] = Problem(
                type="sidecar-unreadable",
                detail=f"{len(broken)} files of published runs cannot be read; the first: {broken[0]}",
                hint=f"Look into {self._workspace.runs_dir}; the files stay there until they are repaired or removed.",
            )
            self._stale.set()
        else:
            self._forget_problem("sidecar")

    # Threads

    async def _on_storage(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._storage, function, *arguments)

    async def _on_reading(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._reading, function, *arguments)


class _JournalFacts(Struct, frozen=True, kw_only=True):
    """What the journal adds to the facts; `pushed_runs` are those that the hub got since the last time."""

    counts: Counts
    head: str | None
    head_at: datetime | None
    consistency: str | None
    pushed_number: int
    pushed_runs: list[RunOutline]
    refused: dict[str, str]
    lost: dict[str, str]


def _read_facts(journal: Journal, pushed_before: int | None) -> _JournalFacts:
    with journal.reading():
        head, pushed = journal.head(), journal.newest_pushed()
        return _JournalFacts(
            counts=journal.counts(),
            head=head.id if head else None,
            head_at=journal.head_at(),
            consistency=journal.get("consistency"),
            pushed_number=pushed,
            pushed_runs=[] if pushed_before is None else journal.runs_pushed_between(pushed_before, pushed),
            refused=journal.refused(),
            lost=journal.lost(),
        )


def _hub_status(hub: HubBinding | None) -> HubStatus | None:
    return HubStatus(url=hub.url, project_id=hub.project_id, project_name=hub.project_name) if hub else None


def _remove_committed(
    workspace: Workspace, done: list[SidecarFile], committed: Collection[str], stored_environments: set[str]
) -> None:
    """Remove what is in a commit by now. A file that appears later with the same name is looked at again.

    Sidecars go first: a capture is only looked for where there is one.
    """
    remove_read(done)
    remove_captures(workspace.root, committed)
    for path in workspace.runs_dir.glob(f"*{ENVIRONMENT_SUFFIX}"):
        if path.name.removesuffix(ENVIRONMENT_SUFFIX) in stored_environments:
            path.unlink(missing_ok=True)


def _relative(root: Path, path: str) -> str | None:
    """A path from outside as one relative to the root, or None where it leads out of it."""
    if "\0" in path:
        return None
    absolute = os.path.normpath(root / path)
    real_root = os.path.realpath(root)
    for base in (str(root), real_root):
        if absolute.startswith(base + os.sep):
            return absolute[len(base) + 1 :]
    return None


def _followed(root: Path, notebook: str) -> str:
    """The notebook that a path leads to by symbolic links, relative to the root; the same path if that is outside."""
    if "\0" in notebook:
        return notebook
    followed = _relative(root, os.path.realpath(root / notebook))
    return notebook if followed is None else followed
