"""The watch change source: the directories in which a watcher of the workspace has seen something change.

A watcher reports late, in the order in which things happened (inotify(7), for one instance). So before a snapshot asks,
a file of an unpredictable name is made in `.dotscience` and taken away again: when that is reported, so is everything
before it. What a watcher cannot see (stores through mappings and through names of a file elsewhere) the snapshot looks
at itself; what it may have missed makes everything be looked at.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from committer.log import get_logger
from committer.storage.ignore import IGNORE_FILE
from committer.workspace.source import Dirty
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from pathlib import Path

log = get_logger(__name__)

MAX_DIRECTORIES = 200_000
"""Beyond, looking at everything costs less than remembering where to look."""

PATIENCE_S = 5.0
"""How long the watcher may lag behind; watchdog waits half a second for the other half of a move."""

_COOKIE = f"{STATE_DIR}/.watch-"


class DirtySet:
    """What a watcher has seen change, in spans that `begin_span` separates. Safe to use from any thread.

    Nothing is known before `watch_began`, and of the spans before the watcher missed something.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session = ""
        self._spans: list[tuple[set[bytes], set[bytes]]] = []
        self._first = 0
        self._unseen: set[bytes] = set()
        self._cookies: dict[str, threading.Event] = {}

    def watch_began(self) -> None:
        """Everything that happens from now on is noted."""
        with self._lock:
            self._session, self._first, self._spans = uuid4().hex, 0, [(set(), set())]

    def watch_ended(self) -> None:
        """Nothing is noted any more."""
        with self._lock:
            self._session, self._spans = "", []
            self._unseen.clear()
            self._release()

    def missed(self) -> None:
        """The watcher lost something, and from now on sees everything again."""
        with self._lock:
            self._first += len(self._spans)
            self._spans = [(set(), set())]
            self._release()

    def cannot_see(self, folder: str) -> None:
        """What happens in this folder and below it is not reported, before and after `watch_began`."""
        with self._lock:
            self._unseen.add(os.fsencode(folder))

    def moved(self, source: str, target: str) -> None:
        """A folder has another path now, and so has what cannot be seen in it: no watch is added anew for that."""
        old, new = os.fsencode(source), os.fsencode(target)
        with self._lock:
            found = [one for one in self._unseen if one == old or one.startswith(old + b"/")]
            self._unseen.update(new + one.removeprefix(old) for one in found)

    @property
    def is_watching(self) -> bool:
        """Whether changes are noted."""
        return bool(self._session)

    def note(self, path: str, *, is_new_folder: bool = False) -> None:
        """Something changed at a path relative to the workspace's root; a new folder may hold more than is reported."""
        cookie = self._cookies.get(path)
        if cookie is not None:
            cookie.set()
        if path == STATE_DIR or path.startswith(f"{STATE_DIR}/"):
            return
        if path == IGNORE_FILE:
            self.watch_ended()  # folders that were left out until now are not watched
        name = os.fsencode(path)
        with self._lock:
            if not self._spans:
                return
            directories, subtrees = self._spans[-1]
            directories.add(name.rpartition(b"/")[0])
            if is_new_folder:
                subtrees.add(name)
            too_many = len(directories) + len(subtrees) > MAX_DIRECTORIES
        if too_many:
            log.info("watch.too_many_directories", most=MAX_DIRECTORIES)
            self.missed()

    def begin_span(self) -> str:
        """A cursor for this moment: `since` tells what is noted after it."""
        with self._lock:
            self._spans.append((set(), set()))
            return f"{self._session}:{self._first + len(self._spans) - 1}"

    def since(self, cursor: str) -> Dirty | None:
        """What was noted after `begin_span` gave `cursor`, and what cannot be seen; None where that is not known.

        What lies before is forgotten: nobody will ask again with an earlier cursor.
        """
        session, _, number = cursor.partition(":")
        with self._lock:
            if not session or session != self._session or int(number) < self._first:
                return None
            self._spans = self._spans[int(number) - self._first :]
            self._first = int(number)
            directories = frozenset().union(*(one for one, _ in self._spans))
            subtrees = frozenset(self._unseen).union(*(one for _, one in self._spans))
        return Dirty(directories, sees_mappings=False, subtrees=subtrees)

    def await_report(self, cookie: str) -> threading.Event:
        """An event that is set when the path `cookie` is reported, or may never be: earlier cursors are not known then.

        A full queue (inotify(7)) has no room for the cookie, either.
        """
        with self._lock:
            return self._cookies.setdefault(cookie, threading.Event())

    def forget(self, cookie: str) -> None:
        """Nobody waits for this path any more."""
        with self._lock:
            self._cookies.pop(cookie, None)

    def _release(self) -> None:
        for reported in self._cookies.values():
            reported.set()


class WatchSource:
    """A `ChangeSource` that asks a `DirtySet`, once the watcher is known to have caught up."""

    name = "watch"

    def __init__(self, root: Path, dirty: DirtySet) -> None:
        self._root = root
        self._dirty = dirty

    def mark(self) -> str:
        """A cursor that is good as long as the same watcher goes on without a gap."""
        if not self._catch_up():
            self._dirty.missed()
        return self._dirty.begin_span()

    def changed_since(self, cursor: str) -> Dirty | None:
        """What the watcher has seen, up to the last `mark` and beyond."""
        return self._dirty.since(cursor)

    def _catch_up(self) -> bool:
        """Wait until the watcher has reported what happened up to now, or lost it; false where neither is known."""
        if not self._dirty.is_watching:
            return False
        cookie = f"{_COOKIE}{uuid4().hex}"
        reported = self._dirty.await_report(cookie)
        path = self._root / cookie
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            if reported.wait(PATIENCE_S):
                return True
            log.warning("watch.lags", seconds=PATIENCE_S)
        except OSError as error:
            log.warning("watch.no_cookie", error=str(error))
        finally:
            self._dirty.forget(cookie)
            with suppress(OSError):
                path.unlink()
        return False
