"""Texts name `ds` as the user's shell can call it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dotscience.invocation import ds_command, spelled


@pytest.fixture
def python(tmp_path, monkeypatch):
    """An interpreter in an environment of its own, with the `ds` script beside it, which PATH does not lead to."""
    scripts = tmp_path / "some where" / ".venv" / "bin"
    scripts.mkdir(parents=True)
    for name in ("python", "ds"):
        (scripts / name).write_text("#!/bin/sh\necho called $0\n")
        (scripts / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return scripts / "python"


def test_it_is_ds_where_the_path_leads_to_it(python, monkeypatch):
    monkeypatch.setenv("PATH", f"{python.parent}:/usr/bin")
    assert ds_command() == "ds"
    assert spelled("run `ds up`") == "run `ds up`"


def test_it_is_the_scripts_path_where_the_path_leads_nowhere(python):
    command = ds_command()
    assert command == f"'{python.with_name('ds')}'"
    called = subprocess.run(f"{command} up", shell=True, capture_output=True, text=True, check=True)
    assert called.stdout.startswith("called ")


def test_from_the_folder_above_it_is_a_short_path(python, monkeypatch):
    monkeypatch.chdir(python.parents[2])
    assert ds_command() == ".venv/bin/ds"
    assert ds_command(anywhere=True) == f"'{python.with_name('ds')}'"
    assert spelled("`ds up`, or `ds hub login-link`") == "`.venv/bin/ds up`, or `.venv/bin/ds hub login-link`"


def test_another_ds_on_the_path_is_not_meant(python, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    (other / "ds").write_text("#!/bin/sh\n")
    (other / "ds").chmod(0o755)
    monkeypatch.setenv("PATH", str(other))
    assert ds_command() == f"'{python.with_name('ds')}'"


def test_a_link_to_it_on_the_path_is_meant(python, tmp_path, monkeypatch):
    (tmp_path / "ds").symlink_to(python.with_name("ds"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ds_command() == "ds"


def test_without_a_script_it_is_the_module(python, monkeypatch):
    python.with_name("ds").unlink()
    monkeypatch.chdir(python.parents[2])
    assert ds_command() == ".venv/bin/python -m dotscience.cli"


def test_a_current_folder_that_is_gone_does_no_harm(python, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert ds_command() == f"'{python.with_name('ds')}'"


@pytest.mark.parametrize("text", ["", "ds.publish()", "the folder `ds` is no command", "`ds`"])
def test_what_names_no_command_stays(python, text):
    assert spelled(text) == text
