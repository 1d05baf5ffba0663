"""Parts of a file."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """The bytes of a file from `start` to before `stop`."""

    start: int
    stop: int
