"""What a real watcher of a real folder says may have changed, and when it says that it does not know."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from committer.detect import inotify
from committer.detect.watcher import Watcher
from committer.workspace import watch as watch_module
from committer.workspace.watch import DirtySet, WatchSource

NOBODY = 65534


class Watched:
    """A folder with its watcher, and what is known of it."""

    def __init__(self, root, *, poll=False):
        self.root = root
        self.dirty = DirtySet()
        self.source = WatchSource(root, self.dirty)
        self.loop = asyncio.new_event_loop()
        self.watcher = Watcher(root, skip=lambda path: path == "ignored", poll=poll, dirty=self.dirty)
        self.watcher.attach(self.loop)
        self.watcher.start()

    def close(self):
        self.watcher.stop()
        self.loop.close()

    @property
    def reader_lock(self):
        """As long as it is held, nothing is taken from the kernel's queue but what is in hand."""
        (emitter,) = self.watcher._observer.emitters
        return emitter._inotify._lock

    def since(self, cursor):
        """As a snapshot asks: the next mark comes first."""
        self.source.mark()
        return self.source.changed_since(cursor)


@contextmanager
def watching(root, **options):
    (root / ".dotscience").mkdir()
    for name in ("one", "other"):
        (root / name).mkdir()
        (root / name / "file").write_text("1")
    watched = Watched(root, **options)
    try:
        yield watched
    finally:
        watched.close()


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.setattr(watch_module, "PATIENCE_S", 30.0)
    with watching(tmp_path) as found:
        yield found


# ---------------------------------------------------------------------------------- what is noted


@pytest.fixture
def dirty():
    found = DirtySet()
    found.watch_began()
    return found


def test_what_is_noted_belongs_to_every_span_since(dirty):
    first = dirty.begin_span()
    dirty.note("a/file")
    second = dirty.begin_span()
    dirty.note("b/c", is_new_folder=True)
    assert dirty.since(first).directories == {b"a", b"b"}
    assert dirty.since(first).directories == {b"a", b"b"}  # asked again, after a snapshot that failed
    assert (dirty.since(second).directories, dirty.since(second).subtrees) == ({b"b"}, {b"b/c"})
    assert dirty.since(first) is None


@pytest.mark.parametrize("cursor", ["", ":0", "another:0"])
def test_a_cursor_from_elsewhere_is_not_known(dirty, cursor):
    assert dirty.since(cursor) is None


def test_nothing_is_known_of_the_time_before_a_gap(dirty):
    before = dirty.begin_span()
    dirty.missed()
    assert dirty.since(before) is None
    after = dirty.begin_span()
    dirty.note("a/file")
    assert dirty.since(after).directories == {b"a"}


def test_too_much_to_remember_is_a_gap(dirty, monkeypatch):
    monkeypatch.setattr(watch_module, "MAX_DIRECTORIES", 2)
    cursor = dirty.begin_span()
    for name in "abc":
        dirty.note(f"{name}/file")
    assert dirty.since(cursor) is None


def test_our_own_files_change_nothing_and_the_rules_everything(dirty):
    cursor = dirty.begin_span()
    dirty.note(".dotscience/store/index.db")
    assert not dirty.since(cursor).directories
    dirty.note(".dotscienceignore")
    assert dirty.since(cursor) is None


# ---------------------------------------------------------------------------------- what is seen


def test_a_mark_is_exact(watched):
    cursor = watched.source.mark()
    for number in range(20):
        name = ("one", "other")[number % 2]
        (watched.root / name / "file").write_text(str(number))
        following = watched.source.mark()
        assert watched.source.changed_since(cursor).directories >= {name.encode()}, number
        assert watched.source.changed_since(following).directories == frozenset(), number
        cursor = following
    assert list((watched.root / ".dotscience").iterdir()) == []


def test_a_file_that_stays_open_a_mode_and_a_removal_are_seen(watched):
    with (watched.root / "one" / "file").open("a") as file:
        cursor = watched.source.mark()
        file.write("more")
        file.flush()
        assert watched.since(cursor).directories == {b"one"}
    cursor = watched.source.mark()
    (watched.root / "other" / "file").chmod(0o600)
    assert watched.since(cursor).directories == {b"other"}
    cursor = watched.source.mark()
    (watched.root / "other" / "file").unlink()
    assert watched.since(cursor).directories == {b"other"}


def test_a_new_folder_is_looked_into_with_everything_below(watched):
    cursor = watched.source.mark()
    (watched.root / "one" / "new" / "deep").mkdir(parents=True)
    (watched.root / "one" / "new" / "deep" / "file").write_text("1")
    assert b"one/new" in watched.since(cursor).subtrees


def test_a_folder_that_moved_before_it_was_seen_is_watched_where_it_is(watched):
    with watched.reader_lock:
        (watched.root / "one" / "new" / "deep").mkdir(parents=True)
        (watched.root / "one").rename(watched.root / "moved")
    cursor = watched.source.mark()
    (watched.root / "moved" / "new" / "deep" / "file").write_text("1")
    assert b"moved/new/deep" in watched.since(cursor).directories


