"""`ds run` in a tracked folder: what it says about what it recorded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import nbformat
import pytest

from dotscience.wire import encode_marker, to_wire


def ds_run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "dotscience.cli", "run", *arguments],
        cwd=folder.root,
        env=folder.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def running(folder, code):
    """`ds run` with a Python program, while it runs."""
    return subprocess.Popen(
        [sys.executable, "-m", "dotscience.cli", "run", "--", sys.executable, "-c", code],
        cwd=folder.root,
        env=folder.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--", "no-such-command"), 127, "'no-such-command' cannot be started"),
        (("--", "./data.csv"), 127, "cannot be started"),
        (("missing.ipynb",), 1, "missing.ipynb cannot be read"),
        (("broken.ipynb",), 1, "is not a notebook"),
        (("list.ipynb",), 1, "is not a notebook"),
        (("odd.ipynb",), 1, "is not a notebook"),
        (("deep.ipynb",), 1, "is not a notebook"),
        (("pipe.ipynb",), 1, "is not a file"),
    ],
)
def test_what_cannot_be_executed_records_nothing_and_says_so_once(folder, arguments, status, complaint):
    folder.write("data.csv", b"1,2\n")
    folder.write("broken.ipynb", b"{")
    folder.write("list.ipynb", b"[]")
    folder.write("odd.ipynb", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 5}')
    folder.write("deep.ipynb", b"[" * 100_000)
    os.mkfifo(folder.root / "pipe.ipynb")
    folder.start()
    done = ds_run(folder, *arguments)
    assert done.returncode == status
    assert complaint in done.stderr
    assert "recorded" not in done.stderr


def test_a_command_that_publishes_nothing_is_said_to_have_recorded_nothing(folder):
    folder.start()
    done = ds_run(folder, "--", sys.executable, "-c", "raise SystemExit(3)")
    assert (done.returncode, done.stderr) == (3, "0 runs recorded\n")


def test_a_command_is_told_when_it_is_time_to_end(folder):
    folder.start()
    waits = "import signal; print('ready', flush=True); signal.pause()"
    with running(folder, waits) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (128 + signal.SIGTERM, b"0 runs recorded\n")


def test_a_run_that_cannot_be_kept_does_not_end_the_workload(folder, make_record):
    folder.start()
    run = make_record()
    path = folder.workspace.runs_dir / f"{run.run_id}.json"
    marker = encode_marker(run.run_id, to_wire(run))
    # The folder of sidecars goes away while the workload runs.
    script = f"import shutil; shutil.rmtree({str(path.parent)!r}); print({marker!r}); print('the end')"
    done = ds_run(folder, "--", sys.executable, "-c", script)
    assert done.returncode == 0
    assert done.stdout.endswith("the end\n")
    assert f"The run {run.run_id} is not recorded" in done.stderr


def executed(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_what_a_link_names_is_executed_and_the_link_stays(folder, tmp_path):
    target = executed(tmp_path / "elsewhere.ipynb", "1 + 1")
    link = folder.root / "link.ipynb"
    link.symlink_to(target)
    folder.start()
    assert ds_run(folder, "link.ipynb").returncode == 0
    assert link.is_symlink()
    assert nbformat.read(target, as_version=4).cells[0].outputs[0]["data"]["text/plain"] == "2"


def test_a_notebook_that_cannot_be_saved_ends_the_execution_and_says_so(folder):
    (folder.root / "sub").mkdir()
    executed(folder.root / "sub" / "a.ipynb", "import os, shutil; shutil.rmtree(os.getcwd())")
    folder.start()
    done = ds_run(folder, "sub/a.ipynb")
    assert done.returncode == 1
    assert "a.ipynb cannot be saved (No such file or directory)" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_notebook_that_cannot_be_read_does_not_hold_a_run_up(folder):
    folder.write("half.ipynb", b'{"cells": [')
    executed(folder.root / "a.ipynb", "import dotscience as ds", "ds.start(); ds.publish('fit')")
    folder.start(unreadable_after_s="0.1")
    folder.until(lambda status: status["error"])
    done = ds_run(folder, "a.ipynb")
    assert (done.returncode, done.stderr.splitlines()[-2]) == (0, "1 run recorded")


def test_a_reader_that_goes_away_ends_the_workload(folder):
    folder.start()
    endless = "import itertools\nfor i in itertools.count(): print(i)"
    with running(folder, endless) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode != 0
    assert "0 runs recorded" in said
    assert "dotscience" not in said.partition("0 runs")[0]


@pytest.mark.parametrize("name", ["for", "None", "a-b", ""])
def test_a_parameter_needs_a_name_that_python_takes(folder, name):
    executed(folder.root / "a.ipynb", "1")
    done = ds_run(folder, "a.ipynb", "--param", f"{name}=1")
    assert done.returncode == 2
    assert "is not NAME=VALUE with a Python name" in done.stderr


def test_without_a_committer_the_status_is_that_there_is_none(folder):
    done = folder.command("status", "--json")
    assert json.loads(done.stdout)["state"] == "stopped"
    assert "No committer runs" in folder.command("status").stdout


def test_a_commit_that_the_hub_does_not_have_yet_is_said_to_be_so(make_folder, hub):
    folder = make_folder(hub=hub)
    folder.start()
    folder.until_pushed()
    hub.down()
    folder.write("a.txt", b"1")
    done = folder.command("commit", "-m", "x")
    assert "1 commit not pushed yet" in done.stderr
