"""What all HTTP handlers share: request ids, common headers, authentication, and problems instead of error pages."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from tornado.web import HTTPError, RequestHandler, stream_request_body

from dotscience.errors import CorruptObject, DiskFull, MissingObject, StorageUnavailable
from hub_server.domain.problems import Problem, not_found
from hub_server.domain.scopes import ANONYMOUS, ANYBODY, Caller
from hub_server.services.identity import sign_in_required
from hub_server.services.services import Services
from hub_server.thread_pool import Cancelled
from hub_server.web import security
from hub_server.web.proxies import path_prefix

log = structlog.get_logger()

SESSION_COOKIE = "ds_session"
HOST_SESSION_COOKIE = "__Host-ds_session"
SECURE_SESSION_COOKIE = "__Secure-ds_session"
"""For a hub below a path: browsers take a `__Host-` cookie only for all of a host (RFC 6265bis, 4.1.3)."""
SESSION_DAYS = 30
UNKNOWN = "unknown"
"""The name of what is no operation."""


class HubHandler(RequestHandler):
    """The base of all handlers; each sets `hub` and calls `prepare_request` first."""

    hub: Services
    closes = False
    """Whether the connection ends with the answer; clients are told, or their next request would meet a reset."""

    @property
    def operation_name(self) -> str:
        """What is asked for, for measurements: one of a few names, whatever clients send."""
        return UNKNOWN

    def prepare_request(self) -> None:
        """Give the request its id, for the answer and for every log line on the way."""
        self.request_id = uuid4().hex
        self.started_at = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=self.request_id)

    def set_default_headers(self) -> None:
        """Tornado's hook; called again when an error resets the answer."""
        self.set_header("Server", "Dotscience")
        for name, value in security.COMMON_HEADERS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", security.API_POLICY)
        self.set_header("Cache-Control", "no-store")

    def send_problem(self, problem: Problem) -> None:
        """End the request with a problem document."""
        self.clear()
        self.set_status(problem.type.status)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        if self.closes:
            self.set_header("Connection", "close")
        self.set_header("Content-Type", "application/problem+json")
        self.set_header("X-Request-Id", self.request_id)
        self.finish(msgspec.json.encode(problem.document(self.request_id)))

    def send_failure(self, error: Exception) -> None:
        """End the request with what a failure looks like from outside; the log gets the rest."""
        match error:
            case Problem():
                self.send_problem(error)
            case DiskFull():
                log.error("storage.full", error=str(error))
                self.send_problem(Problem("storage-full", "the hub's disk is full; its operator must make room"))
            case StorageUnavailable():
                log.error("storage.unavailable", error=str(error))
                self.send_problem(Problem("storage-unavailable", "the hub cannot reach its storage; try again later"))
            case Cancelled():
                self.send_problem(Problem("stopping", "the hub stops, and has given up what was asked; ask again"))
            case CorruptObject() | MissingObject():
                log.error("object.damaged", error=str(error))
                self.send_problem(Problem("damaged", f"{error}; the hub's operator must restore it"))
            case HTTPError():
                self.send_problem(_from_http_error(error))
            case _:
                log.error("request.failed", exc_info=error)
                self.send_problem(Problem("internal", "the hub failed; its log says why, under the request id"))

    async def authenticate(self, scope: str, *, is_inside_project: bool = False) -> Caller | None:
        """The caller, by bearer token or else by session; None for anonymous operations.

        Inside a project everybody may ask to read: it may be public.

        Raises:
            Problem: unauthenticated; forbidden or not-found where the caller lacks the scope.
        """
        if scope == ANONYMOUS:
            return None
        caller = await self.find_caller(or_anybody=is_inside_project and scope in ANYBODY.scopes)
        structlog.contextvars.bind_contextvars(caller=caller.credential)
        authorise(caller, scope, self.request.path)
        return caller

    async def find_caller(self, *, or_anybody: bool) -> Caller:
        """Who sent the request, by bearer token or else by session; where that is enough, anybody.

        Raises:
            Problem: unauthenticated.
        """
        token = security.bearer_token(self.request.headers)
        if token is not None:
            return await self.hub.identity.by_token(token)
        if (session := self.session_secret()) is not None:
            return await self.hub.identity.by_session(session)
        if or_anybody:
            return ANYBODY
        raise sign_in_required()

    def session_secret(self) -> str | None:
        """The session in the browser's cookie."""
        return self.get_cookie(self._cookie_name)

    def set_session(self, secret: str) -> None:
        """Keep a session in the browser, or make it forget (empty)."""
        self.set_cookie(
            self._cookie_name,
            secret,
            expires_days=SESSION_DAYS if secret else -1,
            path=f"{self._prefix}/",
            httponly=True,
            samesite="Lax",
            secure=self._is_https,
        )

    def origin(self) -> str:
        """The origin under which the browser knows this hub."""
        scheme = "https" if self._is_https else "http"
        return f"{scheme}://{self.request.host}"

    @property
    def _is_https(self) -> bool:
        return self.request.protocol == "https" or self.hub.public_url.startswith("https:")

    @property
    def _prefix(self) -> str:
        return path_prefix(self.hub.public_url)

    @property
    def _cookie_name(self) -> str:
        if not self._is_https:
            return SESSION_COOKIE
        return SECURE_SESSION_COOKIE if self._prefix else HOST_SESSION_COOKIE

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tornado's hook for errors that happen outside of operations, such as a method that no handler knows."""
        if not hasattr(self, "request_id"):
            self.prepare_request()
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.send_failure(error if isinstance(error, Exception) else HTTPError(status_code))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Tornado's hook; `send_failure` has logged what is worth it."""


class NotFoundHandler(HubHandler):
    """Answers for paths that are not of the API."""

    def initialize(self, hub: Services) -> None:
        """Tornado's hook."""
        self.hub = hub

    def prepare(self) -> None:
        """Tornado's hook."""
        self.prepare_request()
        self.send_problem(not_found("operation", self.request.path[:200]))


@stream_request_body
class RefusalHandler(HubHandler):
    """Answers requests that get no further, whatever they ask for, before their bodies arrive."""

    def initialize(self, hub: Services, problem: Problem) -> None:
        """Tornado's hook."""
        self.hub = hub
        self._problem = problem

    def prepare(self) -> None:
        """Tornado's hook."""
        self.prepare_request()
        self.send_problem(self._problem)

    def set_default_headers(self) -> None:
        """Tornado's hook: what comes after this request is not wanted either."""
        super().set_default_headers()
        self.set_header("Connection", "close")

    def data_received(self, chunk: bytes) -> None:
        """Tornado's hook: a body is dropped."""


def authorise(caller: Caller, scope: str, path: str) -> None:
    """Make sure that a caller holds a scope.

    Raises:
        Problem: forbidden; not-found for a token of one project, as for it nothing else exists.
    """
    if caller.may(scope):
        return
    if caller.project_id is not None:  # outside of its scopes nothing exists for a token of one project
        raise not_found("operation", path[:200])
    raise Problem("forbidden", f"this needs the scope {scope}, which your token lacks; make one that has it")


def _from_http_error(error: HTTPError) -> Problem:
    """The problem for what Tornado itself refuses."""
    if error.status_code == 405:
        return Problem("method-not-allowed", "no operation of the hub has this method", headers={"Allow": "GET, HEAD"})
    if error.status_code == 404:
        return Problem("not-found", "there is nothing at this path")
    return Problem("malformed-request", error.log_message or error.reason or "the request cannot be read")
