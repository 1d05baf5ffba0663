"""The `zfs` command, for real: what is asked for happens, and what goes wrong has a name."""

from __future__ import annotations

import os

import pytest
from support.zfs import KERNEL_MODULE, pool

from committer.storage.zfs.dataset import MAX_VALUE, Dataset
from dotscience.errors import (
    DatasetBusy,
    DatasetExists,
    DatasetMissing,
    DiskFull,
    NotSupported,
    PoolFull,
    ZfsError,
)

KEY = "io.dotscience:test"


def test_a_dataset_that_is_not_there_is_missing(shared_pool):
    missing = Dataset(f"{shared_pool[0]}/missing")
    assert not missing.exists()
    with pytest.raises(DatasetMissing, match="missing"):
        missing.snapshot("one", {})


@pytest.mark.parametrize("name", ["", "-r", "tank@snapshot", "tank#mark", "tank\nother"])
def test_what_is_no_dataset_name_never_reaches_a_command_line(name):
    with pytest.raises(ZfsError, match="no dataset's name"):
        Dataset(name)


def test_snapshots_are_listed_oldest_first_with_their_properties(dataset):
    second_name_first = dataset.snapshot("b", {KEY: "of b"})
    later = dataset.snapshot("a", {})
    versions = dataset.versions((KEY,))
    assert [(one.name, one.guid, one.properties) for one in versions] == [
        ("@b", second_name_first, {KEY: "of b"}),
        ("@a", later, {}),
    ]
    assert versions[0].createtxg < versions[1].createtxg


def test_a_child_and_its_snapshots_are_not_the_datasets(dataset):
    dataset.child("inner").create({})
    dataset.child("inner").snapshot("one", {})
    assert dataset.versions() == []


def test_the_same_snapshot_twice_is_an_error(dataset):
    dataset.snapshot("one", {})
    with pytest.raises(DatasetExists):
        dataset.snapshot("one", {})


def test_a_value_of_the_greatest_length_is_kept(dataset):
    dataset.snapshot("one", {})
    dataset.set_property(KEY, "v" * MAX_VALUE, of="@one")
    assert dataset.property(KEY, of="@one") == "v" * MAX_VALUE


def test_a_held_snapshot_cannot_be_destroyed(dataset):
    dataset.snapshot("one", {})
    dataset.hold("@one", "tag")
    dataset.hold("@one", "tag")
    assert [one.holds for one in dataset.versions()] == [1]
    with pytest.raises(DatasetBusy):
        dataset.destroy("@one")
    dataset.release("@one", "tag")
    dataset.release("@one", "tag")
    dataset.destroy("@one")
    dataset.destroy("@one")
    assert dataset.versions() == []


def test_a_snapshot_with_a_clone_cannot_be_destroyed(dataset, folder):
    (folder / "file").write_text("then")
    dataset.snapshot("one", {})
    (folder / "file").write_text("now")
    clone = dataset.child("copy")
    dataset.clone("@one", clone, {"readonly": "on"})
    assert (folder / "copy" / "file").read_text() == "then"
    with pytest.raises(DatasetBusy):
        dataset.destroy("@one")


def test_a_dataset_that_is_used_cannot_be_unmounted(dataset, folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with pytest.raises(DatasetBusy):
            dataset.unmount()
    finally:
        os.close(descriptor)


def test_a_full_dataset_says_so(dataset, folder):
    dataset.set_property("quota", str(2**20))
    with pytest.raises(OSError, match=r"[Qq]uota|space"):
        fill(folder / "large")
    with pytest.raises(PoolFull) as refused:
        dataset.child("more").create({"reservation": str(2**21)})
    assert isinstance(refused.value, DiskFull)


def test_a_full_pool_says_so(running_zfs, tmp_path):
    with pool(tmp_path, "64M") as name, pytest.raises(PoolFull, match="make room"):
        Dataset(f"{name}/more").create({"reservation": str(2**30)})


def test_features_are_what_the_pool_has(dataset):
    """What is said to be there works, what is not is refused as such."""
    assert all(dataset.features) == any(dataset.features) == KERNEL_MODULE.exists()
    dataset.snapshot("one", {})
    if dataset.features.bookmarks:
        dataset.bookmark("@one", "mark")
        dataset.bookmark("@one", "mark")
        assert [(one.name, one.is_snapshot) for one in dataset.versions()] == [("#mark", False), ("@one", True)]
    else:
        with pytest.raises(NotSupported):
            dataset.bookmark("@one", "mark")
    if dataset.features.written:
        assert dataset.written_since("@one") == 0
    else:
        with pytest.raises(NotSupported):
            dataset.written_since("@one")


def fill(path):
    with path.open("wb") as file:
        while True:
            file.write(os.urandom(2**16))
            os.fsync(file.fileno())
