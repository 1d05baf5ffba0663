"""`ds up` in a folder that is bound to a hub already."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
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
