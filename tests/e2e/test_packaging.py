"""What a stranger gets: a wheel built from a clean checkout, without Node, brings both front ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment with the wheel of a clean checkout, and the libraries of this one."""
    folder = tmp_path_factory.mktemp("packaging")
    checkout, environment = folder / "checkout", folder / "venv"
    run("git", "clone", "--quiet", "--no-local", str(ROOT), str(checkout))
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    # The wheel is built in isolation with no Node to be found; what it depends on is what the tests run on.
    path = f"{environment / 'bin'}:/usr/sbin:/sbin"
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sh", "env", "git"):
        (tools / name).symlink_to(run("sh", "-c", f"command -v {name}").strip())
    run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(checkout), env_path=f"{tools}:{path}")
    libraries = next((environment / "lib").glob("python3*")) / "site-packages" / "libraries.pth"
    libraries.write_text(next(path for path in sys.path if path.endswith("site-packages")) + "\n")
    return environment


def run(*command, env_path=None):
    environment = {**os.environ, **({"PATH": env_path} if env_path else {})}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def test_both_extensions_are_enabled_without_node(installed):
    python = str(installed / "bin" / "python")
    listed = run(python, "-c", "from jupyterlab.labextensions import main; main()", "list")
    assert re.search(r"@dotscience/jupyterlab-extension v1\.0\.0 \S*enabled\S* \S*OK", listed), listed
    listed = run(python, "-m", "jupyter_server.extension.serverextension", "list")
    assert re.search(r"jupyter_extension \S*enabled", listed), listed
    assert re.search(r"jupyter_extension \S+ \S*OK", listed), listed


def test_the_wheel_brings_the_dashboard_and_no_sources_of_it(installed):
    packages = next((installed / "lib").glob("python3*")) / "site-packages"
    assert (packages / "hub_server" / "static" / "index.html").is_file()
    assert not (packages / "hub_server" / "dashboard").exists()
    assert not (packages / "tests").exists()
    for name in ("dotscience/py.typed", "hub_server/store/migrations/env.py", "jupyter_extension/events/run.v1.yaml"):
        assert (packages / name).is_file(), name
