"""Saves reach the committer, and what the committer says reaches the browser."""

import asyncio
import json
import logging
import os

import pytest

from dotscience.workspace import ROOT_VARIABLE
from jupyter_extension.emitter import MOST_PENDING, Emitter

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


async def save(jp_fetch, name):
    body = json.dumps({"type": "notebook", "content": NOTEBOOK, "format": "json"})
    return await jp_fetch("api", "contents", name, method="PUT", body=body)


async def test_a_save_nudges_the_committer(jp_fetch, committer):
    assert (await save(jp_fetch, "a.ipynb")).code == 201
    assert await committer.nudges.get() == "a.ipynb"


async def test_a_save_works_without_a_committer(jp_fetch, workspace):
    assert (await save(jp_fetch, "a.ipynb")).code == 201


async def test_a_save_works_outside_a_workspace(jp_fetch, jp_root_dir):
    assert (await save(jp_fetch, "a.ipynb")).code == 201


async def test_a_failing_nudge_does_not_fail_the_save(jp_serverapp, jp_fetch, committer, monkeypatch, caplog):
    app = jp_serverapp.extension_manager.extension_apps["jupyter_extension"].copy().pop()

    class BrokenLoop:
        def add_callback(self, *_):
            raise RuntimeError("closed")

    monkeypatch.setattr(app, "_loop", BrokenLoop())
    with caplog.at_level(logging.WARNING):
        assert (await save(jp_fetch, "a.ipynb")).code == 201
    assert "a save was not passed on" in caplog.text


async def test_the_feed_becomes_events(committer, events):
    await committer.connected.wait()
    kind, data = await events.get()
    while data["state"] != "watching":
        kind, data = await events.get()
    assert (kind, data["message"], data["unpushed"]) == ("committer", "It is watching", 2)

    run_id = committer.add_run()
    committer.say({"type": "run", "action": "detected", "run_id": run_id, "notebook": "a.ipynb", "state": "pending"})
    kind, data = await events.get()
    named = {name: data[name] for name in ("action", "run_id", "notebook", "state")}
    assert (kind, named) == (
        "run",
        {"action": "detected", "run_id": run_id, "notebook": "a.ipynb", "state": "pending"},
    )


async def test_unknown_lines_and_fields_do_no_harm(committer, events):
    await committer.connected.wait()
    committer.say({"type": "from-the-future"})
    committer.say({"type": "run", "run_id": 5})
    committer.say({"type": "resync"})
    run_id = committer.add_run()
    committer.say({"type": "run", "action": "updated", "run_id": run_id, "notebook": None, "state": "pushed", "x": 1})
    kind, data = await events.get()
    while kind != "run":
        kind, data = await events.get()
    assert (data["run_id"], data["notebook"]) == (run_id, None)


async def test_a_committer_that_comes_back_is_followed_again(committer, events):
    await committer.connected.wait()
    committer.connected.clear()
    committer.state = "pushed"
    committer.listeners.pop().finished.set()
    await committer.connected.wait()
    while (await events.get())[1]["state"] != "pushed":
        pass


def test_kernels_are_told_the_root(jp_serverapp_with_workspace):
    assert os.environ[ROOT_VARIABLE] == str(jp_serverapp_with_workspace)


@pytest.fixture
def jp_serverapp_with_workspace(workspace, jp_serverapp, jp_asyncio_loop):
    jp_asyncio_loop.run_until_complete(asyncio.sleep(0))
    return workspace.root


class Recorder:
    """An event logger that keeps what it is told; `sent` can be awaited."""

    def __init__(self):
        self.sent = asyncio.Queue()

    def register_event_schema(self, schema):
        raise AssertionError("not in these tests")

    def emit(self, *, schema_id, data):
        self.sent.put_nowait(data)


async def test_events_are_merged_and_the_last_state_arrives():
    recorder = Recorder()
    emitter = Emitter(recorder, interval_s=0.01)
    emitter.run("detected", "r1", None, "pending")
    assert recorder.sent.get_nowait()["state"] == "pending"
    emitter.run("detected", "r1", None, "committed")
    emitter.run("updated", "r1", None, "pushed")
    assert recorder.sent.empty()
    assert await recorder.sent.get() == {"action": "detected", "run_id": "r1", "notebook": None, "state": "pushed"}
    emitter.close()
    assert recorder.sent.empty()


async def test_a_flood_of_events_is_bounded():
    recorder = Recorder()
    emitter = Emitter(recorder, interval_s=0.01)
    for number in range(MOST_PENDING * 5):
        emitter.run("detected", f"r{number}", None, "pending")
    assert recorder.sent.get_nowait()["run_id"] == "r0"
    later = [(await recorder.sent.get())["run_id"] for _ in range(MOST_PENDING)]
    assert later == [f"r{number}" for number in range(MOST_PENDING * 4, MOST_PENDING * 5)]
    emitter.close()
