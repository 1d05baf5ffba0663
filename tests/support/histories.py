"""A local store with a history of commits, ready to be pushed, and what a hub must show of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from blake3 import blake3

from committer.storage.objects import Kind, encode_commit
from committer.storage.store import ObjectStore
from committer.storage.tree import EntryKind, TreeEntry, encode_tree
from committer.sync.journal import CommitEntry, connect, record_commit
from committer.sync.pacing import open_uplink
from committer.sync.transfer import Target, push
from dotscience.record import Commit, RunRecord, encode_json

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Made(NamedTuple):
    """A commit, its one run, and its files."""

    commit: str
    run_id: str
    files: dict[str, bytes]


class History(NamedTuple):
    """The commits in a store, oldest first, each in a pack of its own."""

    store: Path
    dot_id: str
    made: list[Made]

    @property
    def commits(self) -> list[str]:
        return [one.commit for one in self.made]

    def target(self, url: str, project: object) -> Target:
        """Where to push it: `project` has an id and a token, `url` is the hub's or that of something before it."""
        return Target(url=url, project_id=project.id, token=project.token, dot_id=self.dot_id, host="box")


def write_history(
    store: Path,
    dot_id: str,
    *,
    length: int = 3,
    file_size: int = 2_000,
    seed: str = "",
    times: Sequence[datetime] = (),
) -> History:
    """Commit `length` times to a new store; each adds a file of incompressible bytes, equal for one `seed`.

    `times` are what the clock shows at each commit, always the same by default.
    """
    history = History(store, dot_id, [])
    files: dict[str, bytes] = {}
    with ObjectStore(store, min_free_bytes=0) as opened:
        connect(store).close()  # which makes the journal's tables
        for number, time in enumerate(times or [START] * length):
            files = files | {f"f{number}": blake3(f"{seed}{number}".encode()).digest(length=file_size)}
            history.made.append(_commit(opened, history, files, time))
    return history


def _commit(store: ObjectStore, history: History, files: dict[str, bytes], time: datetime) -> Made:
    record = RunRecord(run_id=str(uuid4()), started_at=time, ended_at=time)
    commit = Commit(
        dot_id=history.dot_id,
        parents=[bytes.fromhex(one) for one in history.commits[-1:]],
        root=_put_tree(store, files),
        runs=[(record.run_id, store.put(Kind.RUN, encode_json(record)))],
        created_at=time,
        message="",
        author="someone",
        client="tests",
        consistency="stable",
    )
    made = Made(store.put(Kind.COMMIT, encode_commit(commit)).hex(), record.run_id, files)
    entry = CommitEntry(id=made.commit, created_at=time, consistency="stable", runs=[(record, "sidecar")])
    store.commit(lambda connection: record_commit(connection, entry))
    return made


def _put_tree(store: ObjectStore, files: dict[str, bytes]) -> bytes:
    entries = [
        TreeEntry(name.encode(), EntryKind.FILE, 0o644, len(data), 10**18, store.put(Kind.BLOB, data))
        for name, data in files.items()
    ]
    return store.put(Kind.TREE, encode_tree(entries))


def push_all(store: Path, target: Target) -> None:
    """Push a store's history once, as a committer does."""
    push(store, target, open_uplink(2, 0), progress=lambda: None, sent=lambda _: None)


def count_shown(project, history: History, branch: str = "main") -> int:
    """How many of the history's commits the hub has.

    Whatever it has, it has whole: the commits from the first on, each once, with its run and its files, and nothing
    that is not of the history. `project` is a project's client (tests/integration/hub/conftest.py).
    """
    listed = [one["id"] for one in project.get("/commits")["items"]][::-1]
    shown = history.made[: len(listed)]
    assert listed == [one.commit for one in shown]
    heads = project.hub.call("GET", project.dot, token=project.token)["branches"]
    assert heads == ({branch: listed[-1]} if listed else {})
    runs = [one["id"] for one in project.get("/runs")["items"]]
    assert sorted(runs) == sorted(one.run_id for one in shown)
    for one in shown:
        for name, data in one.files.items():
            path = f"{project.base}/commits/{one.commit}/content?path={name}"
            assert project.hub.request("GET", path, token=project.token).content == data
    return len(listed)
