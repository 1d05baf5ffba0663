"""How fast a hub takes runs in: one run per commit as a committer pushes it, and many runs in one commit.

    python benchmarks/hub_ingest.py [--runs 300] [--batch 2000] [--json]

A real `ds hub` on loopback with its data in a temporary folder; every answer is durable. Packs are made before the
clock starts. "CPU" is the hub process's own, from /proc, so that it can be compared on a busy machine; rates are those
of one client that waits for each answer.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from msgspec import Struct

from committer.storage.objects import Kind, digest, encode_commit
from committer.storage.pack import PackWriter, pack_path
from committer.storage.tree import EntryKind, TreeEntry, encode_tree
from dotscience.client.hub import HubClient
from dotscience.record import Commit, RunRecord, encode_json

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WARM_UP = 10


class Push(Struct, frozen=True):
    """A commit with its parent, and the pack that holds it."""

    pack_hash: str
    pack: bytes
    commit: str
    parent: str | None


class Result(Struct, frozen=True):
    """What one kind of pushes cost."""

    runs: int
    runs_per_second: float
    hub_cpu_ms_per_run: float
    client_cpu_ms_per_run: float


class Hub:
    """`python -m hub_server` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "hub_server", "--data", str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().rpartition(" ")[2].strip()
        self.token = (folder / "admin.token").read_text().strip()

    def cpu_s(self) -> float:
        """User and system time so far (proc(5))."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub for as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(Path(folder) / "hub")
        try:
            yield hub
        finally:
            hub.process.terminate()
            hub.process.communicate()


def make_runs(count: int) -> list[RunRecord]:
    """Runs with 10 parameters and 10 summary metrics."""
    return [
        RunRecord(
            run_id=str(uuid4()),
            started_at=NOW,
            ended_at=NOW,
            parameters={f"parameter_{i}": str(i / 10) for i in range(10)},
            summary={f"metric_{i}": number / (i + 1) for i in range(10)},
        )
        for number in range(count)
    ]


def make_push(folder: Path, dot_id: str, parent: str | None, runs: Sequence[RunRecord]) -> Push:
    """A pack with a commit that holds these runs and one changed file."""
    writer = PackWriter(folder)

    def add(kind: Kind, data: bytes) -> bytes:
        writer.add(kind, digest(data), data)
        return digest(data)

    content = runs[0].run_id.encode()
    file = TreeEntry(b"notebook.ipynb", EntryKind.FILE, 0o644, len(content), 10**18, add(Kind.BLOB, content))
    commit = Commit(
        dot_id=dot_id,
        parents=[bytes.fromhex(parent)] if parent else [],
        root=add(Kind.TREE, encode_tree([file])),
        runs=[(run.run_id, add(Kind.RUN, encode_json(run))) for run in runs],
        created_at=NOW,
        message="",
        author="benchmark",
        client="benchmark",
        consistency="stable",
    )
    name = add(Kind.COMMIT, encode_commit(commit)).hex()
    pack = writer.seal()
    return Push(pack.hash.hex(), pack_path(folder, pack.hash).read_bytes(), name, parent)


def make_pushes(dot_id: str, count: int, runs_each: int) -> list[Push]:
    """A chain of commits."""
    pushes: list[Push] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            parent = pushes[-1].commit if pushes else None
            pushes.append(make_push(Path(folder), dot_id, parent, make_runs(runs_each)))
    return pushes


def measure(hub: Hub, count: int, runs_each: int) -> Result:
    """Push `count` commits with `runs_each` runs, one after the other, after a few to warm up."""
    dot_id = str(uuid4())
    pushes = make_pushes(dot_id, WARM_UP + count, runs_each)
    with HubClient(hub.url, hub.token) as client:
        client.create_project("benchmark", dot_id=dot_id)
        for push in pushes[:WARM_UP]:
            send(client, dot_id, push)
        hub_cpu, own_cpu, started = hub.cpu_s(), time.process_time(), time.perf_counter()
        for push in pushes[WARM_UP:]:
            send(client, dot_id, push)
        wall = time.perf_counter() - started
        own_cpu, hub_cpu = time.process_time() - own_cpu, hub.cpu_s() - hub_cpu
    runs = count * runs_each
    return Result(runs, round(runs / wall, 1), round(hub_cpu / runs * 1000, 3), round(own_cpu / runs * 1000, 3))


def send(client: HubClient, dot_id: str, push: Push) -> None:
    """Upload the pack, then move the branch."""
    client.put_pack(dot_id, push.pack_hash, io.BytesIO(push.pack))
    client.post_commit(dot_id, push.commit, branch="main", expected_parent=push.parent)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="runs that are pushed one per commit")
    parser.add_argument("--batch", type=int, default=2000, help="runs that are pushed 200 per commit")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.parse_args()
    with running_hub() as hub:
        results = {
            "one run per commit": measure(hub, options.runs, 1),
            "200 runs per commit": measure(hub, max(1, options.batch // 200), 200),
        }
    if options.json:
        print(json.dumps({name: {f: getattr(one, f) for f in one.__struct_fields__} for name, one in results.items()}))
        return
    for name, one in results.items():
        print(
            f"{name}: {one.runs_per_second} runs/s; per run {one.hub_cpu_ms_per_run} ms CPU of the hub, "
            f"{one.client_cpu_ms_per_run} ms of the client"
        )


if __name__ == "__main__":
    main()
