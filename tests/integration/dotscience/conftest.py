"""Real interpreters and kernels in a tracked folder."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.legacy_hub import SECRET, USER, legacy_hub

from dotscience import Dotscience
from dotscience.notebook import read_sidecar
from dotscience.workspace import ROOT_VARIABLE, new_workspace, write_project

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(new_workspace(folder))
    return folder


@pytest.fixture
def environment():
    """The environment for a process of a user: it finds this library, and nothing about a workspace."""
    drop = {ROOT_VARIABLE, "DOTSCIENCE_WORKLOAD_TYPE", "JPY_SESSION_NAME"}
    return {name: value for name, value in os.environ.items() if name not in drop} | {"PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def run_script(root, environment):
    """Run Python code as a script in the tracked folder, with SIGINT as a terminal has it, wherever tests run."""

    def run(code: str, **changes: str) -> subprocess.CompletedProcess[str]:
        (root / "script.py").write_text(textwrap.dedent(code))
        command = ["env", "--default-signal=INT", sys.executable, "script.py"]
        return subprocess.run(
            command, cwd=root, env=environment | changes, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture
def sidecars(root):
    """The records that were left in the workspace, oldest first."""

    def read():
        files = sorted((root / ".dotscience/runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [
            read_sidecar(path.read_bytes(), path.name).record
            for path in files
            if not path.name.endswith(".environment.json")
        ]

    return read


@pytest.fixture
def hub():
    """A hub of the original's that users connect to from anywhere."""
    with legacy_hub() as hub:
        yield hub


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that nobody tracks, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOTSCIENCE_PROJECT_DOT_ROOT", str(tmp_path))
    monkeypatch.delenv("DOTSCIENCE_URL", raising=False)
    monkeypatch.delenv("DOTSCIENCE_WORKLOAD_TYPE", raising=False)
    return tmp_path


@pytest.fixture
def ds(hub, folder):
    """A library of one's own, connected."""
    library = Dotscience()
    library.connect(USER, SECRET, "mnist", hub.url)
    return library


@pytest.fixture
def write(folder):
    """Write a file of the folder, and return its path there."""

    def write(path, content="x"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
