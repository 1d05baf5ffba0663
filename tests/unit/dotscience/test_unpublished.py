"""What a process leaves behind when it ends without, or after, its last publish."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from dotscience.workspace import new_workspace, write_project

STARTED = "import dotscience as ds\nds.start('mine')\nds.parameter('a', 1)\n"
RELEASED = "import sys\nprint('ready', flush=True)\nsys.stdin.read()\n"


@pytest.fixture
def root(tmp_path):
    write_project(new_workspace(tmp_path))
    return tmp_path


def start(root, code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(root, code, **environment):
    process = start(root, code, **environment)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def records(root):
    paths = (root / ".dotscience" / "runs").glob("*.json")
    found = [json.loads(path.read_text()) for path in paths if not path.name.endswith(".environment.json")]
    return sorted(found, key=lambda record: record["ended_at"])


@pytest.mark.parametrize(("end", "status"), [("", 0), ("import sys; sys.exit(0)", 0), ("import sys; sys.exit(3)", 3)])
def test_a_run_that_was_never_published_is_recorded_at_the_end(root, end, status):
    returned, said = run(root, STARTED + end)
    [record] = records(root)
    assert returned == status
    assert (record["description"], record["parameters"], record["labels"]) == ("mine", {"a": 1}, {"unpublished": True})
    assert said.count("was never published") == 1


def test_sigterm_ends_the_process_as_ever_and_the_run_says_so(root):
    process = start(root, STARTED + RELEASED)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=60)
    [record] = records(root)
    assert process.returncode == -signal.SIGTERM
    assert (record["error"], record["labels"]) == ("ended by SIGTERM", {"unpublished": True})


def test_a_handler_of_the_users_stays(root):
    code = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))\n" + STARTED + RELEASED
    process = start(root, code)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stdout.readline() == "mine\n"
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_values_after_the_last_publish_are_said_once(root):
    late = "ds.publish()\nds.metric('test_accuracy', 0.9)\nds.parameter('a', 2)\nds.parameter('b', 1)\n"
    _, said = run(root, STARTED + late)
    assert len(records(root)) == 1
    [line] = [line for line in said.splitlines() if "not published" in line]
    assert "parameters.a, parameters.b, metrics.test_accuracy" in line


@pytest.mark.parametrize("code", ["ds.publish()", "ds.publish()\nds.parameter('a', 1)", "ds.start()\nds.publish()"])
def test_nothing_is_said_where_nothing_is_left(root, code):
    assert run(root, STARTED + code) == (0, "")
    assert not any("unpublished" in record["labels"] for record in records(root))


def test_it_can_be_turned_off(root):
    assert run(root, STARTED, DOTSCIENCE_UNPUBLISHED="off") == (0, "")
    assert records(root) == []


def test_outside_of_a_tracked_folder_nothing_is_recorded(tmp_path):
    assert run(tmp_path, STARTED) == (0, "")


def test_a_forked_child_leaves_its_parents_run_alone(root):
    fork = "import os, sys\nif os.fork() == 0:\n    sys.exit(0)\nos.wait()\nds.publish()\n"
    assert run(root, STARTED + fork) == (0, "")
    [record] = records(root)
    assert "unpublished" not in record["labels"]


def test_a_run_that_failed_is_published_once_with_its_exception(root):
    _, said = run(root, STARTED + "1 / 0\n")
    [record] = records(root)
    assert record["error"].startswith("ZeroDivisionError")
    assert "never published" not in said
