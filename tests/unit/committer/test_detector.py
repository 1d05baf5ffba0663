"""Detection as a whole, where what it found cannot be entered."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from committer.books import Books
from committer.detect.detector import Detector
from committer.initialise import initialise
from committer.settings import CommitterSettings
from dotscience.errors import DiskFull

EMPTY = b'{"cells": [], "metadata": {}, "nbformat": 4}'


class Listener:
    """Takes what is found, after failing as often as told."""

    def __init__(self):
        self.failures = 0
        self.refused = set()
        self.scans = asyncio.Queue()
        self.notebooks = asyncio.Queue()

    async def sidecars_read(self, scan):
        if self.failures:
            self.failures -= 1
            raise DiskFull("the disk is full")
        self.scans.put_nowait(scan)

    async def notebook_read(self, sight):
        if sight.path in self.refused:
            raise ValueError("a defect")
        self.notebooks.put_nowait(sight.path)

    async def notebook_signatures(self):
        return {}


def detect(root, body):
    """Run a coroutine with a started detector and its listener."""

    async def main():
        with ThreadPoolExecutor(1) as executor:
            listener = Listener()
            detector = Detector(initialise(root), CommitterSettings(debounce_s=0), listener, executor)
            try:
                async with asyncio.timeout(30):
                    await body(detector, listener)
            finally:
                await detector.stop()

    asyncio.run(main())


def test_what_cannot_be_entered_is_looked_for_again(tmp_path):
    async def body(detector, listener):
        listener.failures = 2
        await detector.start()
        with pytest.raises(DiskFull):
            await detector.watch()
        watching = asyncio.create_task(detector.watch())
        await listener.scans.get()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    detect(tmp_path, body)


def test_a_notebook_at_which_reading_fails_does_not_keep_the_others_from_being_read(tmp_path):
    async def body(detector, listener):
        listener.refused = {"a.ipynb"}
        for name in ("a.ipynb", "b.ipynb"):
            (tmp_path / name).write_bytes(EMPTY)
        await detector.start()
        with pytest.raises(ValueError, match="a defect"):
            await detector.read()
        reading = asyncio.create_task(detector.read())
        assert await listener.notebooks.get() == "b.ipynb"
        with pytest.raises(ValueError, match="a defect"):
            await reading
        assert detector.is_listed("a.ipynb")

    detect(tmp_path, body)


def test_a_journal_that_has_no_room_says_so_and_keeps_what_it_had(store):
    def fill(journal):
        connection = journal._connection
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        with journal.transaction():
            journal.put({"small": "x"})
            journal.put({"large": "x" * 100_000})

    async def main():
        books = Books()
        await books.open(store.folder)
        with pytest.raises(DiskFull, match="make room"):
            await books.use(fill)
        assert await books.use(lambda journal: journal.get("small")) is None
        await books.close()

    asyncio.run(main())
