"""Sweeps of many runs over the same paths, with kills in between, on each kind of file system: no run loses its files.

With DS_TEST_SWEEP=200 as many publishes as that, of which ten write 300 MB; by default a few, of smaller files.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import blake3
import pytest
from support.committer import DS, Process
from support.file_systems import file_system

from committer.initialise import initialise
from committer.storage.objects import Kind, decode_commit
from committer.storage.reader import read_file, resolve
from committer.storage.store import StoreReader
from committer.sync.journal import Journal

PUBLISHES = int(os.environ.get("DS_TEST_SWEEP", "0"))
IS_LONG = PUBLISHES > 0
COUNT = PUBLISHES or 16
SIZES = (1_000, 5_000_000, 300_000_000) if IS_LONG else (1_000, 300_000, 9_000_000)
LARGE_EVERY = max(COUNT // 10, 1) if IS_LONG else COUNT // 2

SCRIPT = """
import hashlib, os, sys
import dotscience as ds

first, last, small, middle, large, large_every = map(int, sys.argv[1:])
told = open("../told", "a", buffering=1)
for number in range(first, last):
    ds.start(f"run {number}")
    sizes = {"small.txt": small, "middle.bin": middle}
    if number % large_every == 0:
        sizes["large.bin"] = large
    for path, size in sizes.items():
        seed = hashlib.blake2b(f"{number} {path}".encode()).digest()
        with open(ds.output(path), "wb") as file:
            for start in range(0, size, 1 << 20):
                file.write((seed * (1 << 14))[: min(size - start, 1 << 20)])
    published = ds.publish()
    told.write(f"{number} {published.run_id}\\n")
"""


def content(number, path, size):
    import hashlib

    seed = hashlib.blake2b(f"{number} {path}".encode()).digest()
    digest = blake3.blake3()
    for start in range(0, size, 1 << 20):
        digest.update((seed * (1 << 14))[: min(size - start, 1 << 20)])
    return digest.hexdigest()


@contextlib.contextmanager
def place_on(kind):
    if kind == "here":
        with tempfile.TemporaryDirectory(prefix="dstest") as folder:
            yield Path(folder)
    else:
        with file_system(kind, size="24G" if IS_LONG else "2G") as folder:
            yield folder


def sweep(root, environment, first, last, *, kill_after_s=None):
    """Run the sweep in a process of its own; whether it came to its end."""
    arguments = [str(one) for one in (first, last, *SIZES, LARGE_EVERY)]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], cwd=root, env=environment, stdout=-3)
    if kill_after_s is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(kill_after_s)
        process.send_signal(signal.SIGKILL)
    return process.wait(600) == 0


def next_number(root):
    told = root.parent / "told"
    return 1 + max((int(line.split()[0]) for line in told.read_text().splitlines()), default=-1) if told.exists() else 0


def published(root):
    lines = (root.parent / "told").read_text().splitlines()
    return {run_id: int(number) for number, run_id in (line.split() for line in lines if line.count(" ") == 1)}


def check(root, runs):
    """Each run's commit has what the run wrote, and its record says so."""
    store = root / ".dotscience" / "store"
    journal = Journal(store)
    try:
        with StoreReader(store) as reader:
            for run_id, number in runs.items():
                row = journal.run(run_id)
                assert row is not None
                assert row.commit is not None
                tree = decode_commit(reader.get(bytes.fromhex(row.commit), Kind.COMMIT)).root
                for file in row.record.outputs:
                    size = dict(zip(("small.txt", "middle.bin", "large.bin"), SIZES, strict=True))[file.path]
                    entry, digest = resolve(reader, tree, file.path), blake3.blake3()
                    for piece in read_file(reader, entry):
                        digest.update(piece)
                    assert digest.hexdigest() == content(number, file.path, size), (number, file.path)
                    assert (file.content_hash, file.overwritten) == (entry.content.hex(), False)
    finally:
        journal.close()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("committer", ["alive", "later"])
@pytest.mark.parametrize("kind", ["here", "xfs", "btrfs"])
def test_every_runs_files_are_its_own_whoever_is_killed(kind, committer, monkeypatch):
    made = random.Random(f"{kind} {committer}")
    runtime = tempfile.mkdtemp(prefix="ds-")
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", runtime)
    environment = os.environ | {"XDG_RUNTIME_DIR": runtime, "DS_COMMITTER_MIN_FREE_BYTES": "1"}
    try:
        with place_on(kind) as place:
            root = place / "work"
            root.mkdir()
            initialise(root)
            keeper = Keeper(root, environment, made) if committer == "alive" else contextlib.nullcontext()
            with keeper:
                while (first := next_number(root)) < COUNT:
                    sweep(root, environment, first, COUNT, kill_after_s=made.uniform(0.5, 60 if IS_LONG else 3))
            result = subprocess.run(
                [*DS, "snapshot", "--json"], cwd=root, env=environment, capture_output=True, text=True, check=False
            )
            assert result.returncode == 0, result.stderr
            runs = published(root)
            assert len(json.loads(result.stdout)["commit"]) == 64
            assert sorted(runs.values()) == list(range(COUNT))
            check(root, runs)
    finally:
        shutil.rmtree(runtime)


class Keeper:
    """A committer that is killed now and then, and started again."""

    def __init__(self, root, environment, made):
        self._root, self._environment, self._made = root, environment, made
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._keep)

    def _keep(self):
        while not self._enough.is_set():
            process = Process(self._root, self._environment)
            self._enough.wait(self._made.uniform(0.5, 60 if IS_LONG else 4))
            process.kill()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._enough.set()
        self._thread.join()
