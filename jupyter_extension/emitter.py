"""Jupyter events about runs and the committer, at most two of a kind per second.

A loop that publishes hundreds of runs must not flood the one WebSocket that a browser tab has for all events. The first
event of a kind leaves at once, what follows within the interval is merged, and the last state always arrives.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

EVENTS_DIR = Path(__file__).parent / "events"
RUN_SCHEMA = "https://events.dotscience.dev/run/v1"
COMMITTER_SCHEMA = "https://events.dotscience.dev/committer/v1"
INTERVAL_S = 0.5
MOST_PENDING = 200
"""Run events kept between two flushes; beyond it the oldest are dropped, since a reader refetches on any of them."""

COMMITTER_FIELDS = {"state": "error", "message": "", "pushed": 0, "unpushed": 0, "pending_runs": 0}


class EventLogger(Protocol):
    """The part of `jupyter_events.EventLogger` that is used here."""

    def register_event_schema(self, schema: Path) -> None:
        """Make a schema known."""

    def emit(self, *, schema_id: str, data: dict[str, Any]) -> Any:
        """Send an event to all listeners."""


class Emitter:
    """Merges and emits events; every method must be called on the server's loop."""

    def __init__(self, events: EventLogger, *, interval_s: float = INTERVAL_S) -> None:
        self._events = events
        self._interval_s = interval_s
        self._pending: dict[tuple[str, str], dict[str, Any]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def register(self) -> None:
        """Make our schemas known to the server; an event with an unknown schema would be refused."""
        for schema in sorted(EVENTS_DIR.glob("*.yaml")):
            self._events.register_event_schema(schema)

    def committer(self, status: dict[str, Any]) -> None:
        """Announce the committer's state."""
        data = {name: status.get(name, default) for name, default in COMMITTER_FIELDS.items()}
        self._add((COMMITTER_SCHEMA, str(status.get("root"))), data)

    def run(self, action: str, run_id: str, notebook: str | None, state: str) -> None:
        """Announce a run; a run that was detected and updated within one interval stays "detected"."""
        key = (RUN_SCHEMA, run_id)
        before = self._pending.get(key)
        action = "detected" if before and before["action"] == "detected" else action
        self._add(key, {"action": action, "run_id": run_id, "notebook": notebook, "state": state})

    def close(self) -> None:
        """Drop what is pending."""
        if self._timer:
            self._timer.cancel()
        self._pending.clear()

    def _add(self, key: tuple[str, str], data: dict[str, Any]) -> None:
        self._pending.pop(key, None)
        self._pending[key] = data
        if len(self._pending) > MOST_PENDING:
            self._pending.pop(next(iter(self._pending)))
        if self._timer is None:
            self._flush()

    def _flush(self) -> None:
        pending, self._pending = self._pending, {}
        self._timer = None
        if not pending:
            return
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._flush)
        for (schema, _), data in pending.items():
            self._events.emit(schema_id=schema, data=data)
