"""The chunks of one file on their way into the store: made objects by threads, stored in order by the store's own."""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from typing import TYPE_CHECKING

from committer.storage.chunking import LARGEST
from committer.storage.chunks import Chunk
from committer.storage.objects import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from committer.storage.preparation import Found, Preparation
    from committer.storage.sink import ObjectSink

BLOCK_SIZE = 2 * LARGEST
BLOCKS = 6
"""With what they are compressed to, less than 100 MB; enough to keep the threads at work while one is filled."""
TASK_SIZE = 2**19
"""Bytes for which handing them to a thread costs little in comparison."""


class _Block:
    """Memory, and the tasks that read from it, with the place of their first chunk in the file."""

    def __init__(self) -> None:
        self.memory = memoryview(bytearray(BLOCK_SIZE))
        self.tasks: deque[tuple[int, Future[list[Found]]]] = deque()


class ChunkQueue:
    """Takes a file's chunks in order and knows what became of them. Belongs to the store's thread.

    Usable for one file after the other, each ended with `finish` or `abandon`.
    """

    def __init__(self, store: ObjectSink, preparation: Preparation) -> None:
        self._store = store
        self._preparation = preparation
        self._blocks: deque[_Block] = deque()
        self._batch: list[memoryview] = []
        self._batch_size = 0
        self._chunks: list[Chunk] = []
        self.uses_threads = False

    def next_memory(self) -> memoryview:
        """Memory to read a part of the file into; chunks added from here on are in it.

        Waits until what was added from this memory earlier has been stored, so what is on its way is bounded.

        Raises:
            DiskFull: there is no room to store it.
        """
        self._dispatch()
        if len(self._blocks) < BLOCKS:
            self._blocks.append(_Block())
        self._blocks.rotate()
        block = self._blocks[0]
        self._store_results(block)
        return block.memory

    def add(self, chunk: memoryview) -> None:
        """The next chunk, to be hashed, and stored unless it is all zeros, at any time until `finish`."""
        self._batch.append(chunk)
        self._batch_size += len(chunk)
        self._chunks.append(Chunk(None, len(chunk)))
        if self._batch_size >= TASK_SIZE:
            self._dispatch()

    def take_over(self, chunk: Chunk) -> None:
        """The next chunk, or a hole of any number of them, is in the store."""
        self._dispatch()
        self._chunks.append(chunk)

    def give_back(self) -> None:
        """Forget the last chunk, which was one taken over."""
        self._chunks.pop()

    def finish(self) -> list[Chunk]:
        """Store what is left; all chunks of the file, those of zeros without a hash.

        Raises:
            DiskFull: there is no room to store it.
        """
        self._dispatch()
        for block in reversed(self._blocks):
            self._store_results(block)
        chunks, self._chunks = self._chunks, []
        return chunks

    def abandon(self) -> None:
        """Drop what is on its way, for a file that could not be read or stored to its end."""
        tasks = [task for block in self._blocks for _, task in block.tasks]
        for task in tasks:
            task.cancel()
        wait(tasks)
        for block in self._blocks:
            block.tasks.clear()
        self._batch, self._batch_size, self._chunks = [], 0, []

    def _dispatch(self) -> None:
        batch, self._batch, self._batch_size = self._batch, [], 0
        if not batch:
            return
        first = len(self._chunks) - len(batch)
        if self.uses_threads:
            self._blocks[0].tasks.append((first, self._preparation.submit(batch)))
        else:
            self._store_all(first, self._preparation.prepare(batch))

    def _store_results(self, block: _Block) -> None:
        while block.tasks:
            first, task = block.tasks.popleft()
            self._store_all(first, task.result())

    def _store_all(self, first: int, found: Iterable[Found]) -> None:
        for place, one in enumerate(found, first):
            if one is not None:
                name = one if isinstance(one, bytes) else self._store.add(Kind.BLOB, one)
                self._chunks[place] = Chunk(name, self._chunks[place].size)
