"""How many connections a hub keeps, and which of them give way when there are too many.

A connection that has not sent a whole request head in time is closed, and when there is no room for another, those that
have sent none give way first, those of the address with the most of them before others: who opens a thousand
connections and says nothing keeps nobody out.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Awaitable
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
    return max(files - RESERVED_FILES, LEAST_CONNECTIONS)


class LimitedServer(HTTPServer):
    """An HTTP server with limits on its connections. Belongs to the event loop."""

    _max = LEAST_CONNECTIONS
    _silent: dict[IOStream, str]
    _kept: dict[IOStream, str]

    def limit(self, max_connections: int) -> None:
        """Keep no more connections than this; before the server takes any."""
        self._max = max_connections
        self._silent, self._kept = {}, {}

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> Any:
        """Tornado's hook: a connection was accepted."""
        host = str(address[0]) if address else ""
        if not self._make_room(host):
            stream.close()
            return None
        self._silent[stream] = self._kept[stream] = host
        asyncio.get_running_loop().call_later(HEADER_TIMEOUT_S, self._end_if_silent, stream)
        return super().handle_stream(stream, address)

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """Tornado's hook: a request may follow on the connection."""
        return _Heard(super().start_request(server_conn, request_conn), self._silent, request_conn.stream)

    def _make_room(self, host: str) -> bool:
        """Whether there is room for another connection of `host`, maybe since one that said nothing was closed."""
        if len(self._kept) < self._max * SHARE_OF_ADDRESS:
            return True
        self._forget_closed()
        mine = sum(one == host for one in self._kept.values())
        if len(self._kept) < self._max and mine < self._max * SHARE_OF_ADDRESS:
            return True
        silent = next((stream for stream in self._silent if self._silent[stream] == self._busiest(host)), None)
        if silent is None:
            log.warning("connections.refused", kept=len(self._kept), address=host)
            return False
        self._end(silent)
        return True

    def _busiest(self, host: str) -> str:
        """The address with most connections that said nothing; `host` where it has too many itself."""
        counts = Counter(self._silent.values())
        if counts[host] and sum(one == host for one in self._kept.values()) >= self._max * SHARE_OF_ADDRESS:
            return host
        return counts.most_common(1)[0][0] if counts else host

    def _end_if_silent(self, stream: IOStream) -> None:
        if stream in self._silent:
            self._end(stream)

    def _end(self, stream: IOStream) -> None:
        self._silent.pop(stream, None)
        self._kept.pop(stream, None)
        stream.close()

    def _forget_closed(self) -> None:
        for stream in [one for one in self._kept if one.closed()]:
            self._end(stream)


class _Heard(HTTPMessageDelegate):
    """Passes a request on, and notes that its connection has sent one."""

    def __init__(self, delegate: HTTPMessageDelegate, silent: dict[IOStream, str], stream: IOStream) -> None:
        self._delegate = delegate
        self._silent = silent
        self._stream = stream

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """The request's head is whole."""
        self._silent.pop(self._stream, None)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of its body."""
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        """It is whole."""
        self._delegate.finish()

    def on_connection_close(self) -> None:
        """The client went away."""
        self._silent.pop(self._stream, None)
        self._delegate.on_connection_close()
