"""The committer's local API: HTTP on a unix socket, for this user's processes only.

Described in docs/design/interfaces.md, section 2.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import tornado.web
from msgspec import Meta, Struct
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_unix_socket

from committer.log import get_logger
from dotscience.errors import CommitterStopping, DiskFull, DotscienceError, WorkspaceError

if TYPE_CHECKING:
    from committer.service import Committer

log = get_logger(__name__)

KEEP_ALIVE_S = 15.0
MAX_BODY_BYTES = 4 << 20
MAX_PAGE = 500
MAX_DESCRIPTION = 10_000
MAX_CAPTURED = 100_000
HOST = "committer"
PEER_CREDENTIALS = struct.Struct("3i")
"""struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)."""

Body = TypeVar("Body", bound=Struct)


class NudgeBody(Struct, frozen=True):
    """`POST /v1/nudge`."""

    path: str


class CommitBody(Struct, frozen=True):
    """`POST /v1/commits`."""

    description: str = ""


class CaptureBody(Struct, frozen=True):
    """`POST /v1/captures`."""

    paths: Annotated[list[str], Meta(max_length=MAX_CAPTURED)]


class GcBody(Struct, frozen=True):
    """`POST /v1/gc`."""

    keep: Annotated[int, Meta(ge=0)] | None = None
    dry_run: bool = False


class ImportBody(Struct, frozen=True):
    """`POST /v1/runs/import`."""

    run_ids: list[str]


class BadRequest(DotscienceError):
    """The request is not one that the API knows."""


class SameUserServer(HTTPServer):
    """An HTTP server that talks to processes of its own user only."""

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> Any:
        """Refuse a peer with another uid before reading a byte from it."""
        if peer_uid(stream.socket) != os.getuid():
            log.warning("api.peer_refused")
            stream.close()
            return None
        return super().handle_stream(stream, address)


def peer_uid(peer: socket.socket) -> int:
    """The uid of the process at the other end of a unix socket, as the kernel saw it at connect."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    _, uid, _ = PEER_CREDENTIALS.unpack(credentials)
    return int(uid)


def serve(committer: Committer, path: Path) -> SameUserServer:
    """Listen at `path`, replacing what a dead committer left there; the caller holds the root's lock."""
    server = SameUserServer(application(committer), max_body_size=MAX_BODY_BYTES, max_buffer_size=MAX_BODY_BYTES)
    server.add_socket(bind_unix_socket(str(path), mode=0o600))
    return server


def application(committer: Committer) -> tornado.web.Application:
    """The routes of the API."""
    handlers: list[tuple[str, type[Handler]]] = [
        (r"/v1/status", StatusHandler),
        (r"/v1/runs", RunsHandler),
        (r"/v1/runs/import", ImportHandler),
        (r"/v1/runs/([^/]+)", RunHandler),
        (r"/v1/nudge", NudgeHandler),
        (r"/v1/commits", CommitsHandler),
        (r"/v1/captures", CapturesHandler),
        (r"/v1/push", PushHandler),
        (r"/v1/gc", GcHandler),
        (r"/v1/shutdown", ShutdownHandler),
        (r"/v1/events", EventsHandler),
    ]
    return tornado.web.Application(
        [(route, handler, {"committer": committer}) for route, handler in handlers],
        default_handler_class=UnknownHandler,
        default_handler_args={"committer": committer},
        log_function=lambda _: None,
    )


