"""`tools/step.py` says what a set-up does while it does it, and all that a step printed where it fails."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

STEP = [sys.executable, str(Path(__file__).parents[3] / "tools" / "step.py")]


def step(code, **options):
    command = [*STEP, "1/2 Trying", sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def on_a_terminal(code):
    ours, theirs = pty.openpty()
    with subprocess.Popen([*STEP, "1/2 Trying", sys.executable, "-c", code], stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
    os.close(ours)
    return process.returncode, shown.decode()


def test_a_step_that_succeeds_is_two_lines():
    done = step("print('noise')")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(" after ")[0] for line in done.stdout.splitlines()] == ["1/2 Trying …", "1/2 Trying: done"]


def test_a_step_that_fails_shows_what_it_printed_and_ends_with_its_status():
    done = step("import sys; print('it said this'); sys.exit('and that')")
    assert done.returncode == 1
    assert "1/2 Trying: failed" in done.stdout
    assert "it said this" in done.stderr
    assert "and that" in done.stderr


def test_a_step_that_is_killed_fails():
    assert step("import os; os.kill(os.getpid(), 9)").returncode == 128 + 9


def test_a_terminal_sees_each_second_what_goes_on():
    status, shown = on_a_terminal(r"import time; print('half\033[2J way'); time.sleep(2.5)")
    assert status == 0
    seconds = re.findall(r"1/2 Trying … (\d+) s  half\[2J way", shown)
    assert len(set(seconds)) > 1
    assert shown.count("\n") == 1, "one line is written over"