def test_a_folder_found_at_a_later_place_is_not_taken_for_what_was_at_the_earlier(watched):
    (watched.root / "other" / "sub").mkdir()
    watched.source.mark()
    with watched.reader_lock:
        (watched.root / "one" / "new").mkdir()
        (watched.root / "other" / "sub").rename(watched.root / "one" / "new" / "sub")
    watched.source.mark()
    (watched.root / "other").rename(watched.root / "third")
    cursor = watched.source.mark()
    (watched.root / "one" / "new" / "sub" / "file").write_text("1")
    assert b"one/new/sub" in watched.since(cursor).directories

    (watched.root / "third" / "sub").mkdir()
    watched.source.mark()
    (watched.root / "third" / "sub").rmdir()
    shutil.rmtree(watched.root / "one" / "new" / "sub")
    cursor = watched.source.mark()
    (watched.root / "one" / "file").write_text("2")
    assert watched.since(cursor).directories == {b"one"}


# ---------------------------------------------------------------------------------- what is not known


def test_a_real_overflow_is_a_gap_and_the_watch_goes_on(watched):
    cursor = watched.source.mark()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with watched.reader_lock:
        for number in range(2 * most):
            os.utime(watched.root / ("one", "other")[number % 2] / "file")
    assert watched.since(cursor) is None
    changes = asyncio.wait_for(watched.watcher.changes(), 30)
    assert watched.loop.run_until_complete(changes).scan_required
    cursor = watched.source.mark()
    (watched.root / "one" / "file").write_text("2")
    assert watched.since(cursor).directories == {b"one"}


def test_nothing_is_known_once_watches_are_used_up(watched, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no watches left")

    cursor = watched.source.mark()
    monkeypatch.setattr(inotify.InotifyFD, "add_callback", full)
    (watched.root / "unwatched").mkdir()
    assert watched.since(cursor) is None
    assert watched.since(watched.source.mark()) is None


def test_a_restart_is_a_gap(watched):
    cursor = watched.source.mark()
    watched.watcher.restart()
    assert watched.since(cursor) is None
    cursor = watched.source.mark()
    (watched.root / "one" / "file").write_text("2")
    assert watched.since(cursor).directories == {b"one"}


@pytest.mark.parametrize("end", ["missed", "watch_ended"])
def test_nobody_waits_for_what_cannot_be_reported(watched, end, monkeypatch):
    cursor = watched.source.mark()
    waiting = watched.dirty.await_report

    def lose(cookie):
        event = waiting(cookie)
        getattr(watched.dirty, end)()
        assert event.is_set()
        return event

    monkeypatch.setattr(watched.dirty, "await_report", lose)
    assert watched.since(cursor) is None


def test_a_watcher_that_lags_is_not_waited_for_for_ever(watched, monkeypatch):
    cursor = watched.source.mark()
    monkeypatch.setattr(watch_module, "PATIENCE_S", 0.01)
    with watched.reader_lock:
        assert watched.since(cursor) is None


def test_without_a_place_for_the_cookie_nothing_is_known(watched):
    cursor = watched.source.mark()
    (watched.root / ".dotscience").rmdir()
    assert watched.since(cursor) is None


def test_polling_knows_nothing(tmp_path):
    with watching(tmp_path, poll=True) as watched:
        assert watched.since(watched.source.mark()) is None


# ---------------------------------------------------------------------------------- what cannot be seen


@pytest.fixture
def private():
    """A folder of a user who may not read everything, which is whom the test runs as."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def shut(private):
    """Two folders that nobody may read, one of them below another."""
    found = [private / "shut", private / "above" / "shut"]
    for folder in found:
        folder.mkdir(parents=True)
        (folder / "file").write_text("1")
        folder.chmod(0)
    yield found
    for folder in private.rglob("shut"):
        folder.chmod(0o700)


def test_a_folder_that_may_be_read_only_later_is_always_looked_into(private, shut):
    with watching(private) as watched:
        for folder in shut:
            folder.chmod(0o700)
        cursor = watched.source.mark()
        for folder in shut:
            (folder / "file").write_text("2")
        found = watched.since(cursor)
        assert found.subtrees == {b"shut", b"above/shut"}
        assert b"one" not in found.directories


@pytest.mark.parametrize(("moved", "to", "expected"), [("shut", "new", b"new"), ("above", "new", b"new/shut")])
def test_it_is_looked_into_where_it_was_moved(private, shut, moved, to, expected):
    with watching(private) as watched:
        for folder in shut:
            folder.chmod(0o700)
        before = watched.source.mark()
        (private / moved).rename(private / to)
        assert b"new" in watched.since(before).subtrees
        cursor = watched.source.mark()
        (private / os.fsdecode(expected) / "file").write_text("3")
        assert expected in watched.since(cursor).subtrees


def test_a_restart_watches_what_may_be_read_now(private, shut):
    with watching(private) as watched:
        for folder in shut:
            folder.chmod(0o700)
        watched.watcher.restart()
        cursor = watched.source.mark()
        (shut[0] / "file").write_text("2")
        found = watched.since(cursor)
        assert (found.directories, found.subtrees) == ({b"shut"}, frozenset())


def test_a_root_that_may_not_be_read_is_refused(private):
    root = private / "root"
    root.mkdir(mode=0)
    watcher = Watcher(root, skip=lambda _: False)
    with pytest.raises(PermissionError):
        watcher.start()


def test_a_folder_that_is_seen_twice_is_watched_once(watched):
    (emitter,) = watched.watcher._observer.emitters
    emitter._inotify._add_all_callbacks(os.fsencode(watched.root))
    cursor = watched.source.mark()
    (watched.root / "one" / "file").write_text("2")
    assert watched.since(cursor).directories == {b"one"}
