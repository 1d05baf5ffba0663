"""A project's events as they happen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from dotscience.client.calls import Calls, path_of
from dotscience.errors import HubUnavailable

WAIT_S = 2.0


class EventCalls(Calls):
    """Listening."""

    def events(self, project_id: str) -> Iterator[dict[str, Any]]:
        """A project's events, without end: `type`, `id`, `seq`. A `resync` says that some may have been missed.

        A hub sends something every 15 seconds, so a client's read timeout must not be shorter. Connections that break
        off are made again.

        Raises:
            NotFound, Unauthenticated: of the first connection and of every later one; HubUnavailable of the first.
        """
        last: str | None = None
        while True:
            try:
                for event in self._listen(project_id, last):
                    last = str(event["seq"])
                    yield event
            except HubUnavailable:
                if last is None:
                    raise
            time.sleep(WAIT_S)

    def _listen(self, project_id: str, last: str | None) -> Iterator[dict[str, Any]]:
        import requests

        headers = {} if last is None else {"Last-Event-ID": last}
        path = path_of("projects", project_id, "events")
        with self._send("GET", path, headers=headers, stream=True) as answer:
            try:
                for line in answer.iter_lines():
                    if line.startswith(b"data: "):
                        yield msgspec.json.decode(line.removeprefix(b"data: "), type=dict[str, Any])
            except requests.RequestException as error:
                raise HubUnavailable("the connection to the hub broke off") from error
