"""A process that records points of metrics when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from dotscience.cli.processes import wait_until
from dotscience.errors import NotFound

PATIENCE_S = 60.0

SCRIPT = """
import sys
import dotscience as ds

ds.start(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    word, *numbers = line.split()
    if word == "points":
        for step in range(*map(int, numbers)):
            ds.metric("loss", 1 / (step + 1), step=step)
            ds.metric("step", step, step=step)
    else:
        ds.publish(stream=open("/dev/null", "w"))
    print("done", flush=True)
"""


class Training:
    """Runs in a tracked folder; every call returns when the process has done it."""

    def __init__(self, root: Path, description: str = "train") -> None:
        self.description = description
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, description],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def points(self, start: int, end: int) -> None:
        """Record the points of these steps, of two metrics."""
        self._tell(f"points {start} {end}")

    def publish(self) -> None:
        self._tell("publish")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Let it end by itself; idempotent."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(PATIENCE_S)

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "the training ended"


class Watch:
    """What a hub says of the runs of one project."""

    def __init__(self, hub, project: str) -> None:
        self._hub = hub
        self._project = project

    def live(self) -> dict[str, dict]:
        """The runs that are not published, by their descriptions."""
        with self._hub.client() as client:
            return {run["record"]["description"]: run for run in client.live_runs(self._project)}

    def steps(self, run_id: str) -> list[int]:
        """The steps of a run that are there, where both metrics have the same."""
        with self._hub.client() as client:
            try:
                found = client.metrics(self._project, run_id, points=5_000)
            except NotFound:
                return []
        curves = {curve["name"]: curve["points"] for curve in found["curves"]}
        assert all(value == step for step, _, value in curves.get("step", []))
        steps = [step for step, _, _ in curves.get("step", [])]
        return steps if steps == [step for step, _, _ in curves.get("loss", [])] else []

    def until(self, ready):
        """What `ready` answers, as soon as that is something."""
        return wait_until(self._hub.component, lambda: ready() or None, timeout_s=PATIENCE_S)

    def until_live(self, description: str, status: str = "running") -> dict:
        """The run as soon as it is listed so."""

        def found():
            run = self.live().get(description)
            return run if run and run["status"] == status else None

        return self.until(found)

    def until_steps(self, run_id: str, end: int) -> None:
        """Until exactly the steps before `end` are there."""
        self.until(lambda: self.steps(run_id) == list(range(end)))
