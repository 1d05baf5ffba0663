"""Where a hub listens, and how it begins and ends to answer there."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import NamedTuple

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from dotscience.errors import ConfigError
from hub_server.connections import LimitedServer
from hub_server.settings import DEFAULT_HOST, DEFAULT_PORT, HubSettings
from hub_server.tls import Certificate
from hub_server.web.application import MAX_READ_HEADER_BYTES, HubApplication
from hub_server.web.security import LOOPBACK_NAMES, host_name

log = structlog.get_logger()

PORTS_TRIED = 100
BODY_TIMEOUT_S = 600.0
IDLE_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 8.0
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class Listener(NamedTuple):
    """Sockets that listen on one port of a host, for TLS where there is a certificate."""

    sockets: list[socket.socket]
    host: str
    certificate: Certificate | None = None

    @property
    def url(self) -> str:
        """Its address for programs on this machine."""
        port = self.sockets[0].getsockname()[1]
        host = DEFAULT_HOST if self.host in EVERYWHERE else self.host
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def listen(settings: HubSettings) -> list[Listener]:
    """Listen; the first is where people reach the hub, the last where programs on this machine do.

    These know no name that stands in a certificate, so that a hub with TLS listens on a port of loopback besides.

    Raises:
        ConfigError: a port is taken, or the certificate cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return [Listener(_bind(settings), settings.host)]
    certificate = Certificate(settings.tls_cert, settings.tls_key)
    return [
        Listener(_bind(settings), settings.host, certificate),
        Listener(bind_sockets(0, DEFAULT_HOST), DEFAULT_HOST),
    ]


def close_listeners(listeners: list[Listener]) -> None:
    """Stop listening."""
    for listener in listeners:
        for one in listener.sockets:
            one.close()


def host_names(settings: HubSettings) -> frozenset[str]:
    """The names under which the hub answers."""
    public = host_name((settings.public_url or "").partition("//")[2])
    return LOOPBACK_NAMES | {name.lower() for name in (settings.host, public) if name}


def serve(application: HubApplication, listener: Listener, max_connections: int) -> HTTPServer:
    """Answer what comes to a listener, on at most so many connections at once."""
    server = LimitedServer(
        application,
        ssl_options=listener.certificate and listener.certificate.context,
        max_header_size=MAX_READ_HEADER_BYTES,
        body_timeout=BODY_TIMEOUT_S,
        idle_connection_timeout=IDLE_TIMEOUT_S,
    )
    server.limit(max_connections)
    server.add_sockets(listener.sockets)
    return server


async def stop_serving(servers: list[HTTPServer], application: HubApplication) -> None:
    """Take no more connections, and let the requests that run come to their end, for a while."""
    for server in servers:
        server.stop()
    application.stop()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await application.activity.idle()
            for server in servers:
                await server.close_all_connections()
    except TimeoutError:
        log.warning("hub.requests_cut", count=len(application.activity.running))


def _bind(settings: HubSettings) -> list[socket.socket]:
    """Listen on the port asked for; without one, on 8800 or the next one that is free."""
    first = DEFAULT_PORT if settings.port is None else settings.port
    tried = range(first, first + (PORTS_TRIED if settings.port is None else 1))
    for port in tried:
        try:
            return bind_sockets(port, settings.host)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"the hub cannot listen on {settings.host}:{port} ({error.strerror})") from error
    raise ConfigError(f"port {first} on {settings.host} is taken; choose another with --port, or 0 for any free one")
