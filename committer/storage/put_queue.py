"""Objects between being put and being in a pack: compressed many at a time, on a thread of their own.

Small objects come by the ten thousand, and compressing them is most of what that costs. One call for many of them lets
the thread that reads the files go on meanwhile. They reach the pack in the order in which they were put, whatever the
threads do, so that equal folders make equal packs.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from committer.storage.compression import Compressor
from committer.storage.pack import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from committer.storage.objects import Kind

SLICE_SIZE = 2**21
"""Bytes for which handing them to a thread costs little in comparison."""
SLICE_OBJECTS = 1024
MOST_BYTES = 8 * SLICE_SIZE
"""Beyond, what was put first has to be in the pack before more is taken."""


class Queued(Struct, frozen=True, gc=False):
    """An object that has no place in a pack yet; `data` must not change."""

    kind: Kind
    name: bytes
    data: bytes


class PutQueue:
    """Takes objects in order and gives them, compressed and in that order, to `append`. Belongs to the store's thread.

    The thread is started when there is enough to do for it, and ended by `close`.
    """

    def __init__(self, append: Callable[[Iterable[tuple[Kind, Prepared]]], None]) -> None:
        self._append = append
        self._compressor = Compressor()
        self._threads_compressor = Compressor()
        self._executor: ThreadPoolExecutor | None = None
        self._slice: list[Queued] = []
        self._slice_size = 0
        self._compressing: deque[tuple[int, Future[list[tuple[Kind, Prepared]]]]] = deque()
        self._size = 0

    def close(self) -> None:
        """Drop what is queued and end the thread. Safe to call again."""
        self.clear()
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def put(self, queued: Queued) -> None:
        """Take an object that is not queued; it is appended at any time until `drain`.

        What `append` raises comes from here: the object that it was about may be an earlier one.
        """
        size = len(queued.data)
        while self._compressing and self._size + size > MOST_BYTES:
            self._append_oldest()
        self._slice.append(queued)
        self._slice_size += size
        self._size += size
        if self._slice_size >= SLICE_SIZE or len(self._slice) >= SLICE_OBJECTS:
            self._hand_over()

    def drain(self) -> None:
        """Append everything that is queued."""
        while self._compressing:
            self._append_oldest()
        queued, self._slice = self._slice, []
        self._slice_size = self._size = 0
        self._append(_prepare(queued, self._compressor))

    def clear(self) -> None:
        """Drop everything that is queued."""
        for _, task in self._compressing:
            task.cancel()
        self._compressing.clear()
        self._slice = []
        self._slice_size = self._size = 0

    def _hand_over(self) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="compress")
        task = self._executor.submit(_prepare, self._slice, self._threads_compressor)
        self._compressing.append((self._slice_size, task))
        self._slice, self._slice_size = [], 0

    def _append_oldest(self) -> None:
        size, task = self._compressing.popleft()
        self._size -= size
        self._append(task.result())


def _prepare(queued: list[Queued], compressor: Compressor) -> list[tuple[Kind, Prepared]]:
    packed = compressor.compress_all([one.data for one in queued])
    return [(one.kind, Prepared(one.name, len(one.data), *ready)) for one, ready in zip(queued, packed, strict=True)]
