"""How many connections a hub keeps, and which of them give way when there are too many.

A connection that has not sent a whole request head in time is closed. When there is no room for another, one gives way
on which no request runs, of the address with the most of them, the one that has waited longest first: who opens a
thousand connections and says nothing, or nothing more, keeps nobody out.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream

log = structlog.get_logger()

HEADER_TIMEOUT_S = 15.0
RESERVED_FILES = 256
"""Descriptors that connections leave for databases, packs and what else the hub opens."""
LEAST_CONNECTIONS = 64
MOST_CONNECTIONS = 10_000
"""Whatever the number of files: each takes memory, too."""
SHARE_OF_ADDRESS = 0.75
"""Of all connections, at most, those of one address; a proxy on this machine has one, too."""


def raise_file_limit() -> int:
    """Let this process have as many open files as it may (setrlimit(2)); how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:  # macOS has a lower limit than it says
            log.info("files.limit_kept", soft=soft, error=str(error))
        else:
            soft = hard
    return soft


def connections_for(files: int) -> int:
    """How many connections a process with so many files may keep."""
    return min(max(files - RESERVED_FILES, LEAST_CONNECTIONS), MOST_CONNECTIONS)


class LimitedServer(HTTPServer):
    """An HTTP server with limits on its connections. Belongs to the event loop."""

    _max = LEAST_CONNECTIONS
    _waiting: dict[IOStream, str]
    """Those on which no request runs, with their addresses, the one that waits longest first."""
    _unheard: set[IOStream]
    """Those that have not sent one whole request head."""
    _kept: dict[IOStream, str]

    def limit(self, max_connections: int) -> None:
        """Keep no more connections than this; before the server takes any."""
        self._max = max_connections
        self._waiting, self._unheard, self._kept = {}, set(), {}

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> Any:
        """Tornado's hook: a connection was accepted."""
        host = str(address[0]) if address else ""
        if not self._make_room(host):
            stream.close()
            return None
        self._waiting[stream] = self._kept[stream] = host
        self._unheard.add(stream)
        asyncio.get_running_loop().call_later(HEADER_TIMEOUT_S, self._end_if_unheard, stream)
        return super().handle_stream(stream, address)

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """Tornado's hook: a request may follow on the connection; the one before it is answered."""
        stream = request_conn.stream
        if stream in self._kept:
            self._waiting[stream] = self._kept[stream]
        return _Heard(super().start_request(server_conn, request_conn), lambda: self._heard(stream))

    def _heard(self, stream: IOStream) -> None:
        self._waiting.pop(stream, None)
        self._unheard.discard(stream)

    def _make_room(self, host: str) -> bool:
        """Whether there is room for another connection of `host`, maybe since one that waits was closed."""
        if len(self._kept) < self._max * SHARE_OF_ADDRESS:
            return True
        self._forget_closed()
        mine = sum(one == host for one in self._kept.values())
        if len(self._kept) < self._max and mine < self._max * SHARE_OF_ADDRESS:
            return True
        giving = host if mine >= self._max * SHARE_OF_ADDRESS else self._busiest()
        waiting = next((stream for stream, one in self._waiting.items() if one == giving), None)
        if waiting is None:
            log.warning("connections.refused", kept=len(self._kept), address=host)
            return False
        self._end(waiting)
        return True

    def _busiest(self) -> str | None:
        """The address with most connections on which no request runs."""
        counts = Counter(self._waiting.values())
        return counts.most_common(1)[0][0] if counts else None

    def _end_if_unheard(self, stream: IOStream) -> None:
        if stream in self._unheard:
            self._end(stream)

    def _end(self, stream: IOStream) -> None:
        self._heard(stream)
        self._kept.pop(stream, None)
        stream.close()

    def _forget_closed(self) -> None:
        for stream in [one for one in self._kept if one.closed()]:
            self._end(stream)


class _Heard(HTTPMessageDelegate):
    """Passes a request on, and tells when its head is whole."""

    def __init__(self, delegate: HTTPMessageDelegate, heard: Callable[[], None]) -> None:
        self._delegate = delegate
        self._tell = heard

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """The request's head is whole."""
        self._tell()
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of its body."""
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        """It is whole."""
        self._delegate.finish()

    def on_connection_close(self) -> None:
        """The client went away."""
        self._tell()
        self._delegate.on_connection_close()
