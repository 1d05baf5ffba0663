"""Equal bytes have equal chunk lists: against a cutter that gets all of a file at once and knows nothing of it.

Random content with long zeros, random edits aimed at the ends of chunks, and the file that knows what it was before.
`DS_TEST_SEED` repeats a failed round, `DS_TEST_CHUNK_ROUNDS` sets how many there are.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import pytest
from pyfastcdc.cy import FastCDC

from committer.storage import chunk_queue, chunking
from committer.storage import ingest as ingest_module
from committer.storage.chunks import Chunk, read_chunks
from committer.storage.codec import digest
from committer.storage.ingest import FileContent, FileIngest
from committer.storage.preparation import Found, Preparation
from committer.storage.ranges import Range
from committer.storage.tree import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from committer.storage.store import ObjectStore

ROUNDS = int(os.environ.get("DS_TEST_CHUNK_ROUNDS", "100"))
SEED = int(os.environ.get("DS_TEST_SEED") or random.SystemRandom().randrange(2**32))
LARGEST = 2**18
BLOCK = 4096
LENGTHS = 1, 2, 3, 100, 5_000, 70_000, LARGEST, 300_000
ZEROS = 2**14, LARGEST - 1, LARGEST, LARGEST + 1, 300_000, 2 * LARGEST, 3 * LARGEST


def ends(data: bytes) -> list[int]:
    """Where the chunks of a file with these bytes end."""
    cutter = FastCDC(chunking.average_for(len(data)), normalized_chunking=1, seed=0)
    return [chunk.offset + chunk.length for chunk in cutter.cut_buf(data)] if data else []


def expected(data: bytes) -> list[Chunk]:
    stops = ends(data)
    pieces = [data[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
    chunks: list[Chunk] = []
    for is_hole, run in groupby(pieces, key=lambda piece: not any(piece)):
        if is_hole:
            chunks.append(Chunk(None, sum(map(len, run))))
        else:
            chunks += [Chunk(digest(piece), len(piece)) for piece in run]
    return chunks


def check(store: ObjectStore, stored: FileContent, data: bytes) -> None:
    """Fail unless `stored` is what the format says of a file with these bytes."""
    chunks = expected(data)
    assert stored.size == len(data)
    if stored.kind is EntryKind.FILE:
        assert (len(ends(data)) <= 1, stored.hash) == (True, digest(data))
        assert store.get(stored.hash) == data
        return
    assert len(ends(data)) > 1
    assert read_chunks(stored.hash, store.get) == chunks
    start = 0
    for chunk in chunks:
        if chunk.hash is not None:
            assert store.get(chunk.hash) == data[start : start + chunk.size]
        start += chunk.size


class Author:
    """Makes up content, and edits it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def write(self) -> bytes:
        return b"".join(self._segment() for _ in range(self._random.randrange(9)))

    def save(self, path: Path, data: bytes) -> None:
        """Write the bytes; zeros as holes, as zeros, or some of each."""
        writes_zeros = self._random.choice((0.0, 0.5, 1.0))
        with path.open("wb") as file:
            file.truncate(len(data))
            for start in range(0, len(data), BLOCK):
                block = data[start : start + BLOCK]
                if any(block) or self._random.random() < writes_zeros:
                    file.seek(start)
                    file.write(block)

    def edit(self, data: bytes) -> tuple[bytes, list[Range] | None]:
        """Other bytes, and where they may differ."""
        if self._random.random() < 0.6:
            return self._overwrite(data)
        for _ in range(self._random.randrange(3)):
            start = self._place(data)
            stop = start if self._random.random() < 0.5 else start + self._random.choice(LENGTHS)
            data = data[:start] + self._random.choice((b"", self._segment())) + data[stop:]
        return data, None

    def _overwrite(self, data: bytes) -> tuple[bytes, list[Range]]:
        edited, changed = bytearray(data), []
        for _ in range(self._random.choice((0, 1, 1, 2, 3))):
            start = self._place(data)
            new = self._bytes(self._random.choice(LENGTHS))[: len(data) - start]
            edited[start : start + len(new)] = new
            changed.append((start, start + len(new)))
        return self._resize(bytes(edited)), list(self._said(changed, len(data)))

    def _resize(self, data: bytes) -> bytes:
        match self._random.randrange(5):
            case 0:
                return data[: self._place(data)]
            case 1:
                return data + self._segment()
            case 2:
                return data + bytes(self._random.choice((1, 2, LARGEST)))
        return data

    def _said(self, changed: Iterable[tuple[int, int]], size: int) -> Iterable[Range]:
        """The ranges, sorted and apart, to the byte or in blocks, with something that did not change at all."""
        unit = self._random.choice((1, BLOCK))
        extra = self._random.randrange(size + 1)
        slack = (extra, min(size, extra + self._random.choice((0, 1, 100_000))))
        told = 0
        for start, stop in sorted([*changed, slack]):
            said = Range(max(told, start // unit * unit), -(-stop // unit) * unit)
            if said.start < said.stop:
                yield said
                told = said.stop

    def _place(self, data: bytes) -> int:
        """Somewhere in the content, most often where a chunk ends."""
        stops = ends(data)
        if stops and self._random.random() < 0.6:
            return max(0, min(len(data), self._random.choice(stops) + self._random.randrange(-3, 4)))
        return self._random.randrange(len(data) + 1)

    def _segment(self) -> bytes:
        size = int(2 ** self._random.uniform(4, 19.5))
        match self._random.randrange(4):
            case 0:
                return bytes(self._random.choice((size, *ZEROS)))
            case 1:
                return (self._random.randbytes(self._random.choice((1, 8))) * size)[:size]
        return self._random.randbytes(size)

    def _bytes(self, size: int) -> bytes:
        return self._random.choice((bytes, self._random.randbytes))(size)


@pytest.mark.parametrize("large_file", [2**20, 2**26])
def test_a_chunk_list_says_nothing_of_how_it_came_about(store, tmp_path, monkeypatch, large_file):
    monkeypatch.setattr(chunking, "LARGE_FILE", large_file)
    path = tmp_path / "file"
    with FileIngest(store) as ingest:
        for seed in range(SEED, SEED + ROUNDS // 2):
            author = Author(seed)
            data, changed, known = author.write(), None, None
            for edits in range(4):
                author.save(path, data)
                with path.open("rb") as file:
                    known = ingest.put(file.fileno(), len(data), known, changed)
                try:
                    check(store, known, data)
                except AssertionError as error:
                    pytest.fail(f"DS_TEST_SEED={seed}, after {edits} edits: {error}")
                data, changed = author.edit(data)
            store.rollback()


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
def test_the_byte_after_a_chunk_decides_about_its_end(store, tmp_path, make_bytes, offset, tells):
    path = tmp_path / "file"
    data = make_bytes(2**20)
    path.write_bytes(data)
    with FileIngest(store) as ingest, path.open("r+b", buffering=0) as file:
        known = ingest.put(file.fileno(), len(data))
        for end in ends(data)[:-1]:
            place = end + offset
            edited = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
            os.pwrite(file.fileno(), edited[place : place + 1], place)
            check(
                store, ingest.put(file.fileno(), len(data), known, [Range(place, place + 1)] if tells else None), edited
            )
            os.pwrite(file.fileno(), data[place : place + 1], place)


@pytest.mark.parametrize("changed", [[], None])
@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_the_end_of_a_file_decides_about_the_end_of_a_chunk(store, tmp_path, make_bytes, more, changed):
    path = tmp_path / "file"
    data = make_bytes(2**20)
    path.write_bytes(data)
    with FileIngest(store) as ingest, path.open("rb") as file:
        known = ingest.put(file.fileno(), len(data))
        for end in ends(data)[:-1]:
            check(store, ingest.put(file.fileno(), end + more, known, changed), data[: end + more])
            cut_off = ingest.put(file.fileno(), end + more)
            assert ingest.put(file.fileno(), len(data), cut_off, changed) == known


@pytest.mark.parametrize("size", [LARGEST - 1, LARGEST, LARGEST + 1, 2 * LARGEST, 2 * LARGEST + 1])
def test_a_file_of_zeros_is_a_blob_only_while_it_is_one_chunk(store, tmp_path, size):
    path = tmp_path / "file"
    with FileIngest(store) as ingest:
        for write in (lambda: path.write_bytes(bytes(size)), lambda: os.truncate(path, 0) or os.truncate(path, size)):
            write()
            with path.open("rb") as file:
                check(store, ingest.put(file.fileno(), size), bytes(size))


@pytest.mark.parametrize("left", [0, 1, 300_000, 2**20, 2**21])
def test_a_file_that_is_cut_off_while_it_is_read_is_stored_as_any_other(store, tmp_path, monkeypatch, make_bytes, left):
    monkeypatch.setattr(chunking, "LARGE_FILE", 2**21)
    path = tmp_path / "file"
    path.write_bytes(make_bytes(3 * 2**20))

    class CutOff(ingest_module.Content):
        def read_into(self, buffer: memoryview, position: int) -> int:
            os.truncate(path, left)
            return super().read_into(buffer, position)

    monkeypatch.setattr(ingest_module, "Content", CutOff)
    with FileIngest(store) as ingest, path.open("rb") as file:
        check(store, ingest.put(file.fileno(), 3 * 2**20), make_bytes(3 * 2**20)[:left])


def test_memory_is_not_used_again_before_what_is_in_it_has_been_stored(store, tmp_path, monkeypatch, make_bytes):
    class LastMoment(Future[list[Found]]):
        """What a thread makes of chunks when it only gets to it once somebody waits for that."""

        def __init__(self, prepare: Callable[[], list[Found]]) -> None:
            super().__init__()
            self._prepare = prepare

        def result(self, timeout: float | None = None) -> list[Found]:
            return self._prepare()

    def submit(preparation: Preparation, chunks: Sequence[memoryview]) -> Future[list[Found]]:
        return LastMoment(partial(preparation.prepare, chunks))

    monkeypatch.setattr(Preparation, "submit", submit)
    monkeypatch.setattr(chunk_queue, "BLOCKS", 2)
    data = make_bytes(4 * chunk_queue.BLOCK_SIZE)
    path = tmp_path / "file"
    path.write_bytes(data)
    with FileIngest(store) as ingest, path.open("rb") as file:
        check(store, ingest.put(file.fileno(), len(data)), data)
