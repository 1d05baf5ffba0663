"""`ds up` in a folder that is bound to a hub already."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import psutil
import pytest
from support.lab import Up

from dotscience.client.local_hub import read_hub_file
from dotscience.workspace import HubBinding, new_workspace, read_project, write_project

ELSEWHERE = HubBinding(url="https://hub.invalid", project_id="p1", project_name="theirs")


@pytest.fixture
def folder(home, tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    write_project(msgspec.structs.replace(new_workspace(root), hub=ELSEWHERE))
    return root


def test_a_folder_of_another_machines_hub_stays_bound_to_it(folder):
    up = Up(folder)
    try:
        assert up.dashboard == "https://hub.invalid/p/p1"
        assert read_hub_file(Path(os.environ["DS_HUB_DATA"])) is None
    finally:
        assert up.stop() == 0
    assert read_project(folder).hub == ELSEWHERE


def test_on_request_it_is_bound_to_the_hub_of_this_machine_and_that_is_said(folder):
    up = Up(folder, "--local-hub")
    try:
        hub = up.hub
        assert f"was bound to theirs on {ELSEWHERE.url}; its history is now pushed to work on {hub.url}" in up.printed
        assert read_project(folder).hub.url == hub.url
    finally:
        assert up.stop() == 0


def test_what_it_says_to_call_works_where_the_path_leads_to_no_ds(home, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    root = tmp_path / "work"
    up = Up(root)
    try:
        command = re.search(r"`(.+ login-link)`", up.printed)[1]
        called = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=60)
        assert called.stdout.startswith(f"{up.hub.url}/login#code=")
        assert shutil.which("ds", path=path_of_jupyterlab(up)) is not None, "for its terminals and for cells"
    finally:
        assert up.stop() == 0


def path_of_jupyterlab(up):
    children = psutil.Process(up.process.pid).children()
    (jupyterlab,) = [child for child in children if "jupyterlab" in child.cmdline()]
    return jupyterlab.environ()["PATH"]
