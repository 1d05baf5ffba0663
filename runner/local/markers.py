"""Runs in the output of a process while it is being written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dotscience.notebook import find_runs_in_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotscience.record import RunRecord

OPENING = b"[[DOTSCIENCE-RUN:"
CLOSING = re.compile(rb"\[\[/DOTSCIENCE-RUN:[^\n]{1,256}?\]\]")
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
