"""Clocks that are wrong: no change goes unnoticed because of one, and commits are in the order of their parents."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from support.histories import START, write_history

from committer.history import History
from committer.storage import capture as capture_module
from committer.storage import walk as walk_module
from committer.workspace.stat import Sight, pack_signatures, read_directory, signature_of

YEAR = timedelta(days=365)
YEAR_NS = 365 * 24 * 3600 * 10**9


@pytest.fixture
def freeze(monkeypatch):
    """Makes the one file of a folder look the same whatever happens to it."""

    def make_frozen(path):
        frozen = signature_of(path.stat())

        def read_frozen(descriptor: int) -> Sight:
            listed = os.listdir(descriptor) == [path.name]
            return Sight(os.fsencode(path.name), pack_signatures([frozen])) if listed else read_directory(descriptor)

        monkeypatch.setattr(walk_module, "read_directory", read_frozen)
        monkeypatch.setattr(capture_module, "signature_of", lambda status: frozen)

    return make_frozen


@pytest.mark.parametrize(("ahead_ns", "seen"), [(0, b"old"), (YEAR_NS, b"new")], ids=["now", "a year ahead"])
def test_a_file_from_the_future_is_read_again_however_long_ago_it_was_noted(
    root, store, snap, age, restore, freeze, ahead_ns, seen
):
    """The first case shows that the second is about the time: such a file would be trusted otherwise."""
    path = root / "f"
    path.write_text("old")
    now = path.stat().st_mtime_ns
    os.utime(path, ns=(now, now + ahead_ns))
    freeze(path)
    snap()
    age()
    path.write_text("new")
    assert restore(store, snap().root_hash) == {b"f": seen}


def test_a_clock_that_was_put_back_makes_files_be_read_again(root, store, snap, restore, freeze, monkeypatch):
    path = root / "f"
    path.write_text("old")
    freeze(path)
    real = walk_module.time.time_ns
    monkeypatch.setattr(walk_module.time, "time_ns", lambda: real() - YEAR_NS)
    snap()
    path.write_text("new")
    assert restore(store, snap().root_hash) == {b"f": b"new"}


@pytest.mark.parametrize(
    "times",
    [
        [START, START, START],
        [START, START - YEAR, START + YEAR],
        [START, START - timedelta(seconds=1), START - timedelta(days=1)],
    ],
    ids=["one second", "a year to and fro", "backwards"],
)
def test_the_log_is_in_the_order_of_parents(tmp_path, times):
    made = write_history(tmp_path / "store", "dot", times=times)
    with History(made.store) as history:
        assert [one.id for one in history.newest_first()] == made.commits[::-1]
        assert history.head().id == made.commits[-1]
        assert [history.find(f"HEAD~{back}").id for back in range(3)] == made.commits[::-1]
