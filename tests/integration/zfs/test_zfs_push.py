"""A committer that sends its dataset besides its commits, to a hub that takes it, or does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import requests
from support.committer import DS, Process

from committer.initialise import initialise
from committer.workspace.zfs import committed_snapshots
from dotscience.client import credentials
from dotscience.client.committer import CommitterClient
from dotscience.client.hub import HubClient
from dotscience.workspace import HubBinding, read_project, write_project

PATIENCE_S = 60.0
SETTINGS = {
    "DS_COMMITTER_CHANGE_SOURCE": "zfs",
    "DS_COMMITTER_ZFS_SEND": "trusted",
    "DS_COMMITTER_HUB_CHECK_S": "0.5",
    "DS_COMMITTER_MIN_FREE_BYTES": "1",
}


class Committer:
    """A committer process of a workspace that a dataset holds."""

    def __init__(self, root, dataset, environment):
        self.root = root
        self.dataset = dataset
        self.dot_id = read_project(root).dot_id
        self.environment = environment
        self.process = None
        self.client = CommitterClient(root, timeout_s=PATIENCE_S)

    def start(self, **settings):
        more = {f"DS_COMMITTER_{name.upper()}": value for name, value in settings.items()}
        self.process = Process(self.root, self.environment | more)
        self.process.wait_for_log("committer.started")

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    def until_sent(self):
        """Wait until the snapshot of the head has arrived, if it has not yet."""
        head = self.until(lambda status: status["state"] == "pushed")["head"]
        (snapshot,) = [name for name, commit in committed_snapshots(self.dataset, self.dot_id) if commit == head]
        self.process.wait_for_log("zfs.sent", snapshot=snapshot)

    def bind(self, target):
        workspace = read_project(self.root)
        credentials.save(target.url, target.project_id, target.token)
        hub = HubBinding(url=target.url, project_id=target.project_id, project_name="project")
        write_project(msgspec.structs.replace(workspace, hub=hub))

    def until(self, condition):
        """The status as soon as the condition holds of it."""
        deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
        for _ in self.client.events(timeout_s=PATIENCE_S):
            status = self.client.status()
            if condition(status):
                return status
            assert datetime.now(UTC) < deadline, status
        raise AssertionError("the committer ended")


@pytest.fixture
def committer(folder, dataset, tmp_path, monkeypatch):
    """A tracked folder that is a dataset; its committer is not started yet."""
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", str(tmp_path / "config"))
    runtime = tempfile.mkdtemp(prefix="ds-")
    initialise(folder)
    (folder / "data").write_bytes(os.urandom(200_000))
    made = Committer(folder, dataset, {**os.environ, **SETTINGS, "XDG_RUNTIME_DIR": runtime})
    yield made
    made.stop()
    shutil.rmtree(runtime)


@pytest.fixture
def new_target(committer):
    """Makes the committer's dot known to a hub; where to push it, with a token of these scopes besides the usual."""

    def make(hub, *scopes):
        return hub.new_target(*scopes, dot_id=read_project(committer.root).dot_id)

    return make


def received(dots, target):
    """The guids of the snapshots that the hub has of a dot, oldest first."""
    copy = dots.child(target.dot_id)
    return [one.guid for one in copy.versions()] if copy.exists() else []


def snapshots(dataset):
    """The guids of a dataset's snapshots, oldest first."""
    return [one.guid for one in dataset.versions() if one.is_snapshot]


def head(target):
    """The commit that the hub has on the main branch."""
    with HubClient(target.url, target.token) as hub:
        return hub.dot(target.dot_id).branches["main"]


def test_each_commit_that_is_pushed_is_followed_by_its_snapshot(committer, dataset, dots, zfs_hub, new_target):
    target = new_target(zfs_hub, "zfs:receive")
    committer.bind(target)
    committer.start()
    committer.until_sent()
    for number in range(3):
        (committer.root / "data").write_bytes(os.urandom(1_000 + number))
        taken = committer.client.commit(f"change {number}")["commit"]
        committer.until_sent()
        assert head(target) == taken
    assert committer.client.status()["error"] is None
    assert len(received(dots, target)) == 4
    assert received(dots, target)[-1] == snapshots(dataset)[-1]
    assert len(snapshots(dataset)) <= 2, "the last commit's, and without bookmarks the one that the next follows"


