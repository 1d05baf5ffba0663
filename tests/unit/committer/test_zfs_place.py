"""Which dataset holds a workspace, by what is mounted where."""

from __future__ import annotations

from pathlib import Path

import pytest

from committer.workspace.mounts import Mount
from committer.workspace.zfs import find_place
from dotscience.errors import WorkspaceError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "dataset" / "work").mkdir(parents=True)
    return tmp_path / "dataset" / "work"


def mounted(root, *inside):
    """A dataset at the folder above `root`, and file systems at places below that folder."""
    others = [Mount(root.parent / place, kind, source, "/") for place, kind, source in inside]
    return [Mount(Path("/"), "ext4", "/dev/vda", "/"), Mount(root.parent, "zfs", "tank/ada", "/"), *others]


@pytest.mark.parametrize(
    "inside",
    [
        [],
        [("elsewhere", "ext4", "/dev/vdb")],
        [("work/.dotscience/store", "tmpfs", "tmpfs")],
        [(".zfs/snapshot/dotscience-1", "zfs", "tank/ada@dotscience-1")],
    ],
    ids=["nothing", "beside it", "our own state", "a snapshot that somebody looked into"],
)
def test_a_dataset_holds_a_workspace_whatever_else_is_mounted_apart_from_it(root, inside):
    place = find_place(root, mounted(root, *inside))
    assert (place.dataset, place.mountpoint, place.inside) == ("tank/ada", root.parent, Path("work"))


def test_snapshots_that_were_looked_into_do_not_part_a_workspace_that_is_all_of_a_dataset(root):
    """As every commit does: the kernel leaves the snapshot mounted for some minutes."""
    mounts = mounted(root, (".zfs/snapshot/dotscience-1", "zfs", "tank/ada@dotscience-1"))
    assert find_place(root.parent, mounts).inside == Path()


@pytest.mark.parametrize("place", ["work/data", "work/.zfs"])
def test_another_file_system_in_a_workspace_parts_it(root, place):
    with pytest.raises(WorkspaceError, match="is mounted inside"):
        find_place(root, mounted(root, (place, "zfs", "tank/other")))


def test_a_snapshot_is_no_workspace(root):
    with pytest.raises(WorkspaceError, match="snapshot"):
        find_place(root, [Mount(root.parent, "zfs", "tank/ada@old", "/")])


def test_elsewhere_there_is_no_dataset(root):
    with pytest.raises(WorkspaceError, match="not on ZFS"):
        find_place(root, [Mount(Path("/"), "ext4", "/dev/vda", "/")])
