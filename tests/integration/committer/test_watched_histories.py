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
MANY_NAMES = "many names"


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
    """What a snapshot stores of it, and would not look at by itself: that it does for files with many names."""
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        return status.st_ino, status.st_mode
    if status.st_nlink > 1:
        return MANY_NAMES
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def listing(root):
    """For each folder (path from the root) what is seen of the names in it."""
    found = {}
    for folder, names, files in os.walk(os.fsencode(root)):
        names[:] = [name for name in names if name != b".dotscience"]
        path = os.path.relpath(folder, os.fsencode(root)).removeprefix(b".")
        found[path] = {name: seen(os.path.join(folder, name)) for name in names + files if name != b"large"}  # noqa: PTH118 - bytes paths
    return found


def differ(before, after, linked):
    """Whether a folder has changed by what was done in it, not to another name of a file, as those `linked` had."""
    if before is None or before.keys() != after.keys():
        return True
    own = [name for name in after if MANY_NAMES not in (before[name], after[name]) and after[name][0] not in linked]
    return any(before[name] != after[name] for name in own)


def many_named(root):
    """The files (by inode) that have many names now."""
    paths = (os.path.join(folder, name) for folder, _, files in os.walk(root) for name in files)  # noqa: PTH118
    return {status.st_ino for status in map(os.lstat, paths) if status.st_nlink > 1}


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
                actions, linked = [], set()
                for _ in range(8):
                    actions.append(vandal.act())
                    linked |= many_named(root)
                following = source.mark()
                dirty, after = source.changed_since(cursor), listing(root)
                changed = {folder for folder, names in after.items() if differ(before.get(folder), names, linked)}
                assert not (missed := [one for one in changed if not covers(dirty, one)]), (done, actions, missed)
                cursor, before = following, after
    finally:
        vandal.close()
