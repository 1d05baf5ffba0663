"""The Tornado application: routes, limits, the check of host names, and the access log."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import structlog
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from hub_server.domain.problems import Problem
from hub_server.services.services import Services
from hub_server.web.activity import Activity
from hub_server.web.base import UNKNOWN, HubHandler, NotFoundHandler, RefusalHandler
from hub_server.web.dispatch import ApiHandler
from hub_server.web.openapi import openapi_operation
from hub_server.web.operation import PARAMETER, PATTERNS, Media, Operation
from hub_server.web.operations import ALL
from hub_server.web.proxies import TrustedProxies, path_prefix, strip_prefix
from hub_server.web.security import host_name, take_origin_form
from hub_server.web.socket import GOING_AWAY, MAX_MESSAGE_BYTES, PING_S, SocketHandler
from hub_server.web.static import Dashboard, DashboardHandler, ProblemPageHandler

log = structlog.get_logger()

MAX_HEADER_BYTES = 32 * 2**10
MAX_READ_HEADER_BYTES = 8 * MAX_HEADER_BYTES
"""Headers up to this size are read, so that they can be refused in words; beyond it the connection is cut."""


Route = tuple[str, type[RequestHandler], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class FurtherApi:
    """Operations beside those of `/api/v1`, below a `prefix` of their own, and what handles their requests.

    `pages` are handlers for addresses outside of it, which take a hub.
    """

    prefix: str
    operations: Sequence[Operation]
    handler: type[ApiHandler]
    pages: Sequence[tuple[str, type[HubHandler]]] = ()


class HubApplication(Application):
    """Answers requests under the host names of this hub, and no others."""

    def __init__(
        self,
        hub: Services,
        *,
        dashboard: Dashboard,
        hosts: frozenset[str],
        proxies: TrustedProxies,
        further: Sequence[FurtherApi] = (),
    ) -> None:
        self._hub = hub
        self._proxies = proxies
        self._prefix = path_prefix(hub.public_url)
        self._is_stopping = False
        self._hosts = hosts
        self.sockets: set[SocketHandler] = set()
        self.activity = Activity()
        operations = [*ALL, openapi_operation(ALL, hub.version)]
        super().__init__(
            [
                *self._api_routes(operations, ApiHandler),
                (r"/api(?:/.*)?", NotFoundHandler, {"hub": hub}),
                *chain.from_iterable(self._further_routes(one) for one in further),
                (r"/problems/(.*)", ProblemPageHandler, {"hub": hub, "dashboard": {}}),
                (r"/(.*)", DashboardHandler, {"hub": hub, "dashboard": dashboard}),
            ],
            log_function=self._note_request,
            websocket_ping_interval=PING_S,
            websocket_max_message_size=MAX_MESSAGE_BYTES,
        )

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Tornado's hook: some requests get no further."""
        take_origin_form(request)
        self._proxies.apply(request)
        strip_prefix(request, self._prefix)
        problem = self._refusal(request)
        if problem is not None:
            return self.get_handler_delegate(request, RefusalHandler, {"hub": self._hub, "problem": problem})
        return super().find_handler(request, **kwargs)

    def _refusal(self, request: HTTPServerRequest) -> Problem | None:
        """Why a request gets no further, if it does not."""
        if self._is_stopping:
            return Problem("stopping", "the hub is stopping; try again in a moment", headers={"Retry-After": "5"})
        if host_name(request.host) not in self._hosts:  # a page may have rebound its own name to us (DNS rebinding)
            detail = "the hub does not answer under this host name; start it with --public-url if it should"
            return Problem("misdirected", detail)
        size = len(request.uri or "") + sum(len(name) + len(value) for name, value in request.headers.get_all())
        if size > MAX_HEADER_BYTES:
            detail = f"the address and header fields have {size} bytes, more than {MAX_HEADER_BYTES}"
            return Problem("headers-too-large", detail)
        return None

    def stop(self) -> None:
        """Take no new requests, and tell the listeners that the hub is going away."""
        self._is_stopping = True
        self._hub.events.end()
        for socket in list(self.sockets):
            socket.close(GOING_AWAY, "the hub is stopping")

    def _further_routes(self, api: FurtherApi) -> list[Route]:
        nothing = {"hub": self._hub}
        return [
            *self._api_routes(api.operations, api.handler),
            (rf"{api.prefix}(?:/.*)?", NotFoundHandler, nothing),
            *((pattern, handler, nothing) for pattern, handler in api.pages),
        ]

    def _api_routes(self, operations: Sequence[Operation], handler: type[ApiHandler]) -> list[Route]:
        by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
        for one in operations:
            by_path[one.path][one.method] = one
        return [self._route(path, methods, handler) for path, methods in by_path.items()]

    def _route(self, path: str, methods: dict[str, Operation], handler: type[ApiHandler]) -> Route:
        pattern = PARAMETER.sub(_pattern, path.replace(".", r"\."))
        socket = next((one for one in methods.values() if one.media is Media.SOCKET), None)
        if socket is not None:
            return pattern, SocketHandler, {"hub": self._hub, "operation": socket, "sockets": self.sockets}
        return pattern, handler, {"hub": self._hub, "operations": methods, "activity": self.activity}

    def _note_request(self, handler: RequestHandler) -> None:
        """Tornado's hook: one line per request, and a measurement."""
        started = handler.started_at if isinstance(handler, HubHandler) else time.monotonic()
        name = handler.operation_name if isinstance(handler, HubHandler) else UNKNOWN
        seconds = time.monotonic() - started
        self._hub.metrics.request_ended(name, handler.get_status(), seconds)
        log.info(
            "request.finished",
            method=handler.request.method,
            path=handler.request.path,  # and no query, as it may hold what is nobody's business
            status=handler.get_status(),
            duration_ms=round(seconds * 1000, 1),
        )


def _pattern(parameter: re.Match[str]) -> str:
    return f"(?P<{parameter[1]}>{PATTERNS.get(parameter[1], '[^/]+')})"
