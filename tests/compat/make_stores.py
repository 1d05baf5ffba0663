"""Writes what the current formats look like on disk: a committer's store, and the data of a hub that has its commits.

Run once for each new format, from the repository's root; what earlier formats left is never made again:

    PYTHONPATH=.:tests python tests/compat/make_stores.py store-v1 hub-v1
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from committer.storage.ignore import IgnoreRules
from committer.storage.objects import Kind, encode_commit
from committer.storage.reader import read_file, walk
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore, StoreReader
from committer.sync.journal import CommitEntry, connect, record_commit
from committer.sync.pacing import open_uplink
from committer.sync.transfer import Target, push
from dotscience.client.hub import HubClient
from dotscience.record import Commit, Environment, FileRef, RunRecord, encode_json
from hub_server import app
from hub_server.settings import HubSettings

HERE = Path(__file__).parent
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DOT = "7d4a8c0e-7f0b-4a53-9a6b-3f1f6f6c2d11"
RUNS = [f"00000000-0000-4000-8000-{number:012}" for number in range(3)]


def change(root: Path, number: int) -> None:
    """What happens to the workspace before each commit: something of every kind that a tree can hold."""
    (root / "notes.txt").write_text(f"version {number}\n" * 20)
    if number == 0:
        (root / "d" / "empty").mkdir(parents=True)
        (root / "d" / "run.sh").write_text("#!/bin/sh\n")
        (root / "d" / "run.sh").chmod(0o755)
        (root / "link").symlink_to("d/run.sh")
        os.link(root / "d" / "run.sh", root / "same")
        (root / os.fsdecode(b"not utf-8 \xff")).write_bytes(b"")
        with (root / "sparse").open("wb") as file:
            file.truncate(2**30)
    if number == 1:
        (root / "large").write_bytes(b"".join(b"%07d\n" % line for line in range(2**16)))
        os.setxattr(root / "large", "user.made by", b"a test")
    if number == 2:
        (root / "d" / "run.sh").unlink()


def write_store(folder: Path, root: Path) -> list[str]:
    """Commit the workspace three times; the commits' ids."""
    commits: list[str] = []
    with ObjectStore(folder, min_free_bytes=0) as store:
        connect(folder).close()
        for number, run_id in enumerate(RUNS):
            change(root, number)
            commits.append(commit(store, root, run_id, commits))
    with sqlite3.connect(folder / "index.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return commits


def commit(store: ObjectStore, root: Path, run_id: str, before: list[str]) -> str:
    time = START + timedelta(hours=len(before))
    snapshot = take_snapshot(store, root, ignore=IgnoreRules(""))
    environment = Environment(
        captured_at=START, python="3.11.7", implementation="CPython", platform="Linux", hostname="box", executable="py"
    )
    record = RunRecord(
        run_id=run_id,
        started_at=time,
        ended_at=time,
        parameters={"number": len(before)},
        outputs=[FileRef(path="notes.txt")],
        environment=store.put(Kind.ENVIRONMENT, encode_json(environment)).hex(),
    )
    made = Commit(
        dot_id=DOT,
        parents=[bytes.fromhex(one) for one in before[-1:]],
        root=snapshot.root_hash,
        runs=[(run_id, store.put(Kind.RUN, encode_json(record)))],
        created_at=time,
        message=f"commit {len(before)}",
        author="someone",
        client="tests",
        consistency=snapshot.consistency,
    )
    name = store.put(Kind.COMMIT, encode_commit(made)).hex()
    entry = CommitEntry(id=name, created_at=time, consistency=made.consistency, runs=[(record, "sidecar")])
    store.commit(lambda connection: record_commit(connection, entry))
    return name


def describe(folder: Path, commits: list[str]) -> dict[str, dict[str, object]]:
    """What each commit holds: the start and the size of each file, the target of each link, by path."""
    from committer.storage.objects import decode_commit

    with StoreReader(folder) as reader:
        return {
            name: {
                repr(path): [entry.kind.name, entry.mode, entry.size, next(read_file(reader, entry), b"")[:40].decode()]
                if entry.is_file
                else [entry.kind.name, entry.mode, entry.content.decode() if entry.kind.name == "SYMLINK" else ""]
                for path, entry in walk(reader, decode_commit(reader.get(bytes.fromhex(name))).root)
            }
            for name in commits
        }


async def write_hub(data: Path, store: Path) -> None:
    """Start a hub and push the store to it."""
    hub = await app.start(HubSettings(data=data, port=0))
    try:
        await asyncio.to_thread(_push, hub.url, (data / "admin.token").read_text().strip(), store)
    finally:
        await hub.stop()
    (data / "admin.token").unlink()  # a hub makes a new one


def _push(url: str, token: str, store: Path) -> None:
    with HubClient(url, token) as client:
        project = client.create_project("compat", dot_id=DOT)
    target = Target(url=url, project_id=project.id, token=token, dot_id=DOT, host="box")
    push(store, target, open_uplink(2, 0), progress=lambda: None, sent=lambda _: None)


def pack(folder: Path, name: str) -> None:
    place = HERE / name
    place.mkdir(exist_ok=True)
    with tarfile.open(place / "data.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname="data")


def main(store_name: str, hub_name: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root, store, hub = (Path(temporary) / name for name in ("root", "store", "hub"))
        root.mkdir()
        commits = write_store(store, root)
        pack(store, store_name)
        expected = {"dot": DOT, "runs": RUNS, "commits": describe(store, commits)}
        (HERE / store_name / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        asyncio.run(write_hub(hub, store))
        pack(hub, hub_name)


if __name__ == "__main__":
    main(*sys.argv[1:])
