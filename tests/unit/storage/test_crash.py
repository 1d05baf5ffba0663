"""Killing the committer of a snapshot at every system call that makes something durable, one after the other.

A child process takes a snapshot and commits it while strace(1) ends it at the n-th call, n = 1, 2, … until it is left
alone. Whatever the moment: the last commit is whole, the next one succeeds, and nothing is left over.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from committer.storage.codec import digest
from committer.storage.ignore import IgnoreRules
from committer.storage.objects import Kind
from committer.storage.pack import hash_file, iterate_records
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore

CHILD = """
import sys
from pathlib import Path
from committer.storage.ignore import IgnoreRules
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore

with ObjectStore(Path(sys.argv[1]), min_free_bytes=0, pack_size=100_000) as store:
    snapshot = take_snapshot(store, Path(sys.argv[2]), ignore=IgnoreRules(""))
    store.commit(lambda c: c.execute("UPDATE journal SET head = ?", (snapshot.root_hash,)))
"""


def run_child(store: Path, root: Path, inject: str) -> subprocess.CompletedProcess[str]:
    call = inject.partition(":")[0]
    command = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={inject}"]
    return subprocess.run(
        [*command, sys.executable, "-c", CHILD, store, root], capture_output=True, text=True, check=False
    )


def check_whole(folder: Path, root: Path, read) -> None:
    """The store agrees with itself: each named object is there, each file is named, the head's tree can be read."""
    with ObjectStore(folder, min_free_bytes=0) as store:
        files = {path.name for path in (folder / "packs").rglob("*") if path.is_file()}
        assert files == {pack.hex() for pack in store.packs()}
        for pack in store.packs():
            with store.open_pack(pack) as file:
                assert hash_file(file) == pack
                assert all(store.get(record.entry.hash) == record.data for record in iterate_records(file))
        [(head,)] = store.connection.execute("SELECT head FROM journal").fetchall()
        held = read(store, head)
        assert held in ({b"f": b"old"}, read_folder(root))
        snapshot = take_snapshot(store, root, ignore=IgnoreRules(""))
        store.commit(lambda connection: None)
        assert read(store, snapshot.root_hash) == read_folder(root)


def read_folder(root: Path) -> dict[bytes, bytes]:
    return {path.name.encode(): path.read_bytes() for path in root.iterdir()}


@pytest.fixture
def prepared(root, store_folder, make_bytes) -> Path:
    """A store with one commit of a file "f", and a workspace with a lot more in it."""
    (root / "f").write_bytes(b"old")
    with ObjectStore(store_folder, min_free_bytes=0) as store:
        snapshot = take_snapshot(store, root, ignore=IgnoreRules(""))

        def note(connection) -> None:
            connection.execute("CREATE TABLE journal (head BLOB)")
            connection.execute("INSERT INTO journal VALUES (?)", (snapshot.root_hash,))

        store.commit(note)
    for number in range(4):
        (root / f"new{number}").write_bytes(make_bytes(60_000, number))
    (root / "f").write_bytes(b"new")
    return store_folder


@pytest.mark.parametrize("call", ["fdatasync", "fsync", "rename", "mkdir"])
def test_killed_at_every_step_nothing_is_lost_or_left_over(call, prepared, root, restore, tmp_path):
    kills = 0
    for moment in range(1, 60):
        folder = tmp_path / "again" / str(moment)
        shutil.copytree(prepared, folder)
        ended = run_child(folder, root, f"{call}:signal=SIGKILL:when={moment}")
        check_whole(folder, root, restore)
        if ended.returncode == 0:
            break
        assert ended.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        kills += 1
    else:
        pytest.fail(f"the child never came to an end in 60 runs, killed at {call}")
    assert kills > 0


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_full_disk_at_any_step_is_named_and_loses_nothing(call, prepared, root, restore, tmp_path):
    failures = 0
    for moment in range(1, 100, 1 if call == "fdatasync" else 4):
        folder = tmp_path / "again" / str(moment)
        shutil.copytree(prepared, folder)
        ended = run_child(folder, root, f"{call}:error=ENOSPC:when={moment}")
        check_whole(folder, root, restore)
        if ended.returncode == 0:
            break
        assert "DiskFull" in ended.stderr or "SnapshotError" in ended.stderr
        failures += 1
    assert failures > 0


def test_an_object_put_by_a_process_that_died_is_not_there(prepared):
    program = CHILD.split("with ", maxsplit=1)[0] + (
        "import os\nfrom committer.storage.objects import Kind\n"
        "store = ObjectStore(Path(sys.argv[1]), min_free_bytes=0)\n"
        "store.put(Kind.BLOB, b'never committed')\nassert store.put_bytes() > 0\nos._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, prepared], check=False)
    assert list((prepared / "packs").glob("*.tmp")) != []
    with ObjectStore(prepared, min_free_bytes=0) as store:
        assert not store.has(digest(b"never committed"))
        assert list((prepared / "packs").glob("*.tmp")) == []
        assert store.get(store.put(Kind.BLOB, b"never committed")) == b"never committed"
