"""Killing either end of a push, or filling its disk, at each call that makes something durable, one after the other.

Whatever the moment: the hub shows whole commits only, what it had answered is there, and the same push made again ends
with everything there once.
"""

from __future__ import annotations

import copy
import itertools
import shutil

import pytest
import requests
from support.histories import count_shown, push_all, write_history
from support.trials import KILLED, Fault, moments, trials

from committer.storage.store import ObjectStore
from committer.sync.journal import Journal

KILL = "signal=SIGKILL"
FULL = "error=ENOSPC"


@pytest.fixture(scope="module")
def tried():
    with trials("support.push_trials") as made:
        yield made


@pytest.fixture
def push_to(hub, tried, tmp_path):
    """A push of a new history, by a process of its own with a fault; the project, the history, and the trial."""
    numbers = itertools.count()

    def begin(fault):
        project = hub.new_project()
        history = write_history(tmp_path / f"store{next(numbers)}", project.dot_id, length=2)
        target = history.target(hub.url, project)
        trial = tried.run(
            "push", history.store, hub.url, project.id, project.token, history.dot_id, fault=fault(history.store)
        )
        status = trial.wait()
        check_push_goes_on(project, history, target)
        return trial, status

    return begin


def check_push_goes_on(project, history, target):
    """What the journal believes, the hub has; the push made again ends with everything there, and the journal knows."""
    shown = count_shown(project, history)
    with ObjectStore(history.store, min_free_bytes=0):
        assert pushed(history) <= shown
    push_all(history.store, target)
    assert count_shown(project, history) == pushed(history) == len(history.made)


def pushed(history):
    journal = Journal(history.store)
    try:
        return journal.newest_pushed()
    finally:
        journal.close()


@pytest.mark.parametrize(("call", "stride"), [("pwrite64", 9), ("fdatasync", 1), ("sendto", 1)])
def test_a_committer_that_is_killed_at_any_step_of_a_push_goes_on_with_it(push_to, call, stride):
    def attempt(when):
        trial, status = push_to(lambda store: Fault(call, KILL, when))
        assert status == (KILLED if trial.has_struck else 0)
        return trial.has_struck

    assert moments(attempt, stride) > 2


@pytest.mark.parametrize(("call", "stride"), [("pwrite64", 9), ("fdatasync", 1)])
def test_a_journal_that_finds_no_room_says_so_and_the_push_goes_on_later(push_to, call, stride):
    told = set()

    def attempt(when):
        trial, status = push_to(lambda store: Fault(call, FULL, when))
        assert status == 0
        assert trial.said[1:] in ([], ["DiskFull"], ["SnapshotError"])
        told.update(trial.said[1:])
        return trial.has_struck

    assert moments(attempt, stride) > 2
    assert told


DATABASE = ("hub.db", "hub.db-wal")
HUB_CALLS = [
    ("write", (), 1),
    ("mkdir", (), 1),
    ("rename", (), 1),
    ("fsync", (), 1),
    ("fdatasync", (), 1),
    ("fdatasync", DATABASE, 1),
    ("pwrite64", DATABASE, 7),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, serve_hub):
    """The data of a hub that is not running, with a project, and a history of one commit to push to it."""
    folder = tmp_path_factory.mktemp("prepared")
    with serve_hub(folder / "hub") as hub:
        project = hub.new_project()
    return project, write_history(folder / "store", project.dot_id, length=1)


@pytest.fixture
def faulty_hub(prepared, tried, tmp_path, connect):
    """Start a hub, on a copy of the prepared data, that meets a fault; a project of it, and its process."""
    numbers = itertools.count()

    def start(call, what, when, files):
        data = tmp_path / f"hub{next(numbers)}"
        shutil.copytree(prepared[0].hub.data, data)
        fault = Fault(call, what, when, tuple(data / name for name in files))
        trial = tried.start("hub", data, fault=fault)
        trial.begin()
        return project_of(connect(trial.said[0], data), prepared[0]), trial

    return start


def project_of(hub, project):
    same = copy.copy(project)
    same.hub = hub
    return same


def push_once(project, history):
    """Put the history's pack and post its commit, up to where one is not taken; what was answered, None for nothing."""
    (path,) = (history.store / "packs").glob("??/*")
    calls = (lambda: project.put_pack(path.read_bytes()), lambda: project.post_commit(history.commits[0]))
    answers = []
    for call in calls:
        try:
            answers.append(call().status_code)
        except requests.ConnectionError:
            answers.append(None)
        if answers[-1] not in (200, 201):
            break
    return answers


def check_after_restart(project, history, answers):
    """What was answered holds, and the push made again ends with everything there."""
    shown = count_shown(project, history)
    if answers[1:] in ([200], [201]):
        assert shown == 1
    elif answers[0] in (200, 201):
        assert project.post_commit(history.commits[0]).status_code == 201 if shown == 0 else 200
    assert {*push_once(project, history)} <= {200, 201}
    assert count_shown(project, history) == 1
    assert [path.name for path in (project.hub.data / "packs").glob("??/*")] == [
        path.name for path in (history.store / "packs").glob("??/*")
    ]


@pytest.mark.parametrize(("call", "files", "stride"), HUB_CALLS)
def test_a_hub_that_is_killed_at_any_step_of_a_push_keeps_what_it_answered(
    prepared, faulty_hub, serve_hub, call, files, stride
):
    history = prepared[1]

    def attempt(when):
        project, trial = faulty_hub(call, KILL, when, files)
        answers = push_once(project, history)
        status = trial.end()
        assert status == (KILLED if trial.has_struck else 0)
        with serve_hub(project.hub.data) as hub:
            assert not list((hub.data / "staging").iterdir())
            check_after_restart(project_of(hub, project), history, answers)
        return trial.has_struck

    assert moments(attempt, stride) > 0


@pytest.mark.parametrize(("call", "files", "stride"), HUB_CALLS)
def test_a_hub_whose_disk_is_full_at_any_step_of_a_push_says_so_and_goes_on(
    prepared, faulty_hub, serve_hub, call, files, stride
):
    history = prepared[1]
    refused = []

    def attempt(when):
        project, trial = faulty_hub(call, FULL, when, files)
        answers = push_once(project, history)
        trial.spare()
        refused.extend({*answers} - {200, 201})
        check_after_restart(project, history, answers)
        assert trial.end() == 0
        with serve_hub(project.hub.data) as hub:
            assert not list((hub.data / "staging").iterdir())
            assert count_shown(project_of(hub, project), history) == 1
        return trial.has_struck

    assert moments(attempt, stride) > 0
    has_room = call == "pwrite64"  # what the database finds no room for is written again once the reserve is given up
    assert {*refused} == (set() if has_room else {503})
