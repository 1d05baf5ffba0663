"""Runs in the output of a process while it is being written: finding them, and taking their markers out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dotscience.notebook import find_runs_in_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotscience.record import RunRecord

OPENING = b"[[DOTSCIENCE-RUN:"
CLOSING = re.compile(rb"\[\[/DOTSCIENCE-RUN:[^\n]{1,256}?\]\]")
MAX_HELD = 8 * 1024 * 1024
"""The longest block that is kept off a terminal; the text after an opening that nothing closes is shown then."""
MAX_BUFFER = 64 * 1024 * 1024
"""The longest block that is waited for, in bytes; a process that opens one and never closes it costs no more memory."""


class MarkerStream:
    """Takes output piece by piece and gives each run as soon as its block is closed. One thread feeds it."""

    def __init__(self, dot_id: str | None = None) -> None:
        self._dot_id = dot_id
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[RunRecord]:
        """The runs that this piece completes, in order."""
        searched = max(0, len(self._buffer) - 300)
        self._buffer += chunk
        ends = [match.end() for match in CLOSING.finditer(self._buffer, searched)]
        if ends:
            complete = bytes(self._buffer[: ends[-1]])
            del self._buffer[: ends[-1]]
            yield from self._records(complete)
        self._forget_text()

    def _records(self, text: bytes) -> Iterator[RunRecord]:
        for found in find_runs_in_text(text, path="output", dot_id=self._dot_id):
            if found.record is not None:
                yield found.record

    def _forget_text(self) -> None:
        """Keep what may become a block: from the first opening marker on, or a marker's first bytes at the end."""
        start = self._buffer.find(OPENING)
        if start < 0 or len(self._buffer) > MAX_BUFFER:
            start = max(0, len(self._buffer) - len(OPENING))
        del self._buffer[:start]


class MarkerFilter:
    """Passes output on without the markers of runs, for a terminal. One thread feeds it."""

    def __init__(self) -> None:
        self._held = b""
        self._after_block = False

    def feed(self, chunk: bytes) -> bytes:
        """What is to be shown by now; a block that is not closed yet, or may be one, is held back."""
        data, self._held = self._held + chunk, b""
        shown = []
        while data:
            if self._after_block:
                self._after_block = False
                data = data.removeprefix(b"\n")
            start = data.find(OPENING)
            if start < 0:
                cut = len(data) - _opening_at_end(data)
                shown.append(data[:cut])
                self._held = data[cut:]
                break
            shown.append(data[:start])
            end = CLOSING.search(data, start)
            if end is None:
                self._hold(data[start:], shown)
                break
            data, self._after_block = data[end.end() :], True
        return b"".join(shown)

    def flush(self) -> bytes:
        """What is held back when the output ends."""
        held, self._held = self._held, b""
        return held

    def _hold(self, block: bytes, shown: list[bytes]) -> None:
        if len(block) > MAX_HELD:
            shown.append(block)
        else:
            self._held = block


def _opening_at_end(data: bytes) -> int:
    """How many bytes at the end may be the beginning of a marker."""
    lengths = range(min(len(OPENING) - 1, len(data)), 0, -1)
    return next((length for length in lengths if data.endswith(OPENING[:length])), 0)
