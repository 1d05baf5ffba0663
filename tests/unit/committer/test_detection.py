"""Watching, reading lists and scans, on real folders."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import uuid

import pytest

from committer.detect import inotify
from committer.detect.notebooks import ReadingList, is_notebook, read_notebook
from committer.detect.scan import changed_notebooks
from committer.detect.sidecars import (
    environment_path,
    read_brackets,
    read_regular,
    remove_ended,
    remove_read,
    scan_sidecars,
)
from committer.detect.watcher import MAX_PATHS, Changes, Watcher
from committer.storage.ignore import IgnoreRules
from dotscience.errors import NotebookError
from dotscience.record import MAX_NESTING, RunRecord, encode_json

EMPTY = b'{"cells": [], "metadata": {}, "nbformat": 4}'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.ipynb", True),
        ("deep/down/a.ipynb", True),
        (".~a.ipynb", False),
        (".hidden.ipynb", False),
        (".ipynb_checkpoints/a-checkpoint.ipynb", False),
        ("a.ipynb.tmp", False),
        ("a.py", False),
        ("\udcff.ipynb", False),
        ("\udcff/a.ipynb", False),
    ],
)
def test_what_is_a_notebook(path, expected):
    assert is_notebook(path) is expected


def test_a_reading_list_waits_retries_and_forgets():
    readings = ReadingList()
    readings.add("a", 10.0)
    assert list(readings.due(9.9)) == []
    assert list(readings.due(10.0)) == ["a"]
    assert readings.failed("a", 10.0) == 0.0
    assert readings.next_due_at() > 10.0
    assert readings.failed("a", 13.0) == 3.0
    readings.add("a", 20.0)  # a change while it is read
    readings.done("a", 15.0)
    assert "a" in readings
    readings.done("a", 21.0)
    assert len(readings) == 0


def test_a_notebook_that_stays_broken_does_not_hold_up_commits():
    readings = ReadingList()
    readings.add("a", 0.0)
    assert readings.settling() == {"a"}
    for now in range(6):
        readings.failed("a", float(now))
    assert readings.settling() == set()


def test_too_many_changes_become_a_scan():
    changes = Changes()
    changes.add((f"{number}.ipynb" for number in range(MAX_PATHS + 1)), is_folder=False)
    assert changes.scan_required
    assert not changes.notebooks


@pytest.mark.parametrize("path", [".dotscience/store/index.db", ".dotscience/committer.json", "a.py"])
def test_our_own_files_are_no_changes(path):
    changes = Changes()
    changes.add([path], is_folder=False)
    assert not changes


def test_sidecars_and_the_project_file_are_told_apart():
    changes = Changes()
    changes.add([".dotscience/runs/x.json"], is_folder=False)
    assert (changes.sidecars, changes.project) == (True, False)
    changes.add([".dotscience/project.toml"], is_folder=False)
    assert changes.project


@pytest.fixture
def watch(tmp_path):
    """Runs a coroutine function with a watcher that has started."""

    async def run(body, **options):
        watcher = Watcher(tmp_path, **({"skip": lambda path: path == "ignored"} | options))
        watcher.attach(asyncio.get_running_loop())
        watcher.start()
        try:
            async with asyncio.timeout(30):
                return await body(watcher)
        finally:
            watcher.stop()

    return lambda body, **options: asyncio.run(run(body, **options))


async def until(watcher, condition):
    while not condition(changes := await watcher.changes()):
        pass
    return changes


@pytest.mark.parametrize("poll", [False, True])
def test_a_write_a_rename_and_a_new_folder_are_seen(watch, tmp_path, poll):
    async def body(watcher):
        (tmp_path / "a.ipynb").write_bytes(EMPTY)
        await until(watcher, lambda changes: "a.ipynb" in changes.notebooks)
        (tmp_path / "a.ipynb").rename(tmp_path / "b.ipynb")
        await until(watcher, lambda changes: "b.ipynb" in changes.notebooks)
        (tmp_path / "new").mkdir()
        await until(watcher, lambda changes: "new" in changes.folders)

    watch(body, poll=poll, poll_interval_s=0.05)


def test_ignored_folders_are_not_watched(watch, tmp_path):
    (tmp_path / "ignored").mkdir()

    async def body(watcher):
        (tmp_path / "ignored" / "a.ipynb").write_bytes(EMPTY)
        (tmp_path / "b.ipynb").write_bytes(EMPTY)
        return await until(watcher, lambda changes: "b.ipynb" in changes.notebooks)

    assert watch(body).notebooks == {"b.ipynb"}


def test_an_overflow_of_the_queue_asks_for_a_scan(watch):
    async def body(watcher):
        (emitter,) = watcher._observer.emitters
        emitter._inotify.on_queue_overflow()
        return await watcher.changes()

    assert watch(body).scan_required


def test_it_polls_where_watches_are_used_up(watch, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no watches left")

    monkeypatch.setattr(inotify.InotifyFD, "add_callback", full)

    async def body(watcher):
        (tmp_path / "a.ipynb").write_bytes(EMPTY)
        await until(watcher, lambda changes: "a.ipynb" in changes.notebooks)
        return watcher.polling

    assert watch(body, poll_interval_s=0.05) is True


def test_a_scan_finds_changed_notebooks_and_leaves_out_what_is_ignored_or_tracked(tmp_path):
    for path in ("a.ipynb", "sub/b.ipynb", "venv/c.ipynb", "nested/d.ipynb", "nested/.dotscience/project.toml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(EMPTY)
    (tmp_path / "link.ipynb").symlink_to("a.ipynb")
    rules = IgnoreRules()
    assert sorted(changed_notebooks(tmp_path, rules, {})) == ["a.ipynb", "sub/b.ipynb"]
    sight = read_notebook(tmp_path, "a.ipynb", dot_id="d")
    assert changed_notebooks(tmp_path, rules, {"a.ipynb": sight.signature}) == ["sub/b.ipynb"]
    assert changed_notebooks(tmp_path, rules, {}, "sub") == ["sub/b.ipynb"]


@pytest.mark.parametrize("data", [b"", b"{", EMPTY[:-1], b"[]", b'{"cells": 1}', b"\xff\xfe"])
def test_what_is_no_whole_notebook_is_an_error(tmp_path, data):
    (tmp_path / "a.ipynb").write_bytes(data)
    with pytest.raises(NotebookError):
        read_notebook(tmp_path, "a.ipynb", dot_id="d")


def test_a_fifo_or_link_among_the_sidecars_is_reported_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "link.json").symlink_to("/etc/passwd")
    (tmp_path / "huge.json").write_bytes(b"x" * 100)
    scan = scan_sidecars(tmp_path)
    assert scan.runs == []
    assert len(scan.broken) == 3
    with pytest.raises(OSError, match="100 bytes"):
        read_regular(tmp_path / "huge.json", 99)


@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 985, 988, 989, 990, 991, 100_000])
def test_a_sidecar_that_nests_without_end_is_broken_and_stops_nothing(tmp_path, depth):
    bomb = f'{{"schema":"dotscience.run.v1","run_id":"x","parameters":{{"a":{"[" * depth}{"]" * depth}}}}}'
    (tmp_path / "bomb.json").write_text(bomb)
    (tmp_path / "good.json").write_bytes(encode_json(RunRecord(run_id=str(uuid.uuid4()))))
    scan = scan_sidecars(tmp_path)
    assert [file.path.name for file, _ in scan.runs] == ["good.json"]
    assert len(scan.broken) == 1


def test_a_sidecar_that_took_the_place_of_one_that_was_read_stays(tmp_path):
    run_id = str(uuid.uuid4())
    for name in ("same.json", "replaced.json", "gone.json"):
        (tmp_path / name).write_bytes(encode_json(RunRecord(run_id=run_id)))
    scan = scan_sidecars(tmp_path)
    (tmp_path / "new").write_bytes(encode_json(RunRecord(run_id=run_id, description="another content")))
    (tmp_path / "new").replace(tmp_path / "replaced.json")
    (tmp_path / "gone.json").unlink()
    remove_read(file for file, _ in scan.runs)
    assert [path.name for path in tmp_path.iterdir()] == ["replaced.json"]


@pytest.mark.parametrize("depth", [985, 990, 991, 100_000])
def test_a_notebook_that_nests_without_end_is_read_or_refused(tmp_path, depth):
    deep = '{"a":' * depth + "1" + "}" * depth
    outputs = f'[{{"output_type":"display_data","data":{{"text/plain":"[[DOTSCIENCE-RUN:","x":{deep}}}}}]'
    cell = f'{{"cell_type":"code","execution_count":1,"outputs":{outputs}}}'
    (tmp_path / "a.ipynb").write_text(f'{{"cells":[{cell}],"nbformat":4}}')
    with contextlib.suppress(NotebookError):
        assert len(read_notebook(tmp_path, "a.ipynb", dot_id="d").cells) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\0b"])
def test_a_forged_environment_id_names_no_file(tmp_path, name):
    assert environment_path(tmp_path, name) is None


def test_a_bracket_holds_while_its_process_lives(tmp_path):
    bracket = tmp_path / "x.execution.json"
    bracket.write_text(f'{{"notebook": "a.ipynb", "pid": {os.getpid()}, "started_at": ""}}')
    assert read_brackets(tmp_path).executing == {"a.ipynb"}
    for pid in (0, -1, 2**22 + 1, 2**80):
        bracket.write_text(f'{{"notebook": "a.ipynb", "pid": {pid}}}')
        assert read_brackets(tmp_path).executing == frozenset()
    assert scan_sidecars(tmp_path).broken == []


def test_a_bracket_that_is_over_goes_when_its_notebook_is_closed(tmp_path):
    over, dead, living = (tmp_path / f"{name}.execution.json" for name in ("over", "dead", "living"))
    over.write_text(f'{{"notebook": "a.ipynb", "pid": {os.getpid()}, "ended_at": "now"}}')
    dead.write_text(f'{{"notebook": "a.ipynb", "pid": {2**22 + 1}}}')
    living.write_text(f'{{"notebook": "b.ipynb", "pid": {os.getpid()}}}')
    assert read_brackets(tmp_path).ended == {over: "a.ipynb", dead: "a.ipynb"}
    remove_ended(tmp_path, {"b.ipynb"})
    assert len(read_brackets(tmp_path).ended) == 2
    remove_ended(tmp_path, {"a.ipynb", "b.ipynb"})
    assert read_brackets(tmp_path).ended == {}
    assert living.exists()


@pytest.mark.parametrize("notebook", ["../a.ipynb", "/a.ipynb", "b/../../a.ipynb", "a\0.ipynb"])
def test_a_bracket_cannot_point_out_of_the_workspace(tmp_path, notebook):
    (tmp_path / "x.execution.json").write_text(json.dumps({"notebook": notebook, "pid": os.getpid()}))
    assert read_brackets(tmp_path).executing == frozenset()


@pytest.mark.parametrize("content", [b'{"notebook": "\xff", "pid": 1}', b'{"x": ' + b"[" * 100_000])
def test_a_broken_bracket_is_none(tmp_path, content):
    (tmp_path / "x.execution.json").write_bytes(content)
    assert read_brackets(tmp_path).executing == frozenset()
