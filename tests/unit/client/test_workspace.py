"""The project file: what is written is read back, and what is damaged says so."""

from __future__ import annotations

import stat

import msgspec
import pytest

from dotscience.errors import ConfigError, NotAWorkspace
from dotscience.workspace import (
    HubBinding,
    find_root,
    is_root,
    new_workspace,
    open_workspace,
    read_project,
    write_durably,
    write_project,
)


@pytest.fixture
def workspace(tmp_path):
    workspace = new_workspace(tmp_path)
    write_project(workspace)
    return workspace


def test_a_project_file_is_read_back_as_written(workspace):
    assert read_project(workspace.root) == workspace


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "new\nline", "déjà vu 🚀", "tab\t", "del\x7f"])
def test_any_project_name_survives_the_file(workspace, name):
    bound = msgspec.structs.replace(workspace, hub=HubBinding(url="http://h:1", project_id="p", project_name=name))
    write_project(bound)
    assert read_project(workspace.root).hub == bound.hub


def test_the_state_folder_is_private(workspace):
    assert stat.S_IMODE(workspace.state_dir.stat().st_mode) == 0o700


def test_the_nearest_root_wins(workspace):
    inner = workspace.root / "a" / "b"
    inner.mkdir(parents=True)
    assert find_root(inner) == workspace.root
    write_project(new_workspace(inner))
    assert find_root(inner) == inner


def test_outside_any_workspace_the_error_names_the_folder_and_the_remedy(tmp_path):
    assert not is_root(tmp_path)
    with pytest.raises(NotAWorkspace, match=r"ds init") as caught:
        open_workspace(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version = 2",
        b'version = 1\ndot_id = "x"',
        b"\xff\xfe",
        b"version = [",
        b'version = 1\ndot_id = "x"\ninitialised_at = 3',
        b'version = 1\ndot_id = "../x"\ninitialised_at = "2026-01-01T00:00:00Z"',
        b'version = 1\ndot_id = 5\ninitialised_at = "2026-01-01T00:00:00Z"',
        b'version = 1\ndot_id = "6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0"\ninitialised_at = "0001-01-01T00:00:00+23:59"',
    ],
)
def test_a_damaged_project_file_is_a_clear_error(workspace, content):
    path = workspace.state_dir / "project.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="restore it"):
        read_project(workspace.root)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "keep").write_text("x")
    with pytest.raises(OSError):  # noqa: PT011 - IsADirectoryError or another, by file system
        write_durably(target, b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
