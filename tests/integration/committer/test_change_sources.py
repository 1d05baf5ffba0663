"""Whatever tells a committer what changed, its commits hold what is there."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.file_systems import KINDS, file_system
from support.vandal import LARGE, Vandal
from support.zfs import outlive, pool

from committer.history import open_history
from committer.storage.ignore import load_ignore
from committer.storage.reader import walk
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore
from dotscience.client import credentials


def commit(folder):
    return folder.client.commit("now")["commit"]


def assert_complete(folder, commit_id, scratch, case):
    """A commit has what a store that knows nothing finds in the workspace."""
    state = folder.root / ".dotscience"
    rules = load_ignore(folder.root, protected=[credentials.config_folder(), state])
    with ObjectStore(scratch, min_free_bytes=0) as store, open_history(state / "store") as history:
        expected = dict(walk(store, take_snapshot(store, folder.root, ignore=rules).root_hash))
        found = dict(walk(history.reader, history.find(commit_id).commit.root))
    assert found == expected, case


def consistency_of(folder, commit_id):
    with open_history(folder.root / ".dotscience" / "store") as history:
        return history.find(commit_id).commit.consistency


CONSISTENCY = {"zfs": "atomic", "reflink": "file-atomic", "watch": "stable", "stat": "stable"}


@pytest.fixture(params=["ext4-or-so", "xfs", "btrfs"])
def place(request, tmp_path):
    """A folder on a file system, and the way to read it that is chosen there."""
    if request.param in KINDS:
        with file_system(request.param) as root:
            yield root, "reflink"
    else:
        yield tmp_path, None


def check_rounds(folder, tmp_path, rounds):
    seed = int(os.environ.get("DS_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print("seed", seed)
    vandal = Vandal(folder.root, seed)
    try:
        for number in range(rounds):
            done = [vandal.act() for _ in range(8)]
            assert_complete(folder, commit(folder), tmp_path / f"scratch{number}", f"seed {seed}, {number}: {done}")
    finally:
        vandal.close()


@pytest.mark.parametrize("source", ["stat", "watch"])
def test_the_tree_is_that_of_a_full_scan(folder, tmp_path, source):
    folder.write("data/a", b"1")
    folder.start(change_source=source)
    check_rounds(folder, tmp_path, 25)


def check_chosen(folder, expected, tmp_path):
    folder.write("large", os.urandom(LARGE))
    process = folder.start()
    try:
        check_rounds(folder, tmp_path, 12)
        chosen = next(line["name"] for line in process.log if line["event"] == "reading.chosen")
        assert expected in (chosen, None)
        assert consistency_of(folder, commit(folder)) == CONSISTENCY[chosen]
    finally:
        folder.stop()


def test_what_is_chosen_misses_nothing(place, make_folder, tmp_path):
    root, expected = place
    check_chosen(make_folder(within=root), expected, tmp_path)


def test_what_is_chosen_on_zfs_misses_nothing(running_zfs, make_folder, tmp_path):
    def check(attempt):
        scratch = tmp_path / str(attempt)
        scratch.mkdir()
        with pool(scratch, "1G"):
            check_chosen(make_folder(within=scratch / "pool"), "zfs", scratch)

    outlive(check)


def test_rules_that_let_a_folder_in_again_have_it_watched(folder, tmp_path):
    folder.write(".dotscienceignore", b"left/\n")
    folder.write("left/a", b"1")
    folder.start(change_source="watch")
    commit(folder)
    folder.write(".dotscienceignore", b"nothing\n")
    commit(folder)
    for content in (b"2", b"3", b"4"):
        folder.write("left/a", content)
        assert_complete(folder, commit(folder), tmp_path / content.decode(), content)


def test_what_happened_while_no_committer_ran_is_found(folder, tmp_path):
    folder.write("deep/down/a", b"1")
    folder.start(change_source="watch")
    commit(folder)
    folder.stop()
    folder.write("deep/down/a", b"2")
    folder.start(change_source="watch")
    assert_complete(folder, commit(folder), tmp_path / "scratch", "restart")


def test_more_changes_than_the_kernel_remembers_are_found(folder, tmp_path):
    folder.write("busy/a", b"1")
    folder.write("busy/b", b"1")
    folder.write("quiet/deep/a", b"1")
    process = folder.start(change_source="watch")
    commit(folder)
    events = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with process.paused():
        for number in range(events + 1000):
            os.utime(folder.root / "busy" / "ab"[number % 2])  # two equal events in a row are one (inotify(7))
        folder.write("quiet/deep/a", b"2")  # nobody is told of this
    process.wait_for_log("scan.required")
    assert_complete(folder, commit(folder), tmp_path / "scratch", "overflow")
