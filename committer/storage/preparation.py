"""Hashing and compressing, on as many threads as there are processors.

Both are most of what storing a file costs, and both let other threads run meanwhile: blake3 and zstandard release the
interpreter's lock.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from committer.storage.chunking import LARGEST
from committer.storage.codec import digest
from committer.storage.compression import Compressor
from committer.storage.pack import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

ZEROS = bytes(LARGEST)
"""Takes no memory: the kernel maps one page of zeros for all of it (calloc(3))."""


Found = Prepared | bytes | None


class Preparation:
    """Makes objects of chunks, here or in its threads; those are started when they are first needed, ended by `close`.

    `is_stored` says, from any thread, whether an object is in the store, so that it need not be compressed.
    """

    def __init__(self, is_stored: Callable[[bytes], bool]) -> None:
        self._is_stored = is_stored
        self._executor = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="ingest")
        self._own = threading.local()

    def close(self) -> None:
        """End the threads; what they have not begun is dropped."""
        self._executor.shutdown(cancel_futures=True)

    def submit(self, chunks: Sequence[memoryview]) -> Future[list[Found]]:
        """Have a thread `prepare` the chunks, which must stay as they are until it has."""
        return self._executor.submit(self.prepare, chunks)

    def prepare(self, chunks: Sequence[memoryview]) -> list[Found]:
        """What each chunk is: what to store, the hash of what is stored already, or None for zeros only."""
        return [None if is_zeros(chunk) else self._prepared(chunk) for chunk in chunks]

    def _prepared(self, chunk: memoryview) -> Prepared | bytes:
        name = digest(chunk)
        return name if self._is_stored(name) else Prepared(name, len(chunk), *self._compressor().compress(chunk))

    def _compressor(self) -> Compressor:
        found: Compressor | None = getattr(self._own, "compressor", None)
        if found is None:
            found = self._own.compressor = Compressor()
        return found


def is_zeros(chunk: bytes | memoryview) -> bool:
    """Whether a chunk, of at most `LARGEST` bytes, has nothing in it; most have, which their ends tell."""
    return not chunk[0] and not chunk[-1] and ZEROS.startswith(bytes(chunk))
