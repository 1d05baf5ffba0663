from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
from support.zfs import pool

from committer.storage.zfs.dataset import Dataset
from committer.sync.transfer import Target
from dotscience.client.hub import HubClient

_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared_pool(running_zfs):
    """The name of a pool, and the folder where it is mounted; for all tests, each of which makes a dataset in it."""
    folder = Path(tempfile.mkdtemp(prefix="dstest"))
    try:
        with pool(folder, "2G") as name:  # of which the tests write less than a tenth
            yield name, folder / "pool"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def dataset(shared_pool):
    """A new dataset."""
    name, _ = shared_pool
    made = Dataset(f"{name}/t{next(_numbers)}")
    made.create({})
    return made


@pytest.fixture
def folder(dataset, shared_pool):
    """Where the dataset is mounted."""
    name, mountpoint = shared_pool
    return mountpoint / dataset.name.removeprefix(f"{name}/")


class OuterHub:
    """A hub that runs somewhere else, with projects to send to."""

    def __init__(self, url: str, admin: str) -> None:
        self.url = url
        self.admin = admin

    def new_target(self, *scopes: str, dot_id: str | None = None) -> Target:
        """Where to send a dot, by default a new one, with a token of these scopes besides the usual ones."""
        dot_id = dot_id or str(uuid4())
        with HubClient(self.url, self.admin) as hub:
            project = hub.create_project("project", dot_id=dot_id)
            token = hub.create_token("sender", ["commits:write", *scopes], project_id=project.id)
        return Target(url=self.url, project_id=project.id, token=token.token, dot_id=dot_id, host="tests")


class HubProcess(OuterHub):
    """`python -m hub_server`; started when entered, ended when left."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self._data = data
        self._command = [sys.executable, "-m", "hub_server", "--data", str(data), "--port", "0", *arguments]

    def __enter__(self) -> HubProcess:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self._process.stdout.readline().rpartition(" ")[2].strip()
        self.admin = (self._data / "admin.token").read_text().strip() if self.url else ""
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()


@pytest.fixture
def hub_process():
    """A hub as a process, set up as a test wants it."""
    return HubProcess


@pytest.fixture
def plain_hub(tmp_path):
    """A hub without ZFS: outside of the machine where that has one (tests/openzfs/run), else a process here."""
    url = os.environ.get("DS_TEST_OUTER_HUB")
    if url:
        yield OuterHub(url, os.environ["DS_TEST_OUTER_ADMIN"])
        return
    with HubProcess(tmp_path / "hub") as running:
        yield running


@pytest.fixture(scope="module")
def dots(shared_pool):
    """The dataset below which the hub receives; made by the hub."""
    return Dataset(f"{shared_pool[0]}/dots{next(_numbers)}")


@pytest.fixture(scope="module")
def zfs_hub(dots, tmp_path_factory):
    """A hub that receives ZFS streams."""
    data = tmp_path_factory.mktemp("hub") / "data"
    with HubProcess(data, "--zfs-root", dots.name, "--zfs-receive", "trusted") as running:
        yield running


@pytest.fixture
def target(zfs_hub):
    """A new dot on the hub."""
    return zfs_hub.new_target("zfs:receive")
