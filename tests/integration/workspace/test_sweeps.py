"""Sweeps of many runs over the same paths, with kills in between, on each kind of file system: no run loses its files.

With DS_TEST_SWEEP=200 as many publishes as that, of which ten of the scripts write 300 MB; by default a few, of smaller
files. Notebooks are executed by `ds run`, in real kernels.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import blake3
import nbformat
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

NOTEBOOK_COUNT = PUBLISHES or 8
CHECKOUT_S = 60

PROGRAM = """
import hashlib
import dotscience as ds

told = open("../told", "a", buffering=1)

def publish(number, sizes):
    ds.start(f"run {number}")
    for path, size in sizes.items():
        seed = hashlib.blake2b(f"{number} {path}".encode()).digest()
        with open(ds.output(path), "wb") as file:
            for start in range(0, size, 1 << 20):
                file.write((seed * (1 << 14))[: min(size - start, 1 << 20)])
    published = ds.publish()
    told.write(f"{number} {published.run_id}\\n")
"""


def sizes_of(number, *, with_large):
    names = ("small.txt", "middle.bin", "large.bin")[: 3 if with_large and number % LARGE_EVERY == 0 else 2]
    return dict(zip(names, SIZES, strict=False))


def publishes(numbers, *, with_large):
    """The source that publishes these runs, one line each."""
    return [f"publish({number}, {sizes_of(number, with_large=with_large)})" for number in numbers]


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


def sweep(root, environment, first, made):
    """Run the sweep in a process of its own, and kill it at some time."""
    source = "\n".join([PROGRAM, *publishes(range(first, COUNT), with_large=True)])
    process = subprocess.Popen([sys.executable, "-c", source], cwd=root, env=environment, stdout=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(made.uniform(0.5, 60 if IS_LONG else 3))
    process.kill()
    process.wait(600)


def notebook_sweep(root, environment, first, made):
    """The same in a notebook; after some publishes the kernel is killed, alone or with what executes it."""
    lines = publishes(range(first, NOTEBOOK_COUNT), with_large=False)
    cells = made.choice([lines, ["\n".join(lines)]])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (PROGRAM, *cells)])
    nbformat.write(notebook, root / "sweep.ipynb")
    process = subprocess.Popen(
        [*DS, "run", "sweep.ipynb"], cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = first + made.randrange(4 + NOTEBOOK_COUNT // 10)
    while process.poll() is None and next_number(root) < until:
        time.sleep(0.01)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(made.uniform(0, 4 if until == first else 0.3))
    if process.poll() is None:
        kill_kernel(process, alone=made.choice([True, False]))
    process.wait(600)


def kill_kernel(process, *, alone):
    """Kill the kernel of a `ds run`, and wait for its end; it ends by itself later than what executes it."""
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    ends = [os.pidfd_open(child) for child in children]
    if not alone or not ends:
        process.kill()
    for end in ends:
        signal.pidfd_send_signal(end, signal.SIGKILL)
        select.select([end], [], [], 60)
        os.close(end)
    process.send_signal(signal.SIGCONT)


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


def check_out(root, environment, runs):
    """What `ds checkout` writes of each run is what the run wrote."""
    for run_id, number in runs.items():
        target = root.parent / "checked-out"
        result = subprocess.run(
            [*DS, "checkout", run_id, "--to", str(target), "--json"],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=CHECKOUT_S,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        written = json.loads(result.stdout)
        assert (written["overwritten"], written["problems"]) == ([], [])
        for path, size in sizes_of(number, with_large=False).items():
            assert blake3.blake3((target / path).read_bytes()).hexdigest() == content(number, path, size), (
                number,
                path,
            )
        shutil.rmtree(target)


@contextlib.contextmanager
def swept(kind, committer, count, sweep_once, monkeypatch):
    """A workspace where a sweep was executed until all was published, and its runs' numbers by their ids."""
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
                while (first := next_number(root)) < count:
                    sweep_once(root, environment, first, made)
            result = subprocess.run(
                [*DS, "snapshot", "--json"], cwd=root, env=environment, capture_output=True, text=True, check=False
            )
            assert result.returncode == 0, result.stderr
            runs = published(root)
            assert len(json.loads(result.stdout)["commit"]) == 64
            assert sorted(runs.values()) == list(range(count))
            yield root, environment, runs
    finally:
        shutil.rmtree(runtime)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("committer", ["alive", "later"])
@pytest.mark.parametrize("kind", ["here", "xfs", "btrfs"])
def test_every_runs_files_are_its_own_whoever_is_killed(kind, committer, monkeypatch):
    with swept(kind, committer, COUNT, sweep, monkeypatch) as (root, _, runs):
        check(root, runs)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("committer", ["alive", "later"])
def test_every_runs_files_are_its_own_in_a_notebook_whose_kernel_is_killed(committer, monkeypatch):
    with swept("here", committer, NOTEBOOK_COUNT, notebook_sweep, monkeypatch) as (root, environment, runs):
        check(root, runs)
        check_out(root, environment, runs)


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
