"""The one HTTP handler behind every operation.

Everything that can be refused is refused before the body is read: the caller, the permission, the path, the query,
the body's type and announced size. Bodies are received piece by piece, so that no more than an operation accepts is
ever held.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from functools import partial
from typing import Any, cast

import msgspec
import structlog
from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import stream_request_body

from hub_server.domain.problems import Problem
from hub_server.domain.scopes import ANONYMOUS, Caller
from hub_server.services.services import Services
from hub_server.services.sync import MAX_PACK_BYTES
from hub_server.web import security
from hub_server.web.activity import Activity
from hub_server.web.base import UNKNOWN, HubHandler
from hub_server.web.bodies import check_announced, open_receiver
from hub_server.web.decoding import decode_query
from hub_server.web.noting import note
from hub_server.web.operation import Call, Media, Operation, Receiver, Reply, Request
from hub_server.web.repeating import once

log = structlog.get_logger()

DRAIN_BYTES = 2**24
"""How much of a refused body is still read, so that the client gets to see why instead of a broken pipe."""


PUSH_COST = 0.1
"""What a request of a push counts for the rate limit: a sweep pushes many runs, each by some requests."""

STREAM_TIMEOUT_S = 7 * 86_400.0
"""A ZFS stream, or a file of any size, takes as long as it asks for."""


async def check_call(handler: HubHandler, operation: Operation) -> Call[Any, Any]:
    """A request's call of an operation, without a body: permission, visibility and query are checked.

    Raises:
        Problem: the request is refused.
        DiskFull: there is no room for what it wants to have kept.
    """
    request, headers = handler.request, handler.request.headers
    if security.bearer_token(headers) is None:
        security.check_source(operation.method, headers, handler.origin())
    path = dict(handler.path_kwargs)
    address = request.remote_ip or ""
    try:
        caller = await _authenticate(handler, operation)
    except Problem:
        handler.hub.rates.take(address)  # who is refused has no name that could be believed
        raise
    cost = PUSH_COST if operation.scope == "commits:write" else 1.0
    handler.hub.rates.take(address if caller is None or caller.is_anonymous else caller.credential, cost)
    project = dot = None
    if caller is not None and "project" in path:
        project = await handler.hub.projects.enter(caller, path["project"], operation.scope)
    if caller is not None and "dot" in path:
        dot = await handler.hub.projects.enter_dot(caller, path["dot"], operation.scope)
    if operation.scope == "commits:write" and not operation.is_read:
        await _require_room(handler.hub)
    return Call(
        request=Request(headers=headers, client=request.remote_ip or "", session=handler.session_secret()),
        query=decode_query(operation.query, request.query, request.query_arguments),
        body=None,
        path=path,
        known_caller=caller,
        found_project=project,
        found_dot=dot,
        readmit=partial(_readmit, handler, operation),
    )


async def _require_room(hub: Services) -> None:
    if not hub.reserve.is_there():
        await hub.workers.run(hub.reserve.check)


async def _readmit(handler: HubHandler, operation: Operation) -> Caller:
    caller = await _authenticate(handler, operation)
    if caller is None:
        raise RuntimeError(f"{operation.name} is open to everybody")
    if "project" in handler.path_kwargs:
        await handler.hub.projects.enter(caller, handler.path_kwargs["project"], operation.scope)
    return caller


async def _authenticate(handler: HubHandler, operation: Operation) -> Caller | None:
    is_inside_project = not {"project", "dot"}.isdisjoint(handler.path_kwargs)
    return await handler.authenticate(_needed_scope(handler, operation), is_inside_project=is_inside_project)


def _needed_scope(handler: HubHandler, operation: Operation) -> str:
    request = handler.request
    if operation.open_on_loopback and security.is_local(request.remote_ip or "", request.host, request.headers):
        return ANONYMOUS
    return operation.scope


@stream_request_body
class ApiHandler(HubHandler):
    """Runs the operations of one path."""

    def initialize(self, hub: Services, operations: Mapping[str, Operation], activity: Activity) -> None:
        """Tornado's hook; `operations` by method."""
        self.hub = hub
        self._operations = operations
        self._receiver: Receiver | None = None
        self._etag: str | None = None
        self._activity = activity
        self._running = False
        self._failure: Exception | None = None
        self._dropped = 0
        self._answering: asyncio.Task[None] | None = None

    @property
    def operation_name(self) -> str:
        """The operation's name; that of none where the method is unknown."""
        return self._operation.name if hasattr(self, "_operation") else UNKNOWN

    async def prepare(self) -> None:
        """Tornado's hook: every check that needs no body."""
        self.prepare_request()
        self._activity.enter(self)
        try:
            self._operation = self._find_operation()
            self._call = await self.check(self._operation)
            check_announced(self._operation, self.request.headers)
            self._receiver = open_receiver(self.hub, self._operation, self._call)
            self._accept(self._operation.max_body or DRAIN_BYTES)
            if self._operation.media in (Media.ZFS, Media.FILE):
                self._allow_time(STREAM_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - the request's boundary
            self._accept(DRAIN_BYTES)
            self.closes = True  # Tornado ends a connection on which it answers before the request was read
            self.send_failure(error)

    async def check(self, operation: Operation) -> Call[Any, Any]:
        """The request's call, without a body.

        Raises:
            Problem: the request is refused.
        """
        return await check_call(self, operation)

    def _accept(self, size: int) -> None:
        cast(HTTP1Connection, self.request.connection).set_max_body_size(size)

    def _allow_time(self, seconds: float) -> None:
        cast(HTTP1Connection, self.request.connection).set_body_timeout(seconds)

    async def data_received(self, chunk: bytes) -> None:
        """Tornado's hook: a piece of the body; once one could not be taken, the rest is dropped."""
        if self._receiver is None or self._finished:
            return
        if self._failure is not None:
            self._drop(chunk)
            return
        try:
            await self._receiver.add(chunk)
        except Exception as error:  # noqa: BLE001 - Tornado would cut the connection; the client gets to see why instead
            self._failure = error

    def _drop(self, chunk: bytes) -> None:
        """Read on past a failure, but not without end: then Tornado cuts the connection."""
        self._dropped += len(chunk)
        if self._dropped > MAX_PACK_BYTES and self._failure is not None:
            raise self._failure

    async def get(self, **_path: str) -> None:
        """Tornado's hook."""
        self._running = True
        await self._run()

    head = post = put = patch = delete = get

    async def _run(self) -> None:
        try:
            call = dataclasses.replace(self._call, body=await self._body())
            self._answering = asyncio.ensure_future(self._respond(call))
            if self._is_closed():
                self._abandon()
            await self._answering
        except StreamClosedError:
            log.info("request.abandoned")
        except asyncio.CancelledError:
            if not self._is_closed():
                raise
            log.info("request.abandoned")
        except Exception as error:
            if self._headers_written:
                log.exception("answer.failed")
                self.detach().close()  # an answer that was cut must not look whole
            else:
                self.send_failure(error)
        finally:
            self._leave()

    async def _respond(self, call: Call[Any, Any]) -> None:
        if self._operation.in_turn:
            async with self.hub.turns.of(call.asker):
                reply = await self._answer(call)
        else:
            reply = await self._answer(call)
        await self._send(reply)

    async def _answer(self, call: Call[Any, Any]) -> Reply:
        """What the operation answers; for the audit log, too."""
        try:
            reply = await once(self.hub, self._operation, call)
            if self._operation.is_audited(call):
                self.hub.events.access_changed()
        except Problem as problem:
            await note(self.hub, self._operation, call, problem.type.status)
            raise
        await note(self.hub, self._operation, call, reply.status, reply)
        return reply

    async def _body(self) -> Any:
        if self._failure is not None:
            raise self._failure
        return None if self._receiver is None else await self._receiver.finish()

    async def _send(self, reply: Reply) -> None:
        self.set_status(reply.status)
        self.set_header("X-Request-Id", self.request_id)
        if reply.body is not None:
            self.set_header("Content-Type", self._operation.response_media)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self._etag = reply.etag
        if reply.cookie is not None:
            self.set_session(reply.cookie)
        if isinstance(reply.body, AsyncIterator):
            await self._stream(reply.body)
        elif reply.body is None:
            self.finish()
        else:
            self.finish(reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body))

    def compute_etag(self) -> str | None:
        """Tornado's hook, for the ETag of an answer that is not streamed, and for If-None-Match."""
        return super().compute_etag() if self._etag is None else f'"{self._etag}"'

    async def _stream(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            if self.request.method != "HEAD":
                async for piece in pieces:
                    self.write(piece)
                    await self.flush()
        finally:
            if isinstance(pieces, AsyncGenerator):  # a client that has gone away frees what it held at once
                await pieces.aclose()
        self.finish()

    def _find_operation(self) -> Operation:
        method = self.request.method or ""
        found = self._operations.get("GET" if method == "HEAD" else method)
        if found is None:
            raise _method_not_allowed(self._operations)
        return found

    def on_finish(self) -> None:
        """Tornado's hook."""
        self._leave()

    def on_connection_close(self) -> None:
        """Tornado's hook: the client went away. What only reads is given up; a change goes on to its end."""
        super().on_connection_close()
        if self._running:
            self._abandon()
        else:
            self._leave()

    def _abandon(self) -> None:
        if self._answering is not None and self._operation.is_read:
            self._answering.cancel()

    def _is_closed(self) -> bool:
        """Whether the client went away; Tornado's hook is not called where that was while the request was prepared."""
        stream: IOStream | None = cast(HTTP1Connection, self.request.connection).stream
        return stream is None or stream.closed()

    def _leave(self) -> None:
        """The request is over: an upload that was not kept is forgotten. Idempotent."""
        self._activity.leave(self)
        if self._receiver is not None:
            self._receiver.forget()


def _method_not_allowed(operations: Mapping[str, Operation]) -> Problem:
    allowed = sorted({*operations, *(["HEAD"] if "GET" in operations else [])})
    return Problem("method-not-allowed", f"this path takes {', '.join(allowed)}", headers={"Allow": ", ".join(allowed)})
