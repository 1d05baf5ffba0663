"""A hub and a tracked folder as whole processes, which tests start, kill and look into."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import nbformat
import pytest

from dotscience.cli.processes import Component, start, wait_until
from dotscience.client.binding import bind
from dotscience.client.committer import CommitterClient
from dotscience.client.hub import HubClient
from dotscience.client.local_hub import find_hub
from dotscience.errors import CommitterUnavailable
from dotscience.workspace import read_project

DS = [sys.executable, "-m", "dotscience.cli"]
TIMEOUT_S = 60.0


@contextlib.contextmanager
def own_home(folder: Path) -> Iterator[Path]:
    """Everything that Dotscience and Jupyter keep per user goes below `folder`, for the processes started meanwhile."""
    places = {
        "DOTSCIENCE_CONFIG_DIR": "config",
        "XDG_DATA_HOME": "data",
        "XDG_RUNTIME_DIR": "runtime",
        "JUPYTER_CONFIG_DIR": "jupyter",
        "JUPYTER_DATA_DIR": "jupyter-data",
        "JUPYTER_RUNTIME_DIR": "jupyter-runtime",
        "IPYTHONDIR": "ipython",
        "DS_HUB_DATA": "hub",
    }
    with pytest.MonkeyPatch.context() as patch:
        for variable, name in places.items():
            (folder / name).mkdir(parents=True, mode=0o700)
            patch.setenv(variable, str(folder / name))
        yield folder


class Hub:
    """A hub process that can be killed and started again on the same data and port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.component: Component | None = None
        self.port = 0

    def start(self) -> None:
        command = [*DS, "hub", "--data", str(self.data), "--port", str(self.port)]
        self.component = start("the hub", command, log=self.data.parent / "hub.log")
        running = wait_until(self.component, lambda: find_hub(self.data), timeout_s=TIMEOUT_S)
        self.url, self.admin_token = running.url, running.admin_token
        self.port = int(self.url.rsplit(":", 1)[1])

    @classmethod
    def of(cls, data: Path) -> Hub:
        """The hub that somebody else runs on this data folder."""
        running = find_hub(data)
        hub = cls(data)
        hub.url, hub.admin_token = running.url, running.admin_token
        return hub

    def kill(self) -> None:
        kill(self.component)

    def client(self) -> HubClient:
        return HubClient(self.url, self.admin_token)

    def runs(self, project_id: str) -> list[dict]:
        with self.client() as client:
            return list(client.runs(project_id))

    def content(self, project_id: str, commit: str, path: str) -> bytes:
        import requests

        answer = requests.get(
            f"{self.url}/api/v1/projects/{project_id}/commits/{commit}/content",
            params={"path": path},
            headers={"Authorization": f"Bearer {self.admin_token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.content


class Tracked:
    """A tracked folder with a committer process that can be killed and started again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.component: Component | None = None

    @classmethod
    def make(cls, root: Path) -> Tracked:
        ds("init", str(root), "--offline", "--yes")
        return cls(root)

    def bind(self, hub: Hub) -> None:
        with hub.client() as client:
            self.project = bind(read_project(self.root), client).hub.project_id

    def start(self) -> None:
        command = [*DS, "committer", "--root", str(self.root)]
        self.component = start("the committer", command, log=self.root.parent / "committer.log")
        wait_until(self.component, self.status, timeout_s=TIMEOUT_S)

    def kill(self) -> None:
        kill(self.component)

    @property
    def client(self) -> CommitterClient:
        return CommitterClient(self.root)

    def status(self):
        try:
            return self.client.status()
        except CommitterUnavailable:
            return None

    def wait_for(self, condition) -> dict:
        """Follow the event feed until the status meets the condition, and return that status."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            # The feed ends with an error after a second of silence, which is when the clock is looked at again.
            with contextlib.suppress(CommitterUnavailable):
                for event in self.client.events(timeout_s=1.0):
                    status = event["status"] if event["type"] == "status" else self.client.status()
                    if condition(status):
                        return status
        raise AssertionError(f"waited {TIMEOUT_S} s; the last status was {self.status()}")

    def wait_for_runs(self, count: int, *, pushed: bool = True) -> dict:
        return self.wait_for(
            lambda status: (
                status["runs"] >= count and not status["pending_runs"] and not (pushed and status["unpushed"])
            )
        )

    def runs(self) -> list[dict]:
        return self.client.runs(limit=500)["runs"]


def kill(component: Component) -> None:
    os.killpg(component.process.pid, signal.SIGKILL)
    component.process.wait()


def ds(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    options = {"check": True, "timeout": TIMEOUT_S * 2, **options}
    return subprocess.run([*DS, *arguments], capture_output=True, text=True, **options)  # noqa: PLW1510 - in options


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def write_notebook(path: Path, *sources: str) -> Path:
    path.write_text(nbformat.writes(notebook_of(*sources)))
    return path


def publishing(count: int) -> str:
    loop = f"for i in range({count}):\n    ds.start(f'run {{i}}'); ds.parameter('i', i); ds.publish()"
    return f"import dotscience as ds\n{loop}"


def json_lines(text: str) -> list[dict]:
    return [msgspec.json.decode(line) for line in text.splitlines()]
