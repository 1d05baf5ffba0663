"""The workspaces that snapshot engines are measured on, and what happens to them between two snapshots.

Contents depend on the seed alone, so every machine measures the same bytes.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

SEED = 3
FILES_PER_FOLDER = 100
SMALLEST = 64
LARGEST = 256 * 1024
CORPUS_LINES = 100_000
BLOCK = 8 * 2**20
MIB = 2**20
SETTLED_S = 3.0
"""Engines distrust files that changed in the clock tick of their last snapshot, up to two seconds long, and read them
again (git's Documentation/technical/racy-git): a round starts when all files are older."""

NAMES = (
    *("model", "data", "batch", "loss", "epoch", "optimizer", "layer", "result"),
    *("index", "path", "config", "score", "label", "weight", "sample"),
)
LINES = (
    "    {0}_{1} = compute_{2}({0}, {1}[{3}])",
    "    if {0} > {3}: {1} = {2}",
    "def {0}_{1}({2}, {0}={3}):",
    '    """Return the {0} of {1}, as {2} has it."""',
    "    for {0} in range({3}): {1}.append({2})",
    "",
    "    return {0}.{1}({2}, {0}_{1}={3})",
    "from {0}.{1} import {2}_{3}",
)


class Step(NamedTuple):
    """What happens before a snapshot: `change` gets the folder and the number of the round."""

    name: str
    change: Callable[[Path, int], None]


class Case(NamedTuple):
    """A workspace: `make` fills an empty folder, `reset` undoes what the steps of a round have added to it."""

    name: str
    title: str
    make: Callable[[Path], None]
    reset: Callable[[Path], None]
    steps: tuple[Step, ...]


def small_files(name: str, count: int, mean: int) -> Case:
    """`count` files of `mean` bytes on average, half of them text."""
    return Case(
        name,
        f"{count:,} files, half Python-like text, half float32",
        lambda folder: make_small_files(folder, count, mean),
        _nothing,
        (Step("initial", _leave), Step("no change", _leave), Step("small change", append_line)),
    )


def one_file(name: str, size: int) -> Case:
    """One file of `size` bytes of float32 numbers."""
    return Case(
        name,
        f"one file of {size // MIB:,} MiB, float32",
        lambda folder: _make_one_file(folder, size),
        lambda folder: os.truncate(folder / LARGE, size),
        (
            Step("initial", _leave),
            Step("no change", _leave),
            Step("small change", lambda folder, turn: _overwrite(folder, size // 4, 16, turn)),
            Step("1 MiB in the middle", lambda folder, turn: _overwrite(folder, size // 2, MIB, turn)),
            Step("64 MiB appended", lambda folder, turn: _overwrite(folder, size, 64 * MIB, turn)),
        ),
    )


LARGE = "weights.f32"


def make_small_files(folder: Path, count: int, mean: int) -> None:
    """Fill `folder` with numbered files, `FILES_PER_FOLDER` in each of its folders."""
    numbers = np.random.default_rng(SEED)
    sizes = np.clip(numbers.exponential(mean, count), SMALLEST, LARGEST).astype(int)
    corpus = _corpus()
    starts = numbers.integers(0, len(corpus) - LARGEST, count)
    for index in range(count):
        path = small_file(folder, index)
        if index % FILES_PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        size = int(sizes[index])
        if path.suffix == ".py":
            content = b"# module %d\n" % index + corpus[starts[index] : starts[index] + size]
        else:
            content = numbers.standard_normal(max(1, size // 4), dtype=np.float32).tobytes()
        path.write_bytes(content)


def small_file(folder: Path, index: int) -> Path:
    """Where the file with this number is; even ones are text."""
    part = index // FILES_PER_FOLDER
    name = f"module_{index}.py" if index % 2 == 0 else f"weights_{index}.f32"
    return folder / f"part_{part // FILES_PER_FOLDER}" / f"package_{part}" / name


def append_line(folder: Path, turn: int) -> None:
    """Edit the same file in every round, each time otherwise."""
    with small_file(folder, 42).open("a") as file:
        file.write(f"print('round {turn}')\n")


def _make_one_file(folder: Path, size: int) -> None:
    folder.mkdir(parents=True)
    (folder / LARGE).touch()
    _overwrite(folder, 0, size, -1)


def _overwrite(folder: Path, offset: int, size: int, turn: int) -> None:
    """Put other numbers into the large file; the same ones for the same place and round."""
    numbers = np.random.default_rng([SEED, offset, turn + 1])
    with (folder / LARGE).open("r+b") as file:
        file.seek(offset)
        for start in range(0, size, BLOCK):
            file.write(numbers.standard_normal(min(BLOCK, size - start) // 4, dtype=np.float32).tobytes())


def _corpus() -> bytes:
    """Text that compresses like source code; files are pieces of it."""
    chance = random.Random(SEED)
    lines = (
        chance.choice(LINES).format(*chance.choices(NAMES, k=3), chance.randrange(100_000)) for _ in range(CORPUS_LINES)
    )
    return "\n".join(lines).encode()


def _leave(_: Path, __: int) -> None:
    """No change."""


def _nothing(_: Path) -> None:
    """Nothing to undo."""


def files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every file below `folder`."""
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    yield entry


def warm(folder: Path) -> None:
    """Read every file, so that no engine has to wait for the disk that another one has not waited for."""
    buffer = bytearray(BLOCK)
    for entry in files_below(folder):
        with Path(entry.path).open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def settle(folder: Path) -> None:
    """Wait until the newest file is old enough to be trusted by every engine."""
    newest = max(max(status.st_mtime, status.st_ctime) for status in (entry.stat() for entry in files_below(folder)))
    time.sleep(max(0.0, newest + SETTLED_S - time.time()))