def test_what_was_missed_is_sent_after_a_restart(committer, dataset, dots, zfs_hub, new_target):
    target = new_target(zfs_hub, "zfs:receive")
    committer.bind(target)
    committer.start(zfs_send="off")
    committer.until(lambda status: status["state"] == "pushed")
    committer.stop()
    assert received(dots, target) == []
    committer.start()
    committer.until_sent()
    assert received(dots, target) == snapshots(dataset)


def test_nothing_is_sent_unless_told_to(committer, dataset, dots, zfs_hub, new_target):
    target = new_target(zfs_hub, "zfs:receive")
    committer.bind(target)
    committer.start(zfs_send="off")
    committer.client.commit("one")
    committer.until(lambda status: status["state"] == "pushed")
    assert received(dots, target) == []


def test_a_hub_elsewhere_gets_commits_of_a_dataset_as_atomic_ones(committer, plain_hub, new_target):
    target = new_target(plain_hub, "runs:read")
    committer.bind(target)
    committer.start(zfs_send="off")
    content = os.urandom(100_000)
    (committer.root / "data").write_bytes(content)
    taken = committer.client.commit("changed")
    committer.until(lambda status: status["state"] == "pushed" and status["head"] == taken["commit"])
    assert taken["consistency"] == "atomic"
    headers = {"Authorization": f"Bearer {target.token}"}
    shown = f"{target.url}/api/v1/projects/{target.project_id}/commits/{taken['commit']}"
    assert requests.get(shown, headers=headers, timeout=PATIENCE_S).json()["consistency"] == "atomic"
    answer = requests.get(f"{shown}/content?path=data", headers=headers, timeout=PATIENCE_S)
    assert answer.content == content


def test_a_hub_that_takes_no_streams_is_said_to_and_gets_the_commits(committer, hub_process, new_target, tmp_path):
    with hub_process(tmp_path / "hub") as hub:
        committer.bind(new_target(hub, "zfs:receive"))
        committer.start()
        status = committer.until(lambda status: status["error"])
        assert status["error"]["type"] == "zfs-send-refused"
        assert "--zfs-receive trusted" in status["error"]["hint"]
        committer.until(lambda status: status["state"] == "pushed")
        committer.stop()


def test_a_token_without_the_scope_is_said_to_lack_it_until_it_has_it(committer, dataset, dots, zfs_hub, new_target):
    target = new_target(zfs_hub)
    committer.bind(target)
    committer.start()
    status = committer.until(lambda status: status["error"] and status["state"] == "pushed")
    assert status["error"]["type"] == "zfs-send-refused"
    assert "zfs:receive" in status["error"]["hint"]
    initialised = subprocess.run(
        [*DS, "init", "--hub", target.url],
        cwd=committer.root,
        env=committer.environment,
        input=zfs_hub.admin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert initialised.returncode == 0, initialised.stderr
    committer.until_sent()
    committer.until(lambda status: status["error"] is None and status["state"] == "pushed")
    assert received(dots, target) == snapshots(dataset)


def test_a_dataset_that_holds_more_than_the_workspace_is_not_sent(
    folder, dataset, committer, dots, zfs_hub, new_target
):
    """Nobody expects their other files on the hub."""
    inner = folder / "project"
    inner.mkdir()
    initialise(inner)
    made = Committer(inner, dataset, committer.environment)
    target = zfs_hub.new_target("zfs:receive", dot_id=read_project(inner).dot_id)
    made.bind(target)
    made.start()
    try:
        status = made.until(lambda status: status["state"] == "pushed")
    finally:
        made.stop()
    assert status["error"]["type"] == "zfs-send-unavailable"
    assert "more than the workspace" in status["error"]["detail"]
    assert received(dots, target) == []
