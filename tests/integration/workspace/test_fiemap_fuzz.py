"""Whatever is done to a file: what is not called changed has not changed.

Rounds of random operations, a clone after each. The ranges that are called changed, taken from this clone and put over
the content of the one before, have to give the content of this one. `DS_TEST_FIEMAP_SEED` repeats a run,
`DS_TEST_FIEMAP_ROUNDS` sets its length; `make test-fiemap` makes a long one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import random
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from support.disk import run
from support.file_systems import KINDS, file_system

from committer.workspace.fiemap import changed_ranges, clone

ROUNDS = int(os.environ.get("DS_TEST_FIEMAP_ROUNDS", "200"))
SEED = int(os.environ.get("DS_TEST_FIEMAP_SEED") or random.SystemRandom().randrange(2**32))
BLOCK = 4096
MAX_SIZE = 1024 * BLOCK

# fallocate(2); ioctl_ficlonerange(2)
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE = 0x1, 0x2, 0x8, 0x10, 0x20
MODES = 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE, COLLAPSE_RANGE, INSERT_RANGE
FICLONERANGE = 0x4020940D


class Scribbler:
    """Does random things to a file, and takes clones of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._clones = folder / "clones"
        self._clones.mkdir()
        self.path = folder / "file"
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self._opened: list[int] = []
        self.operations = [self.write, self.write_blocks, self.append, self.store, self.store]
        self.operations += [self.truncate, self.allocate, self.allocate, self.clone_within, self.sync]

    def scribble(self) -> list[str]:
        """A few operations; their names. What this file system does not have is as good as nothing."""
        chosen = self._random.choices(self.operations, k=self._random.randrange(1, 6))
        for operation in chosen:
            try:
                operation()
            except OSError as error:
                if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                    raise
        if self._size > 2 * MAX_SIZE:
            os.ftruncate(self.file, MAX_SIZE)
        return [operation.__name__ for operation in chosen]

    def clone(self, number: int) -> int:
        """A descriptor of a clone; the one before the last is gone."""
        (self._clones / str(number - 2)).unlink(missing_ok=True)
        descriptor = os.open(self._clones / str(number), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._opened.append(descriptor)
        clone(self.file, descriptor)
        return descriptor

    def close(self) -> None:
        """Also when a test failed: what is open keeps the file system mounted."""
        os.close(self.file)
        for descriptor in self._opened:
            os.close(descriptor)

    def drop(self, descriptor: int) -> None:
        """Close a clone. Its number may be that of another file from then on."""
        self._opened.remove(descriptor)
        os.close(descriptor)

    def write(self) -> None:
        os.pwrite(self.file, self._bytes(self._random.randrange(1, 20_000)), self._position())

    def write_blocks(self) -> None:
        os.pwrite(self.file, self._bytes(self._random.randrange(1, 64) * BLOCK), self._block())

    def append(self) -> None:
        os.pwrite(self.file, self._bytes(self._random.randrange(1, 20_000)), self._size)

    def store(self) -> None:
        if self._size:
            with mmap.mmap(self.file, self._size) as mapping:
                for _ in range(self._random.randrange(1, 5)):
                    mapping[self._random.randrange(self._size)] = self._random.randrange(256)

    def truncate(self) -> None:
        os.ftruncate(self.file, self._random.choice((self._position(), self._block(), self._size + 3 * BLOCK + 5)))

    def allocate(self) -> None:
        mode = self._random.choice(MODES)
        start, length = self._block(), self._random.randrange(1, 32) * BLOCK
        if mode not in {COLLAPSE_RANGE, INSERT_RANGE} and self._random.random() < 0.5:
            start, length = self._position(), length + self._random.randrange(BLOCK)
        fallocate(self.file, mode, start, length)

    def clone_within(self) -> None:
        target = self._block()
        fcntl.ioctl(self.file, FICLONERANGE, struct.pack("=qQQQ", self.file, self._block(), 9 * BLOCK, target))

    def sync(self) -> None:
        os.fsync(self.file)

    @property
    def _size(self) -> int:
        return os.fstat(self.file).st_size

    def _bytes(self, size: int) -> bytes:
        """Bytes that can be compressed, or not."""
        if self._random.random() < 0.5:
            return self._random.randbytes(size)
        return (self._random.randbytes(7) * (size // 7 + 1))[:size]

    def _position(self) -> int:
        return self._random.randrange(min(self._size, MAX_SIZE) + 1)

    def _block(self) -> int:
        return self._position() // BLOCK * BLOCK


def fallocate(descriptor: int, mode: int, start: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(descriptor, mode, ctypes.c_int64(start), ctypes.c_int64(length)):
        raise OSError(ctypes.get_errno(), "fallocate")


def read_all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def patched(old: bytes, new: bytes, ranges) -> bytes:
    """What one gets who takes from `new` its size and the ranges only."""
    content = bytearray(old[: len(new)].ljust(len(new), b"\0"))
    for start, stop in ranges:
        content[start:stop] = new[start:stop]
    return bytes(content)


def check_rounds(scribbler: Scribbler, rounds: int) -> None:
    before = scribbler.clone(0)
    for number in range(1, rounds + 1):
        done = scribbler.scribble()
        now = scribbler.clone(number)
        old, new = read_all(before), read_all(now)
        ranges = changed_ranges(before, now)
        case = f"seed {SEED}, round {number}: {done}"
        assert new == read_all(scribbler.file), case
        assert ranges == sorted(ranges), case
        assert all(one.stop < other.start for one, other in pairwise(ranges)), case
        assert patched(old, new, ranges) == new, case
        scribbler.drop(before)
        before = now


@pytest.fixture(params=KINDS)
def root(request):
    with file_system(request.param) as made:
        yield made


@pytest.mark.timeout(60 + ROUNDS)
def test_what_is_not_called_changed_has_not_changed(root):
    print("seed", SEED)
    with contextlib.closing(Scribbler(root, SEED)) as scribbler:
        check_rounds(scribbler, ROUNDS)


@pytest.mark.timeout(60 + ROUNDS)
@pytest.mark.parametrize("kind", ["btrfs", "btrfs-zstd"])
def test_moving_blocks_between_snapshots_hides_no_change(kind):
    print("seed", SEED)
    with file_system(kind) as root, contextlib.closing(Scribbler(root, SEED)) as scribbler:

        def defragment():
            run("btrfs", "filesystem", "defragment", "-f", "-t", "1M", str(scribbler.path))

        def balance():
            run("btrfs", "balance", "start", "-d", str(root))

        scribbler.operations += [defragment, defragment, balance]
        check_rounds(scribbler, ROUNDS // 4)
