"""A hub whose disk is full: it is read, it says so, its operator can work, and it goes on by itself."""

from __future__ import annotations

import os

import pytest
from support.disk import mounted, run
from support.hub_command import HubProcess, hub_command
from support.requirements import require_root_and

from dotscience.errors import DiskFull
from hub_server.content.reserve import RESERVE_FILE, Reserve

MEBIBYTE = 2**20


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, and small."""
    require_root_and(mkfs_ext4="e2fsprogs")
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    run("truncate", "-s", "200M", str(image))
    run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    with mounted(image, place):
        yield place


def fill(folder, name="filler"):
    """Take all the room that there is."""
    with (folder / name).open("wb", buffering=0) as file:
        for size in (MEBIBYTE, 4_096, 512):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    os.sync()


def test_the_reserve_is_given_up_and_taken_back(disk):
    reserve = Reserve(disk)
    size = (disk / RESERVE_FILE).stat().st_size
    assert 0 < size <= 4 * MEBIBYTE
    reserve.check()
    fill(disk)
    with pytest.raises(DiskFull, match="make room there"):
        reserve.check()
    assert not (disk / RESERVE_FILE).exists()
    assert not reserve.look(), "what is free now was its own room"
    (disk / "filler").unlink()
    assert not reserve.is_there()
    reserve.check()
    assert reserve.is_there()
    assert (disk / RESERVE_FILE).stat().st_size == size


def test_a_disk_that_fills_up(disk, serve_hub, new_run):
    with serve_hub(disk / "hub") as hub:
        project = hub.new_project()
        commit = project.push(new_run(), files={"a.txt": b"1"}).commit
        fill(disk)
        refused = project.put_pack(b"any pack")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-full")
        refused = project.post_commit("0" * 64)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-full")
        assert project.get(f"/commits/{commit}/tree")["total"] == 1
        for command in (["login-link"], ["account", "add", "alice"], ["gc"], ["scrub"], ["account", "ls"]):
            done = hub_command(disk / "hub", *command)
            assert done.returncode == 0, (command, done.stderr)
        (disk / "filler").unlink()
        project.push(new_run(), files={"a.txt": b"2"})


def test_a_hub_starts_on_a_full_disk_by_its_reserve(disk):
    hub = HubProcess(disk / "hub")
    assert hub.end() == 0
    fill(disk)
    hub = HubProcess(disk / "hub")
    assert hub.url.startswith("http://")
    assert hub.end() == 0


def test_a_hub_that_finds_no_room_at_all_says_what_to_do(disk):
    assert HubProcess(disk / "hub").end() == 0
    (disk / "hub" / RESERVE_FILE).unlink()
    fill(disk)
    done = hub_command(disk / "hub", "--port", 0)
    assert (done.returncode, "make room there" in done.stderr) == (1, True), done.stderr
