"""`ds run` in a tracked folder: what it says about what it recorded."""

from __future__ import annotations

import signal
import subprocess
import sys

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


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--", "no-such-command"), 127, "'no-such-command' cannot be started"),
        (("--", "./data.csv"), 127, "cannot be started"),
        (("missing.ipynb",), 1, "missing.ipynb cannot be read"),
        (("broken.ipynb",), 1, "is not a notebook"),
    ],
)
def test_what_cannot_be_executed_records_nothing_and_says_so_once(folder, arguments, status, complaint):
    folder.write("data.csv", b"1,2\n")
    folder.write("broken.ipynb", b"{")
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
    with subprocess.Popen(
        [sys.executable, "-m", "dotscience.cli", "run", "--", sys.executable, "-c", waits],
        cwd=folder.root,
        env=folder.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
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
