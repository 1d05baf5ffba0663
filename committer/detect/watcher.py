"""Watching a workspace: from file system events to a bounded set of changed paths on the event loop.

The set is a hint about where to look, never about what is there: whoever takes a change reads the file's present state.
When events were lost the set says *scan required* instead. Which events count is measured, not guessed: Jupyter ends a
save with `closed`, editors with `moved`, a file moved in from elsewhere is only `created`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct, field
from watchdog.events import (
    DirAttribEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from committer.detect.inotify import EXHAUSTED, ReportingObserver, Reports
from committer.detect.notebooks import is_notebook
from committer.log import get_logger
from committer.storage.ignore import IGNORE_FILE
from committer.workspace.watch import DirtySet
from dotscience.workspace import PROJECT_FILE, RUNS_DIR, STATE_DIR

log = get_logger(__name__)

MAX_PATHS = 10_000
INOTIFY_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
SNAPSHOT_EVENTS: list[type[FileSystemEvent]] = [FileModifiedEvent, FileAttribEvent, DirAttribEvent, DirDeletedEvent]
"""What only snapshots have to know of: a file that stays open while it is written to, modes, what is gone."""

RUNS_PREFIX = f"{STATE_DIR}/{RUNS_DIR}"
PROJECT_PATH = f"{STATE_DIR}/{PROJECT_FILE}"


class Changes(Struct, kw_only=True):
    """What changed since the last time, relative to the root; with `scan_required` the paths are not all."""

    notebooks: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    sidecars: bool = False
    project: bool = False
    rules: bool = False
    scan_required: bool = False

    def __bool__(self) -> bool:
        found = self.notebooks or self.folders or self.sidecars or self.project or self.rules or self.scan_required
        return bool(found)

    def add(self, paths: Iterable[str], *, is_folder: bool) -> None:
        """Note changed paths; beyond `MAX_PATHS` a scan is cheaper than to remember them."""
        for path in paths:
            self._add(path, is_folder=is_folder)
        if len(self.notebooks) + len(self.folders) > MAX_PATHS:
            self.notebooks.clear()
            self.folders.clear()
            self.scan_required = True

    def _add(self, path: str, *, is_folder: bool) -> None:
        if path == PROJECT_PATH:
            self.project = True
        elif path == IGNORE_FILE:
            self.rules = True
        elif path == RUNS_PREFIX or path.startswith(RUNS_PREFIX + "/"):
            self.sidecars = True
        elif path == STATE_DIR or path.startswith(STATE_DIR + "/"):
            return
        elif is_folder:
            self.folders.add(path)
        elif is_notebook(path):
            self.notebooks.add(path)


class Watcher:
    """Watches `root` from `start` to `stop`. `changes` belongs to the event loop that was running at `start`.

    Attributes:
        polling: Whether inotify's limits made it poll, which is slower and costs more.
    """

    def __init__(
        self,
        root: Path,
        *,
        skip: Callable[[str], bool],
        poll: bool = False,
        poll_interval_s: float = 2.0,
        dirty: DirtySet | None = None,
    ) -> None:
        """Prepare to watch; `skip` tells for a folder's path, relative to `root`, whether it is ignored.

        `dirty` is told of everything that inotify reports, and when that is not everything.
        """
        self.root = root
        self.polling = poll
        self._dirty = dirty or DirtySet()
        self._skip = skip
        self._poll_interval_s = poll_interval_s
        self._prefix = f"{root}{os.sep}"
        self._lock = threading.Lock()
        self._changes = Changes()
        self._observer: BaseObserver | None = None
        self._exhausted = False

    def start(self) -> None:
        """Begin to watch; blocks while watches are added (about a second for 16,000 folders), so use an executor.

        Raises:
            OSError: the root itself cannot be watched.
        """
        if not self.polling:
            self._start_inotify()
        if self.polling:
            self._observer = self._started(PollingObserver(timeout=self._poll_interval_s), None)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop awaits `changes`; call before `start`."""
        self._loop = loop
        self._ready = asyncio.Event()

    def stop(self) -> None:
        """End watching and wait for the threads; idempotent."""
        self._dirty.watch_ended()
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()

    def restart(self) -> None:
        """Watch anew, by the rules that are in force now; what happens meanwhile is found by scanning only.

        Blocks as `start` does, and raises what it does.
        """
        self.stop()
        self._exhausted = False
        self.start()

    async def changes(self) -> Changes:
        """Wait until something changed, and take it."""
        await self._ready.wait()
        self._ready.clear()
        with self._lock:
            taken, self._changes = self._changes, Changes()
        return taken

    def require_scan(self) -> None:
        """Report that events may have been lost; from any thread."""
        self._report(lambda changes: setattr(changes, "scan_required", True))

    def _start_inotify(self) -> None:
        reports = Reports(
            skip=self._skips,
            overflowed=self._note_overflow,
            exhausted=self._note_exhausted,
            unwatchable=self._note_unwatchable,
        )
        kinds = INOTIFY_EVENTS + SNAPSHOT_EVENTS
        try:
            observer: BaseObserver | None = self._started(ReportingObserver(reports), kinds)
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._exhausted, observer = True, None
        if self._exhausted:
            log.warning("watch.exhausted", root=str(self.root), instead="polling")
            self.polling = True
            if observer is not None:
                observer.stop()
                observer.join()
            return
        self._observer = observer
        self._dirty.watch_began()

    def _started(self, observer: BaseObserver, kinds: list[type[FileSystemEvent]] | None) -> BaseObserver:
        observer.schedule(_Handler(self._on_event), str(self.root), recursive=True, event_filter=kinds)
        observer.start()
        return observer

    def _note_exhausted(self) -> None:
        """Watches ran out: at the start `start` polls instead; later, new folders are only found by scanning."""
        self._dirty.watch_ended()
        if self._observer is None:
            self._exhausted = True
        else:
            self.require_scan()

    def _note_overflow(self) -> None:
        """Events were lost; watchdog has watched all folders anew."""
        self._dirty.missed()
        self.require_scan()

    def _note_unwatchable(self, folder: str) -> None:
        """Whoever may not read a folder may not watch it, and nobody tells when it is made readable later."""
        path = self._relative(folder)
        if path is not None:
            self._dirty.cannot_see(path)

    def _skips(self, folder: str) -> bool:
        path = self._relative(folder)
        if path is None:
            return True
        if path in (STATE_DIR, RUNS_PREFIX):
            return False
        return path.startswith(STATE_DIR + "/") or self._skip(path)

    def _on_event(self, event: FileSystemEvent) -> None:
        names = (event.src_path, event.dest_path)
        paths = [path for name in names if name and (path := self._relative(os.fsdecode(name))) is not None]
        if not self.polling:
            self._note_dirty(event, paths)
        if paths and (self.polling or type(event) in INOTIFY_EVENTS):
            self._report(lambda changes: changes.add(paths, is_folder=event.is_directory))

    def _note_dirty(self, event: FileSystemEvent, paths: list[str]) -> None:
        is_new_folder = isinstance(event, DirCreatedEvent | DirMovedEvent)
        for path in paths:
            self._dirty.note(path, is_new_folder=is_new_folder)
        if isinstance(event, DirMovedEvent):
            match paths:
                case [source, target]:
                    self._dirty.moved(source, target)

    def _relative(self, path: str) -> str | None:
        return path.removeprefix(self._prefix) if path.startswith(self._prefix) else None

    def _report(self, note: Callable[[Changes], object]) -> None:
        """Coalesce under the lock, and wake the loop only when there was nothing to do before."""
        with self._lock:
            idle = not self._changes
            note(self._changes)
            wake = idle and bool(self._changes)
        if wake:
            try:
                self._loop.call_soon_threadsafe(self._ready.set)
            except RuntimeError:  # the loop is closed: nobody is left to tell
                return


class _Handler(FileSystemEventHandler):
    """Hands on what was asked for, and of what polling reports the events that can mean new content."""

    def __init__(self, report: Callable[[FileSystemEvent], None]) -> None:
        self._report = report

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called for every event."""
        if not isinstance(event, DirModifiedEvent):
            self._report(event)
