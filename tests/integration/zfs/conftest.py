from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from support.zfs import pool, zfs

from committer.storage.zfs.dataset import Dataset

_numbers = itertools.count()


@pytest.fixture(scope="session")
def running_zfs():
    with zfs():
        yield


@pytest.fixture(scope="session")
def shared_pool(running_zfs):
    """The name of a pool, and the folder where it is mounted; for all tests, each of which makes a dataset in it."""
    folder = Path(tempfile.mkdtemp(prefix="dstest"))
    try:
        with pool(folder) as name:
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
