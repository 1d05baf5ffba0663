"""`ds run` in a tracked folder: what it says about what it recorded."""

from __future__ import annotations

import subprocess
import sys

import pytest


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
