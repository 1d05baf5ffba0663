"""The extension in front of the real `ds init` and `ds committer`."""

import asyncio
import json
import os
from uuid import uuid4

import pytest

from dotscience.client.committer import read_endpoint
from dotscience.errors import CommitterUnavailable
from dotscience.workspace import PROJECT_FILE, is_root


@pytest.fixture
def jp_server_config(jp_server_config):
    return {**jp_server_config, "DotscienceApp": {"autostart_committer": True}}


@pytest.fixture
def short_runtime_folder(tmp_path_factory, monkeypatch):
    """Where the committer puts its socket: not the user's own folder."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))


async def state_of(events, kind, wanted):
    """Wait for an event that says `wanted`."""
    async with asyncio.timeout(60):
        while True:
            found, data = await events.get()
            if found == kind and data["state"] in wanted:
                return data


def notebook_with_run(run_id):
    record = {
        "schema": "dotscience.run.v1",
        "run_id": run_id,
        "started_at": "2126-01-01T00:00:00Z",
        "ended_at": "2126-01-01T00:00:01Z",
        "summary": {"accuracy": 0.5},
    }
    data = {"application/vnd.dotscience.run.v1+json": record, "text/plain": "a run"}
    output = {"output_type": "display_data", "metadata": {}, "data": data}
    cell = {"cell_type": "code", "id": "c1", "execution_count": 1, "metadata": {}, "source": "", "outputs": [output]}
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.mark.e2e
async def test_a_folder_becomes_tracked_and_a_saved_run_is_committed(
    jp_root_dir, short_runtime_folder, api, events, jp_fetch, jp_serverapp
):
    status, answer = await api("POST", "tracking", body={"path": ""})
    assert (status, answer["tracked"], answer["root"]) == (201, True, str(jp_root_dir))
    assert is_root(jp_root_dir)
    await state_of(events, "committer", {"watching", "committed"})
    committer_pid = read_endpoint(jp_root_dir).pid

    run_id = str(uuid4())
    content = {"type": "notebook", "format": "json", "content": notebook_with_run(run_id)}
    await jp_fetch("api", "contents", "a.ipynb", method="PUT", body=json.dumps(content))
    await state_of(events, "run", {"committed"})
    status, answer = await api("GET", "runs", notebook="a.ipynb")
    assert [(run["run_id"], run["state"], run["notebook"]) for run in answer["runs"]] == [
        (run_id, "committed", "a.ipynb")
    ]

    status, answer = await api("POST", "commits", body={"description": "by hand"})
    assert (status, answer["files"]) == (201, 2)  # the notebook and .dotscienceignore

    await jp_serverapp.extension_manager.stop_all_extensions()
    with pytest.raises(ProcessLookupError):
        os.kill(committer_pid, 0)
    with pytest.raises(CommitterUnavailable):
        read_endpoint(jp_root_dir)


@pytest.mark.e2e
async def test_a_committer_that_cannot_start_says_why(workspace, short_runtime_folder, api, events):
    (workspace.state_dir / PROJECT_FILE).write_text("version = 99\n")
    async with asyncio.timeout(60):
        while not (answer := (await api("GET", "status"))[1])["error"]:
            await events.get()
    assert answer["committer"] is None
    assert "version 99" in answer["error"]


async def test_a_folder_that_ds_init_refuses_stays_untracked(jp_root_dir, api, monkeypatch):
    monkeypatch.setenv("HOME", str(jp_root_dir))
    status, answer = await api("POST", "tracking", body={"path": ""})
    assert (status, answer["code"]) == (409, "tracking-failed")
    assert "home folder" in answer["message"]
    assert not is_root(jp_root_dir)
