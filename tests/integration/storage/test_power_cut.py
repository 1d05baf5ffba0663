"""Cutting the power of a disk while snapshots are taken on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.disk import disk

from committer.storage.pack import hash_file, iterate_records
from committer.storage.reader import read_file, walk
from committer.storage.store import ObjectStore

CUTS = 25

CHILD = """
import itertools
import os
import sys
from pathlib import Path
from committer.storage.ignore import IgnoreRules
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore

disk = Path(sys.argv[1])
root = disk / "workspace"
root.mkdir()
with ObjectStore(disk / "store", min_free_bytes=0, pack_size=50_000) as store:
    store.connection.execute("CREATE TABLE head (number INTEGER, root BLOB)")
    for number in itertools.count():
        (root / "number").write_text(str(number))
        (root / f"noise{number % 5}").write_bytes(os.urandom(20_000))
        snapshot = take_snapshot(store, root, ignore=IgnoreRules(""))
        store.commit(lambda c: c.execute("INSERT INTO head VALUES (?, ?)", (number, snapshot.root_hash)))
        os.write(1, b"%d " % number)
"""


@pytest.fixture
def snapshotting(tmp_path):
    """A disk on which snapshots are taken, and the process that takes them and says when each is durable."""
    with disk(tmp_path) as used:
        command = [sys.executable, "-c", CHILD, str(used.root)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
        try:
            yield used, process
        finally:
            process.kill()
            process.communicate()


def test_every_commit_that_was_acknowledged_survives(snapshotting):
    used, process = snapshotting
    for _ in range(CUTS):
        acknowledged = int(process.stdout.read(2**16).split()[-1])
        with used.cut() as survived:
            check(survived, at_least=acknowledged)


def check(survived: Path, *, at_least: int) -> None:
    """The last commit is not older than what was acknowledged, and all of every commit is there and right."""
    with ObjectStore(survived / "store", min_free_bytes=0) as store:
        commits = store.connection.execute("SELECT number, root FROM head ORDER BY number").fetchall()
        assert commits[-1][0] >= at_least
        for pack in store.packs():
            with store.open_pack(pack) as file:
                assert hash_file(file) == pack
                assert sum(1 for _ in iterate_records(file)) > 0
        for number, root in commits:
            files = {path: b"".join(read_file(store, entry)) for path, entry in walk(store, root)}
            assert files[b"number"] == str(number).encode()
            assert all(len(content) == 20_000 for path, content in files.items() if path != b"number")
