"""The committer's local API as Python calls, over its unix socket. See docs/design/interfaces.md, section 2."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from dotscience.capture_manifest import CapturedFile
from dotscience.errors import CommitterUnavailable, DotscienceError
from dotscience.workspace import STATE_DIR

ENDPOINT_FILE = "committer.json"


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a living committer listens, as it wrote it into the state folder.

    One that does not last is a command that saves the workspace where no committer runs, and ends then.
    """

    pid: int
    socket: str
    started_at: str
    lasts: bool = True


def read_endpoint(root: Path) -> Endpoint:
    """The endpoint of `root`'s committer; it may have died since.

    Raises:
        CommitterUnavailable: none has announced itself.
    """
    path = root / STATE_DIR / ENDPOINT_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Endpoint)
    except (OSError, msgspec.DecodeError) as error:
        raise CommitterUnavailable(f"no committer runs for {root}; start one with `ds committer`") from error


class CommitterClient:
    """Calls the committer of one workspace; every call opens its own connection, so threads may share a client.

    Raises, from every call: `CommitterUnavailable` when no committer answers, or one that is stopping,
    `DotscienceError` when it refuses.
    """

    def __init__(self, root: Path, *, timeout_s: float = 10.0) -> None:
        self.root = root
        self._timeout_s = timeout_s

    def status(self) -> dict[str, Any]:
        """The committer's state; see `GET /v1/status`."""
        return self._json("GET", "/v1/status")

    def runs(self, *, notebook: str | None = None, limit: int = 50, before: int | None = None) -> dict[str, Any]:
        """A page of runs, newest first; `before` is the page before's `next_before`."""
        query = {"notebook": notebook, "limit": limit, "before": before}
        text = urlencode({name: value for name, value in query.items() if value is not None})
        return self._json("GET", f"/v1/runs?{text}")

    def run(self, run_id: str) -> dict[str, Any]:
        """One run with its environment."""
        return self._json("GET", f"/v1/runs/{quote(run_id, safe='')}")

    def nudge(self, path: str) -> None:
        """Say that a notebook was just saved; returns at once."""
        self._json("POST", "/v1/nudge", {"path": path})

    def commit(self, description: str) -> dict[str, Any]:
        """Take a commit now; returns when it is durable, which for a large workspace can take minutes."""
        return self._json("POST", "/v1/commits", {"description": description}, timeout_s=3600.0)

    def capture(self, paths: list[str]) -> list[CapturedFile]:
        """Have files of the workspace stored as they are now; those that could be, in no order."""
        document = self._json("POST", "/v1/captures", {"paths": paths})
        return msgspec.convert(document["files"], list[CapturedFile])

    def import_runs(self, run_ids: list[str]) -> int:
        """Take over earlier runs that came with a copied or cloned notebook; returns how many."""
        return int(self._json("POST", "/v1/runs/import", {"run_ids": run_ids})["imported"])

    def push(self) -> None:
        """Try to reach the hub now instead of after the back-off."""
        self._json("POST", "/v1/push", {})

    def make_room(self, *, keep: int | None, dry_run: bool) -> dict[str, Any]:
        """Drop contents that the hub has until the local store is no larger than `keep` bytes; how much that was."""
        return self._json("POST", "/v1/gc", {"keep": keep, "dry_run": dry_run}, timeout_s=3600.0)

    def shutdown(self) -> None:
        """Ask the committer to finish the commit in hand and exit."""
        self._json("POST", "/v1/shutdown", {})

    def events(self, *, timeout_s: float | None = None) -> Iterator[dict[str, Any]]:
        """The event feed, starting with the present status, until the committer goes away.

        `timeout_s` bounds the silence between two lines (the committer sends a blank one every 15 s); None waits on.
        """
        connection = self._connect(timeout_s)
        try:
            answer = self._answer(connection, "GET", "/v1/events", None)
            while line := answer.readline():
                if line.strip():
                    yield msgspec.json.decode(line)
        except (OSError, http.client.HTTPException) as error:
            raise CommitterUnavailable(f"the committer of {self.root} went away ({error!r})") from error
        finally:
            connection.close()

    def _json(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> dict[str, Any]:
        connection = self._connect(timeout_s or self._timeout_s)
        try:
            answer = self._answer(connection, method, path, body)
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise CommitterUnavailable(f"the committer of {self.root} does not answer ({error!r})") from error
        finally:
            connection.close()
        document = msgspec.json.decode(content, type=dict[str, Any]) if content else {}
        if answer.status >= 300:
            detail = str(document.get("detail") or f"the committer answered status {answer.status}")
            is_stopping = answer.status == HTTPStatus.SERVICE_UNAVAILABLE
            raise CommitterUnavailable(detail) if is_stopping else DotscienceError(detail)
        return document

    def _connect(self, timeout_s: float | None) -> _UnixConnection:
        return _UnixConnection(read_endpoint(self.root).socket, timeout_s)

    def _answer(self, connection: _UnixConnection, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        data = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, body=data, headers={"Content-Type": "application/json"} if data else {})
        return connection.getresponse()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over a unix socket; the host name in requests is a placeholder that the committer expects."""

    def __init__(self, socket_path: str, timeout_s: float | None) -> None:
        super().__init__("committer", timeout=timeout_s)
        self._socket_path = socket_path

    def connect(self) -> None:
        """Connect the unix socket where HTTPConnection would resolve a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._socket_path)
        except OSError:
            self.sock.close()
            raise
