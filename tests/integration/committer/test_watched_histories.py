"""Whatever is done to a folder, its watcher says for each folder below in which something changed that it did."""

from __future__ import annotations

import asyncio
import os
import random
import stat
from contextlib import contextmanager

import pytest
from support.vandal import LARGE, Vandal

from committer.detect.watcher import Watcher
from committer.workspace.watch import DirtySet, WatchSource

HISTORIES = 24
ROUNDS = 12


@contextmanager
def watching(root):
    dirty = DirtySet()
    watcher = Watcher(root, skip=lambda path: path == ".dotscience", dirty=dirty)
    loop = asyncio.new_event_loop()
    watcher.attach(loop)
    watcher.start()
    try:
        yield WatchSource(root, dirty)
    finally:
        watcher.stop()
        loop.close()


def seen(path):
    """What a snapshot stores of it, and how many names it has."""
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        return status.st_ino, status.st_mode, 1
    return status.st_ino, status.st_mode, status.st_nlink, status.st_size, status.st_mtime_ns


def listing(root):
    """For each folder (path from the root) what is seen of the names in it."""
    found = {}
    for folder, names, files in os.walk(os.fsencode(root)):
        names[:] = [name for name in names if name != b".dotscience"]
        path = os.path.relpath(folder, os.fsencode(root)).removeprefix(b".")
        found[path] = {name: seen(os.path.join(folder, name)) for name in names + files if name != b"large"}  # noqa: PTH118 - bytes paths
    return found


def changed_in(folder, before, after, used):
    """Whether an action has changed a folder, not only a file in it by another of its names.

    A snapshot looks at files with many names by itself; of a name that has gone by then, nothing is seen
    (docs/snapshots.md).
    """
    if before is None or before.keys() != after.keys():
        return True
    own = [name for name in after if max(before[name][2], after[name][2]) == 1 or os.path.join(folder, name) == used]  # noqa: PTH118
    return any(before[name] != after[name] for name in own)


def covers(dirty, folder):
    """Whether a snapshot would look into a folder."""
    below = any(folder == top or folder.startswith(top + b"/") for top in dirty.subtrees)
    return folder in dirty.directories or below


@pytest.mark.parametrize("number", range(HISTORIES))
def test_every_folder_with_a_change_is_named(tmp_path, number):
    seed = int(os.environ.get("DS_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print("seed", seed)
    root = tmp_path / "work"
    (root / ".dotscience").mkdir(parents=True)
    with (root / "large").open("wb") as file:
        file.truncate(LARGE)
    vandal = Vandal(root, seed)
    try:
        with watching(root) as source:
            cursor, before = source.mark(), listing(root)
            for done in range(ROUNDS):
                actions, changed = [], set()
                for _ in range(8):
                    actions.append(vandal.act())
                    used = vandal.used and os.fsencode(vandal.used.relative_to(root))
                    after = listing(root)
                    changed |= {one for one in after if changed_in(one, before.get(one), after[one], used)}
                    before = after
                following = source.mark()
                dirty = source.changed_since(cursor)
                missed = [one for one in changed & after.keys() if not covers(dirty, one)]
                assert not missed, (done, actions, missed)
                cursor = following
    finally:
        vandal.close()
