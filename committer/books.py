"""The journal for the event loop: every use of it runs, in order, on the journal's own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from committer.storage.index import disk_errors
from committer.sync.journal import Journal

T = TypeVar("T")


class Books:
    """A `Journal` that can be awaited. `open` before use, `close` in the end; both block shortly."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "journal")
        self._journal: Journal | None = None
        self._folder = Path()

    async def open(self, folder: Path) -> None:
        """Open the journal of the store in `folder`."""
        self._folder = folder
        self._journal = await self._submit(lambda: Journal(folder))

    async def use(self, function: Callable[[Journal], T]) -> T:
        """What `function` returns, called with the journal.

        Raises:
            DiskFull, SnapshotError: the disk does not let it write; nothing of its transaction has happened.
        """
        journal = self._journal
        if journal is None:
            raise RuntimeError("the books are not open")
        return await self._submit(lambda: function(journal))

    async def close(self) -> None:
        """Close the journal after all uses that were asked for."""
        journal, self._journal = self._journal, None
        if journal is not None:
            await self._submit(journal.close)
        self._executor.shutdown()

    async def _submit(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._call, function)

    def _call(self, function: Callable[[], T]) -> T:
        with disk_errors(self._folder):
            return function()
