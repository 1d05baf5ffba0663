"""From an open file to its content in a store: cutting, hashing, compressing, packing.

What is stored depends on the file's bytes alone. What is known of the file (the chunks that it had, where it may have
changed, where it has holes) only saves work: chunks that are still there are recognised by their hash, or not even
read, and the cutter runs where they are not, until it meets a place where one of them began.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

from committer.storage.chunk_queue import ChunkQueue
from committer.storage.chunking import SMALL_AVERAGE, SMALLEST, Cutter, average_for
from committer.storage.chunks import Chunk, read_chunks, store_chunks
from committer.storage.codec import digest
from committer.storage.content import Content
from committer.storage.known_chunks import KnownChunks
from committer.storage.objects import Kind
from committer.storage.preparation import Preparation, is_zeros
from committer.storage.tree import EntryKind
from committer.storage.window import Window
from dotscience.errors import CorruptObject, MissingObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from committer.storage.ranges import Range
    from committer.storage.sink import ObjectSink

SMALL_FILE = 4 * SMALL_AVERAGE
"""Bytes up to which a file is read at once: it may still be a single chunk."""
THREADS_FROM = 2**20
"""Bytes in a file from which its chunks are worth handing to threads."""


class FileContent(NamedTuple):
    """What is stored for a file: FILE and its blob, or CHUNKED_FILE and its chunk list; `size` is in bytes."""

    kind: EntryKind
    hash: bytes
    size: int


class FileIngest:
    """Puts the content of files into a store, one at a time, on the store's own thread.

    Its threads and its memory, less than 100 MB whatever a file's size, are kept from the first large file on until it
    is closed. Close it, or use it as a context manager.
    """

    def __init__(self, store: ObjectSink) -> None:
        self._store = store
        self._preparation = Preparation(store.knows)
        self._queue = ChunkQueue(store, self._preparation)
        self._cutters: dict[int, Cutter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._preparation.close()

    def put(
        self,
        descriptor: int,
        size: int,
        known: FileContent | None = None,
        changed: Sequence[Range] | None = None,
        *,
        start: int = 0,
    ) -> FileContent:
        """Store `size` bytes of an open file from `start`; what was stored, shorter where the file turned out to be.

        `known` is the content that the file had in a commit of this store, and `changed` are the ranges, sorted and
        apart, in which it may differ from that; None where that is not known. Chunks of `known` that lie outside of
        them are not read, but for one that is followed by a change at once: the byte after it decides about its end.

        Raises:
            OSError: the file cannot be read. The next file can be put.
            DiskFull: there is no room. What was put since the last commit has been dropped.
        """
        content = Content(descriptor, size, start)
        if size <= SMALL_FILE:
            return self.put_bytes(content.read())
        cutter = self._cutter(average_for(size))
        try:
            _Pass(content, cutter, self._queue, self._known_chunks(size, known, changed, cutter.largest)).run()
            chunks = self._queue.finish()
        except BaseException:
            self._queue.abandon()
            raise
        if content.size < size:  # it was cut as one that ends elsewhere, and maybe as one of those that are large
            return self.put(descriptor, content.size, known, changed, start=start)
        return self._store_list(chunks, cutter.largest)

    def put_bytes(self, data: bytes) -> FileContent:
        """As `put`, of a file that has been read: for one of at most `SMALL_FILE` bytes, which is cut in no time.

        Raises:
            DiskFull: there is no room. What was put since the last commit has been dropped.
        """
        if len(data) <= SMALLEST:
            return FileContent(EntryKind.FILE, self._store.put(Kind.BLOB, data), len(data))
        cutter = self._cutter(SMALL_AVERAGE)
        ends = [0, *cutter.cuts(memoryview(data), final=True)]
        chunks = [self._put_chunk(data[start:end]) for start, end in pairwise(ends)]
        return self._store_list(chunks, cutter.largest)

    def _put_chunk(self, data: bytes) -> Chunk:
        return Chunk(None if is_zeros(data) else self._store.put(Kind.BLOB, data), len(data))

    def _cutter(self, average: int) -> Cutter:
        if average not in self._cutters:
            self._cutters[average] = Cutter(average)
        return self._cutters[average]

    def _known_chunks(
        self, size: int, known: FileContent | None, changed: Sequence[Range] | None, largest: int
    ) -> KnownChunks | None:
        """The chunks of `known`, if they were cut as those of a file of `size` bytes are, and can be read."""
        if known is None or not known.size or average_for(known.size) != average_for(size):
            return None
        try:
            chunks = self._chunks_of(known)
        except (MissingObject, CorruptObject):
            return None
        lost = self._store.missing({chunk.hash for chunk in chunks if chunk.hash is not None})
        return KnownChunks(chunks, size, largest=largest, changed=changed, lost=lost)

    def _chunks_of(self, known: FileContent) -> list[Chunk]:
        if known.kind is EntryKind.FILE:
            return [Chunk(known.hash, known.size)]
        return read_chunks(known.hash, lambda name: self._store.get(name, Kind.CHUNKS))

    def _store_list(self, chunks: list[Chunk], largest: int) -> FileContent:
        size = sum(chunk.size for chunk in chunks)
        if len(chunks) <= 1 and size <= largest:
            name = chunks[0].hash if chunks else None
            return FileContent(EntryKind.FILE, name or self._store.put(Kind.BLOB, bytes(size)), size)
        name = store_chunks(chunks, lambda data: self._store.put(Kind.CHUNKS, data))
        return FileContent(EntryKind.CHUNKED_FILE, name, size)


class _Pass:
    """One way through a file, from its start to its end."""

    def __init__(self, content: Content, cutter: Cutter, queue: ChunkQueue, known: KnownChunks | None) -> None:
        self._content = content
        self._cutter = cutter
        self._queue = queue
        self._known = known
        everything = known is None or not known.says_what_changed
        self._window = Window(content, queue.next_memory, reads_ahead=everything)
        self._step = cutter.largest if everything else cutter.largest // 4
        self._position = 0
        self._open: int | None = None
        queue.uses_threads = content.size >= THREADS_FROM

    def run(self) -> None:
        """Give the queue the chunks that cutting the whole file would give."""
        while self._position < self._content.size:
            if not self._take_over():
                self._reopen()
                if not self._skip_hole():
                    self._cut()

    def _take_over(self) -> bool:
        """Pass over a chunk that the file had before and still has; false where there is none."""
        chunk = self._known.at(self._position) if self._known else None
        if self._known is None or chunk is None:
            return False
        start, stop = self._position, self._position + chunk.size
        if not (self._known.is_unchanged(start, stop) or self._holds(chunk)):
            return False
        self._queue.take_over(chunk)
        self._open = None if self._known.is_closed(chunk, stop) else start
        self._position = stop
        return True

    def _holds(self, chunk: Chunk) -> bool:
        """Whether the bytes that come next are those of `chunk`."""
        if chunk.hash is None:
            return self._content.zeros_at(self._position) >= chunk.size
        data = self._window.at(self._position, chunk.size)[: chunk.size]
        return len(data) == chunk.size and digest(data) == chunk.hash

    def _reopen(self) -> None:
        """Go back to the start of the chunk before if its end is in doubt now that another follows than did before."""
        if self._open is not None:
            self._queue.give_back()
            self._position, self._open = self._open, None

    def _skip_hole(self) -> bool:
        """Pass over chunks of zeros that the file does not even hold; false where there are none."""
        size = self._hole_size(self._position)
        if size:
            self._queue.take_over(Chunk(None, size))
            self._position += size
        return size > 0

    def _hole_size(self, position: int) -> int:
        """The bytes of whole chunks in a hole at `position`."""
        largest = self._cutter.largest
        if self._content.size <= largest:
            return 0
        return self._content.zeros_at(position) // largest * largest

    def _cut(self) -> None:
        """Cut at least one chunk, then on until the cutter may be spared."""
        least, done, final = self._step, 0, False
        while not (done or final):
            window = self._window.at(self._position, least)
            final = self._position + len(window) >= self._content.size
            for end in self._cutter.cuts(window, final=final):
                self._queue.add(window[done:end])
                done = end
                if self._may_skip(self._position + end):
                    break
            least = len(window) + self._step
        self._position += done

    def _may_skip(self, position: int) -> bool:
        return (self._known is not None and self._known.at(position) is not None) or self._hole_size(position) > 0
