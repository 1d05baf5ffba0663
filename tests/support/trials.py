"""Processes that meet their fate at the n-th system call of a kind: killed there, or told that the disk is full.

Starting Python takes longer than what is tried here. So one process imports everything and waits, and each trial is a
fork of it; strace(1) attaches when the trial is ready to begin, so that no other calls are counted.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from support.requirements import require_root_and

TESTS = Path(__file__).parent.parent
KILLED = -signal.SIGKILL
MOST = 2_000
EVERY = "DS_TEST_EVERY_MOMENT"


class Fault(NamedTuple):
    """What happens at the `when`-th of the system calls `calls` (from 1, counted in each thread by itself).

    `what` is in strace's words; with `paths`, calls on other files do not count.
    """

    calls: str
    what: str
    when: int
    paths: tuple[Path, ...] = ()

    @property
    def options(self) -> list[str]:
        named = [option for path in self.paths for option in ("-P", str(path))]
        return [*named, "-e", f"trace={self.calls}", "-e", f"inject={self.calls}:{self.what}:when={self.when}"]


class Trial:
    """A process that has said its first word and waits for `begin`."""

    def __init__(self, waiting: subprocess.Popen[str], fault: Fault | None) -> None:
        self._waiting = waiting
        self._strace: subprocess.Popen[str] | None = None
        self.is_over = False
        self.has_struck = False
        """Whether the fault happened; known when the trial has ended."""
        first = self._read()
        self.pid, self.said = first["pid"], [first["said"]]
        if fault is not None:
            self._attach(fault)

    def _attach(self, fault: Fault) -> None:
        self._calls = NamedTemporaryFile("r")  # noqa: SIM115 - `spare` closes it
        command = ["strace", "-f", "-o", self._calls.name, *fault.options, "-p", str(self.pid)]
        self._strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self._strace.stderr:
            if "attached" in line:
                return
        raise AssertionError("strace could not attach")

    def _read(self) -> dict:
        return json.loads(self._waiting.stdout.readline())

    def begin(self) -> None:
        self._waiting.stdin.write("\n")
        self._waiting.stdin.flush()

    def wait(self) -> int:
        """How it ended: its exit status, or minus a signal's number. What it said meanwhile is in `said`."""
        while "status" not in (line := self._read()):
            self.said.append(line["said"])
        self.is_over = True
        self.spare()
        self.has_struck |= line["status"] == KILLED
        return line["status"]

    def spare(self) -> None:
        """Let nothing happen any more. Idempotent."""
        if self._strace is None:
            return
        self._strace.kill()  # which lets the process go on by itself; asked to end, it waits for ever for one that died
        self._strace.wait()
        self._strace.stderr.close()
        with self._calls:
            self.has_struck = "(INJECTED)" in self._calls.read()
        self._strace = None

    def end(self) -> int:
        """Ask it to end, which it may have done."""
        self.spare()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()


class Trials:
    """Starts trials, one at a time: each is a generator function of `module`, which says what it yields."""

    def __init__(self, waiting: subprocess.Popen[str]) -> None:
        self._waiting = waiting
        self._last: Trial | None = None

    def start(self, function: str, *arguments: object, fault: Fault | None = None) -> Trial:
        wanted = {"function": function, "arguments": [str(one) for one in arguments]}
        self._waiting.stdin.write(json.dumps(wanted) + "\n")
        self._waiting.stdin.flush()
        self._last = Trial(self._waiting, fault)
        return self._last

    def stop(self) -> None:
        """End a trial that a test left behind."""
        if self._last is not None and not self._last.is_over:
            os.kill(self._last.pid, signal.SIGKILL)
            self._last.wait()

    def run(self, function: str, *arguments: object, fault: Fault | None = None) -> Trial:
        """A trial that began; call `wait`."""
        trial = self.start(function, *arguments, fault=fault)
        trial.begin()
        return trial


@contextmanager
def trials(module: str):
    """Trials of what a module has."""
    require_root_and(strace="strace")
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    with subprocess.Popen(
        [sys.executable, "-m", "support.trials", module],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as waiting:
        made = Trials(waiting)
        try:
            yield made
        finally:
            made.stop()
            waiting.stdin.close()  # which ends it


def moments(attempt, stride=1):
    """Try every `stride`-th moment until one is past the end, or all with `EVERY`; how many did something."""
    if os.environ.get(EVERY):
        stride = 1
    for when in range(1, MOST, stride):
        if not attempt(when):
            return (when - 1) // stride
    raise AssertionError(f"there are more than {MOST} calls")


def _wait_for_work(module_name: str) -> None:
    module = importlib.import_module(module_name)
    for line in iter(sys.stdin.readline, ""):
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_try(getattr(module, wanted["function"]), wanted["arguments"]))
        _, status = os.waitpid(child, 0)
        _say(status=os.waitstatus_to_exitcode(status))


def _try(function, arguments: list[str]) -> int:
    try:
        words = function(*arguments)
        _say(pid=os.getpid(), said=next(words))
        os.read(0, 1)
        for word in words:
            _say(said=word)
    except BaseException:  # noqa: BLE001 - the process's boundary
        traceback.print_exc()
        return 1
    return 0


def _say(**words: object) -> None:
    line = json.dumps(words).encode() + b"\n"
    try:
        os.write(1, line)
    except OSError:  # the fault was this very call's, and happens once
        os.write(1, line)


if __name__ == "__main__":
    _wait_for_work(sys.argv[1])
