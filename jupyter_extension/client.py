"""The committer's local API for a Tornado loop. See docs/design/interfaces.md, section 2.

The synchronous twin for threads and scripts is `dotscience.client.committer.CommitterClient`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.iostream import StreamClosedError
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from dotscience.client.committer import read_endpoint
from dotscience.errors import CommitterUnavailable
from jupyter_extension.errors import CommitterRefused

REQUEST_TIMEOUT_S = 10.0
COMMIT_TIMEOUT_S = 3600.0
SILENCE_LIMIT_S = 45.0
"""The committer sends a blank line every 15 s; three missed ones mean that it hangs."""
LINE_LIMIT = 1 << 20


class CommitterSocket(Resolver):
    """Resolves every host name to the unix socket that the committer of `root` announced last."""

    def initialize(self, *, root: Path) -> None:
        """Called by Tornado's `Configurable` in place of `__init__`."""
        self._root = root

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:  # noqa: ARG002 - Tornado's signature
        """The announced socket; read anew for each connection, since a restarted committer may use another."""
        endpoint = await asyncio.to_thread(read_endpoint, self._root)
        return [(int(socket.AF_UNIX), endpoint.socket)]


class AsyncCommitter:
    """Calls the committer of one workspace; belongs to the event loop that it is made on.

    Raises, from every call: `CommitterUnavailable` when no committer answers, `CommitterRefused` when it says no.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._http = SimpleAsyncHTTPClient(force_instance=True, resolver=CommitterSocket(root=root), max_clients=50)

    def close(self) -> None:
        """Release the client; calls that are under way fail."""
        self._http.close()

    async def status(self) -> dict[str, Any]:
        """The committer's state."""
        return await self._json("GET", "/v1/status")

    async def runs(self, *, notebook: str | None, limit: int, before: int | None) -> dict[str, Any]:
        """A page of runs, newest first; `notebook` is relative to the workspace's root."""
        query = {"notebook": notebook, "limit": limit, "before": before}
        return await self._json("GET", "/v1/runs?" + urlencode({k: v for k, v in query.items() if v is not None}))

    async def run(self, run_id: str) -> dict[str, Any]:
        """One run with its environment."""
        return await self._json("GET", f"/v1/runs/{quote(run_id, safe='')}")

    async def nudge(self, path: str) -> None:
        """Say that a notebook was just saved."""
        await self._json("POST", "/v1/nudge", {"path": path})

    async def commit(self, description: str) -> dict[str, Any]:
        """Take a commit; answers when it is durable, which for a large workspace can take minutes."""
        return await self._json("POST", "/v1/commits", {"description": description}, timeout_s=COMMIT_TIMEOUT_S)

    async def push(self) -> None:
        """Try to reach the hub now instead of after the back-off."""
        await self._json("POST", "/v1/push", {})

    async def events(self) -> AsyncGenerator[dict[str, Any]]:
        """The event feed, starting with the present status, until the committer goes away.

        Asked for with HTTP/1.0, so that the answer is plain lines up to the end of the stream, and read from a stream
        of our own: an answer that Tornado's client is in the middle of cannot be cancelled.
        """
        endpoint = await asyncio.to_thread(read_endpoint, self.root)
        try:
            reader, writer = await asyncio.open_unix_connection(endpoint.socket, limit=LINE_LIMIT)
        except OSError as error:
            raise _unavailable(self.root, error) from error
        try:
            writer.write(b"GET /v1/events HTTP/1.0\r\nHost: committer\r\n\r\n")
            async for line in _answer_lines(reader):
                yield msgspec.json.decode(line, type=dict[str, Any])
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
            raise _unavailable(self.root, error) from error
        finally:
            writer.close()
        raise CommitterUnavailable(f"The committer of {self.root} went away")

    async def _json(self, method: str, path: str, body: Any = None, *, timeout_s: float = 0) -> dict[str, Any]:
        request = HTTPRequest(
            f"http://committer{path}",
            method=method,
            body=None if body is None else msgspec.json.encode(body),
            headers={"Content-Type": "application/json"} if body is not None else None,
            connect_timeout=REQUEST_TIMEOUT_S,
            request_timeout=timeout_s or REQUEST_TIMEOUT_S,
            follow_redirects=False,
        )
        try:
            answer = await self._http.fetch(request, raise_error=False)
            return _document(answer)
        except (HTTPClientError, StreamClosedError, OSError, msgspec.DecodeError) as error:
            raise _unavailable(self.root, error) from error


def _document(answer: HTTPResponse) -> dict[str, Any]:
    """The answer's JSON object; `code` 599 is how Tornado reports that there was no answer."""
    if answer.code == 599:
        raise answer.error or StreamClosedError()
    document = msgspec.json.decode(answer.body, type=dict[str, Any]) if answer.body else {}
    if answer.code >= 300:
        raise CommitterRefused(answer.code, document)
    return document


async def _answer_lines(reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    """The lines of an HTTP/1.0 answer's body that are not blank."""
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise ValueError(f"the event feed answered {head[:80]!r}")
    while True:
        # Not wait_for: until Python 3.12 it drops a cancellation that comes together with a line.
        async with asyncio.timeout(SILENCE_LIMIT_S):
            line = await reader.readline()
        if not line:
            return
        if line.strip():
            yield line


def _unavailable(root: Path, error: BaseException) -> CommitterUnavailable:
    return CommitterUnavailable(f"The committer of {root} does not answer ({error!r})")