class Handler(tornado.web.RequestHandler):
    """Turns bodies into structs, answers into JSON and errors into problem documents."""

    def initialize(self, committer: Committer) -> None:
        """Take what the route hands over (Tornado's hook)."""
        self.committer = committer

    def prepare(self) -> None:
        """Refuse what a browser could send: it cannot reach a unix socket, and nothing may change that."""
        if self.request.host != HOST or "Origin" in self.request.headers:
            self.problem(HTTPStatus.FORBIDDEN, "this API is for local programs, not for browsers")

    def body(self, kind: type[Body]) -> Body:
        """The request's body.

        Raises:
            BadRequest: it is not JSON of this kind.
        """
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not what {self.request.path} takes: {error}") from error

    def number(self, name: str, default: int | None) -> int | None:
        """An integer of the query.

        Raises:
            BadRequest: it is something else.
        """
        text = self.get_query_argument(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise BadRequest(f"{name} must be a whole number, not {text[:40]!r}")
        return int(text)

    def answer(self, document: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with a JSON document."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(document))

    def problem(self, status: HTTPStatus, detail: str) -> None:
        """Finish with a problem document (RFC 9457)."""
        self.set_status(status)
        self.set_header("Content-Type", "application/problem+json")
        name = status.phrase.lower().replace(" ", "-")
        document = {"type": f"/problems/{name}", "title": status.phrase, "status": status.value, "detail": detail}
        self.finish(msgspec.json.encode(document))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Errors raised on purpose are answers; only the others are worth a trace."""
        if not isinstance(error, DotscienceError | tornado.web.HTTPError | StreamClosedError):
            log.error("api.failed", path=self.request.path, exc_info=(kind, error, trace))

    def write_error(self, status_code: int, **details: Any) -> None:
        """Answer an exception."""
        error = details.get("exc_info", (None, None, None))[1]
        match error:
            case BadRequest():
                self.problem(HTTPStatus.BAD_REQUEST, str(error))
            case DiskFull():
                self.problem(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
            case CommitterStopping():
                self.problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            case WorkspaceError():
                self.problem(HTTPStatus.CONFLICT, str(error))
            case DotscienceError():
                self.problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            case _:
                self.problem(HTTPStatus(status_code), HTTPStatus(status_code).description or "the request failed")


class UnknownHandler(Handler):
    """Every other path."""

    def prepare(self) -> None:
        """Answer before any verb is looked at."""
        self.problem(HTTPStatus.NOT_FOUND, f"there is nothing at {self.request.path[:200]}")


class StatusHandler(Handler):
    """`/v1/status`."""

    async def get(self) -> None:
        """The state at this moment."""
        self.answer(self.committer.status())


class RunsHandler(Handler):
    """`/v1/runs`."""

    async def get(self) -> None:
        """A page of runs, newest first."""
        limit = self.number("limit", 50) or 50
        notebook = self.get_query_argument("notebook", "") or None
        before = self.number("before", None)
        self.answer(await self.committer.runs(notebook=notebook, limit=min(limit, MAX_PAGE), before=before))


class RunHandler(Handler):
    """`/v1/runs/{run_id}`."""

    async def get(self, run_id: str) -> None:
        """One run with its environment."""
        entry = await self.committer.run_with_environment(run_id)
        if entry is None:
            self.problem(HTTPStatus.NOT_FOUND, f"no run has the id {run_id[:80]!r} here")
        else:
            self.answer(entry)


class ImportHandler(Handler):
    """`/v1/runs/import`."""

    async def post(self) -> None:
        """Take earlier runs over."""
        self.answer({"imported": await self.committer.import_runs(self.body(ImportBody).run_ids)})


class NudgeHandler(Handler):
    """`/v1/nudge`."""

    async def post(self) -> None:
        """Look at a notebook now."""
        self.committer.nudge(self.body(NudgeBody).path)
        self.answer({}, HTTPStatus.ACCEPTED)


class CommitsHandler(Handler):
    """`/v1/commits`."""

    async def post(self) -> None:
        """Take a commit; answers when it is durable."""
        description = self.body(CommitBody).description
        if len(description) > MAX_DESCRIPTION:
            raise BadRequest(f"the description has {len(description)} characters; at most {MAX_DESCRIPTION} are kept")
        self.answer(await self.committer.save(description), HTTPStatus.CREATED)


class CapturesHandler(Handler):
    """`/v1/captures`."""

    async def post(self) -> None:
        """Store files as they are now; answers with those that could be, once that is durable."""
        self.answer({"files": await self.committer.capture(self.body(CaptureBody).paths)})


class PushHandler(Handler):
    """`/v1/push`."""

    async def post(self) -> None:
        """Try to reach the hub now."""
        self.committer.push_now()
        self.answer({}, HTTPStatus.ACCEPTED)


class GcHandler(Handler):
    """`/v1/gc`."""

    async def post(self) -> None:
        """Drop contents that the hub has from this disk."""
        body = self.body(GcBody)
        self.answer(await self.committer.make_room(keep=body.keep, dry_run=body.dry_run))


class ShutdownHandler(Handler):
    """`/v1/shutdown`."""

    async def post(self) -> None:
        """Finish the commit in hand and exit."""
        self.answer({}, HTTPStatus.ACCEPTED)
        self.committer.stop()


class EventsHandler(Handler):
    """`/v1/events`."""

    async def get(self) -> None:
        """One JSON object a line: the status first, then every change, until the reader goes away."""
        self.set_header("Content-Type", "application/x-ndjson")
        with self.committer.feed.subscribe() as subscription, suppress(StreamClosedError):
            event: dict[str, Any] | None = {"type": "status", "status": self.committer.status()}
            while event is not None:
                await self._line(event)
                event = await self._next(subscription)

    async def _next(self, subscription: Any) -> dict[str, Any] | None:
        while True:
            try:
                return await subscription.next(KEEP_ALIVE_S)  # type: ignore[no-any-return]
            except TimeoutError:
                await self._line(None)

    async def _line(self, event: dict[str, Any] | None) -> None:
        self.write((msgspec.json.encode(event) if event else b"") + b"\n")
        await self.flush()
