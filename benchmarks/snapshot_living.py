"""What a snapshot costs a committer that lives, which has watched since the last one, and what large numbers cost."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from snapshot_report import Figure
from snapshot_workspaces import make_small_files, settle

from committer.detect.watcher import Watcher
from committer.history import open_history
from committer.storage.ignore import IgnoreRules
from committer.storage.objects import Kind, encode_commit
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore
from committer.sync.journal import CommitEntry, Journal, record_commit
from committer.workspace.source import ChangeSource
from committer.workspace.stat import StatSource
from committer.workspace.watch import DirtySet, WatchSource
from dotscience.record import Commit, CommitStats
from dotscience.workspace import STATE_DIR

FILES = 100_000
MEAN = 4_000
REPEATS = 9
PAGE = 20


class Cost(NamedTuple):
    """Of this process."""

    wall_s: float
    cpu_s: float


class Living:
    """A workspace whose snapshots are taken by one process, as a committer's are."""

    def __init__(self, root: Path, store: ObjectStore, source: ChangeSource) -> None:
        self.root = root
        self._store = store
        self._source = source
        self._tree: bytes | None = None
        self._commit: bytes | None = None
        self._rules = IgnoreRules()

    def commit(self) -> Cost:
        """Take a snapshot and commit it, durably."""
        began, cpu = time.perf_counter(), time.process_time()
        snapshot = take_snapshot(self._store, self.root, ignore=self._rules, previous=self._tree, source=self._source)
        self._tree = snapshot.root_hash
        made = Commit(
            dot_id="6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0",
            parents=[self._commit] if self._commit else [],
            root=snapshot.root_hash,
            runs=[],
            created_at=datetime.now(UTC),
            message="benchmark",
            author="benchmark",
            client="benchmark",
            consistency=snapshot.consistency,
            unstable=[],
            stats=CommitStats(files=snapshot.files, size=snapshot.size, new_bytes=snapshot.new_bytes, duration_ms=0),
        )
        self._commit = self._store.put(Kind.COMMIT, encode_commit(made))
        entry = CommitEntry(
            id=self._commit.hex(),
            created_at=made.created_at,
            consistency=made.consistency,
            runs=[],
            environments={},
            accounted={},
            uncovered=[],
        )
        self._store.commit(lambda connection: record_commit(connection, entry))
        return Cost(time.perf_counter() - began, time.process_time() - cpu)


@contextmanager
def living(root: Path, *, watched: bool) -> Iterator[Living]:
    """A workspace's store, with a watcher beside it."""
    (root / STATE_DIR / "store").mkdir(parents=True)
    Journal(root / STATE_DIR / "store").close()
    dirty = DirtySet()
    watcher = Watcher(root, skip=lambda _: False, dirty=dirty)
    with ObjectStore(root / STATE_DIR / "store") as store:
        if watched:
            watcher.attach(asyncio.new_event_loop())
            watcher.start()
        try:
            yield Living(root, store, WatchSource(root, dirty) if watched else StatSource())
        finally:
            watcher.stop()


def dirty_figures(base: Path, say: Callable[[str], None]) -> list[Figure]:
    """0, 1 and 10 changed files among 100,000, watched and not."""
    root = base / "tree"
    say(f"making {FILES:,} files")
    make_small_files(root, FILES, MEAN)
    settle(root)
    found = []
    with living(root, watched=True) as workspace:
        say(f"initial snapshot: {workspace.commit().wall_s:.1f} s")
        workspace.commit()
        for step, files in (("no change", 0), ("1 changed", 1), ("10 changed", 10)):
            for turn in range(REPEATS):
                for number in range(files):
                    _change(root, number, turn)
                cost = workspace.commit()
                found.append(Figure("dirty", step, "ours", cost.wall_s, cost.cpu_s, 0))
    return found


def _change(root: Path, number: int, turn: int) -> None:
    """A file in a folder of its own."""
    path = root / f"part_0/package_{number}/module_{number * 100}.py"
    with path.open("a") as file:
        file.write(f"# {turn}\n")


def scale_figures(base: Path, say: Callable[[str], None], files: int) -> list[Figure]:
    """Many files, and a hundredth as many commits: time, and memory as `new_bytes`."""
    root = base / "tree"
    say(f"making {files:,} files")
    make_small_files(root, files, 500)
    settle(root)
    found = []
    with living(root, watched=False) as workspace:
        found += [_figure(step, workspace.commit()) for step in ("initial", "no change", "no change")]
        began, cpu = time.perf_counter(), time.process_time()
        commits = files // 100
        say(f"{commits:,} commits")
        _many_commits(root, workspace, commits)
        found.append(_figure(f"{commits:,} commits", Cost(time.perf_counter() - began, time.process_time() - cpu)))
    began, cpu = time.perf_counter(), time.process_time()
    with open_history(root / STATE_DIR / "store") as history:
        for _, _one in zip(range(PAGE), history.newest_first(), strict=False):
            pass
    found.append(_figure(f"a page of {PAGE} commits", Cost(time.perf_counter() - began, time.process_time() - cpu)))
    return found


def _many_commits(root: Path, workspace: Living, commits: int) -> None:
    """Of a folder with one file in the same store: what counts is the length of the history."""
    small = root / STATE_DIR / "small"
    small.mkdir()
    workspace.root = small
    for number in range(commits):
        (small / "file").write_text(str(number))
        workspace.commit()


def _figure(step: str, cost: Cost) -> Figure:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Figure("scale", step, "ours", cost.wall_s, cost.cpu_s, memory)
