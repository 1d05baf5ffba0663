"""Ending long work early when the hub stops."""

from __future__ import annotations

import threading


class Stopped(Exception):
    """The hub stops; what was under way is given up, and loses nothing."""


class Stopping:
    """Whether the hub stops; asked from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        """Let long work end soon."""
        self._event.set()

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Stopped: the hub stops.
        """
        if self._event.is_set():
            raise Stopped
