"""`ds mount`: commits as folders, by a real FUSE."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from support.requirements import require_root_and

DS = [sys.executable, "-m", "dotscience.cli"]


@contextlib.contextmanager
def mounted(folder, *arguments):
    """`ds mount` with these arguments, the folder to mount on first, until the block ends."""
    target = arguments[0]
    process = subprocess.Popen(
        [*DS, "mount", *map(str, arguments)], cwd=folder.root, env=folder.environment, stderr=subprocess.PIPE, text=True
    )
    try:
        while not os.path.ismount(target):
            assert process.poll() is None, process.stderr.read()
        yield target
    finally:
        process.terminate()
        process.communicate(timeout=30)
        assert not os.path.ismount(target)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path):
    require_root_and(fusermount3="fuse3")
    (tmp_path / "mnt").mkdir()
    return tmp_path / "mnt"


@pytest.fixture
def work(folder):
    folder.write("a.txt", b"one\n")
    folder.write("data/big.bin", os.urandom(3 * 2**20))
    folder.write(os.fsdecode(b"odd\xff"), b"2")
    (folder.root / "link").symlink_to("a.txt")
    (folder.root / "a.txt").chmod(0o751)
    os.utime(folder.root / "a.txt", ns=(0, 10**18 + 7))
    return folder


def test_a_commit_reads_like_a_folder(work, target, tmp_path):
    work.command("snapshot")
    with mounted(work, target, "HEAD"):
        assert names(target) == [".dotscienceignore", "a.txt", "data", "link", "odd\udcff"]
        assert (target / "data/big.bin").read_bytes() == (work.root / "data/big.bin").read_bytes()
        with (target / "data/big.bin").open("rb") as file:
            file.seek(2**20 + 3)
            assert file.read(10) == (work.root / "data/big.bin").read_bytes()[2**20 + 3 : 2**20 + 13]
        assert (target / "link").readlink().name == "a.txt"
        status = (target / "a.txt").stat()
        assert (status.st_mode & 0o777, status.st_mtime_ns, status.st_size) == (0o551, 10**18 + 7, 4)
        shutil.copytree(target, tmp_path / "copy", symlinks=True)
    assert (tmp_path / "copy" / "a.txt").read_bytes() == b"one\n"


def test_nothing_can_be_written(work, target):
    work.command("snapshot")
    with mounted(work, target, "HEAD"):
        for action in (
            lambda: (target / "a.txt").write_bytes(b"2"),
            (target / "new").mkdir,
            (target / "a.txt").unlink,
            lambda: (target / "a.txt").chmod(0o777),
        ):
            with pytest.raises(OSError, match="Read-only file system"):
                action()
        with pytest.raises(FileNotFoundError):
            (target / "no" / "such").stat()


def test_all_commits_and_runs_have_folders(work, target, make_record):
    first = work.command("snapshot").stdout.split()[1].rstrip(":")
    run = work.publish(make_record())
    work.write("a.txt", b"two\n")
    work.command("snapshot")
    with mounted(work, target):
        assert names(target) == ["HEAD", "commits", "runs"]
        commits = names(target / "commits")
        assert len(commits) == 2
        older = next(one for one in commits if one.startswith(first))
        assert (target / "commits" / older / "a.txt").read_bytes() == b"one\n"
        assert run.run_id in names(target / "runs")
        assert (target / "runs" / run.run_id / "a.txt").read_bytes() == b"two\n"
        assert (target / "HEAD" / "a.txt").read_bytes() == b"two\n"
        for path in ("commits/x/a.txt", f"commits/{run.run_id}x", "other", "HEAD/../../etc/passwd"):
            assert not (target / path).exists(), path


def test_damage_is_an_input_error_and_not_wrong_bytes(work, target):
    work.command("snapshot")
    for pack in (work.root / ".dotscience/store/packs").glob("*/*"):
        if pack.stat().st_size > 2**20:
            data = bytearray(pack.read_bytes())
            data[2**19 : 2**20] = bytes(2**19)
            pack.write_bytes(data)
    with mounted(work, target, "HEAD"), pytest.raises(OSError, match="Input/output error"):
        (target / "data/big.bin").read_bytes()


def test_where_not_to_mount(work, target):
    work.command("snapshot")
    (target / "mine").write_bytes(b"1")
    assert "not empty" in work.command("mount", str(target)).stderr
    (work.root / "inside").mkdir()
    assert "in the tracked folder" in work.command("mount", str(work.root / "inside")).stderr
    (target / "mine").unlink()
    assert "no commit" in work.command("mount", str(target), "abcd").stderr


def test_contents_that_were_dropped_come_from_the_hub(make_folder, hub, target):
    bound = make_folder("bound", hub=hub)
    bound.write("data", content := os.urandom(300_000))
    bound.start()
    bound.until_pushed()
    assert bound.command("gc", "--keep", "0").returncode == 0
    with mounted(bound, target, "HEAD"):
        assert (target / "data").read_bytes() == content
