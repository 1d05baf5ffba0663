"""What a run ran on: captured once, cheaply, and without secrets."""

import os
import platform
import subprocess
from importlib.metadata import version

import pytest

from dotscience import environment, surroundings
from dotscience.git import GitState, git_state
from dotscience.record import Environment, decode_json

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_capture(root, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere/private/venv")
    captured = environment.capture(str(root))
    assert captured.python == platform.python_version()
    assert captured.packages["msgspec"] == version("msgspec")
    assert captured.cpu_count == os.cpu_count()
    assert captured.variables["OMP_NUM_THREADS"] == "4"
    assert captured.variables["VIRTUAL_ENV"] == "venv"
    assert "hunter2" not in repr(captured)
    assert set(captured.variables) <= {*surroundings._RECORDED_VARIABLES, "VIRTUAL_ENV"}


def test_the_file_is_left_once_per_process(root):
    folder = root / ".dotscience/runs"
    for _ in range(2):
        environment.leave(folder, str(root))
        for thread in environment.threading.enumerate():
            if thread.name == "dotscience-environment":
                thread.join()
    [path] = folder.glob("*.environment.json")
    assert path.name == f"{environment.identity()}.environment.json"
    assert decode_json(path.read_bytes(), Environment).python == platform.python_version()
    path.unlink()
    environment.leave(folder, str(root))
    assert list(folder.iterdir()) == []


def test_package_folders(tmp_path, monkeypatch):
    for name in ("Foo_Bar-1.2.dist-info", "egg-3.0-py3.11.egg-info", "nodash.dist-info", "x.py"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path), str(tmp_path / "missing")])
    assert environment.capture(str(tmp_path)).packages == {"foo-bar": "1.2", "egg": "3.0"}


def test_gpus_are_asked_for_within_limits(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A100, 81920 MiB'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert environment.capture(str(tmp_path)).gpus == ["NVIDIA A100, 81920 MiB"]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert environment.capture(str(tmp_path)).gpus == []


@pytest.fixture
def repository(tmp_path):
    def git(*arguments, folder=tmp_path):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
        answer = subprocess.run(
            ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True
        )
        return answer.stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    return git


def test_git_state(tmp_path, repository):
    (tmp_path / "sub").mkdir()
    commit = repository("rev-parse", "HEAD")
    assert git_state(tmp_path / "sub") == GitState(commit, dirty=False)
    (tmp_path / "untracked").write_text("")
    assert git_state(tmp_path).dirty is False
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == GitState(commit, dirty=True)


def test_git_state_of_packed_detached_and_linked_trees(tmp_path, repository):
    commit = repository("rev-parse", "HEAD")
    repository("worktree", "add", "-q", "linked", "-b", "other")
    repository("pack-refs", "--all")
    assert git_state(tmp_path).commit == commit
    assert git_state(tmp_path / "linked").commit == commit
    repository("checkout", "-q", "--detach")
    assert git_state(tmp_path).commit == commit


def test_no_or_broken_repositories(tmp_path):
    assert git_state(tmp_path) == GitState()
    (tmp_path / ".git").mkdir()
    assert git_state(tmp_path) == GitState()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    assert git_state(tmp_path).commit is None


def test_a_repository_cannot_start_programs(tmp_path, repository):
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    hook.chmod(0o755)
    repository("config", "core.fsmonitor", str(hook))
    git_state(tmp_path)
    assert not (tmp_path / "started").exists()
