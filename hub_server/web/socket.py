"""Operations that are WebSockets (RFC 6455)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from hub_server.domain.problems import Problem
from hub_server.services.services import Services
from hub_server.web.base import HubHandler
from hub_server.web.dispatch import check_call
from hub_server.web.operation import Call, Operation

log = structlog.get_logger()

MAX_MESSAGE_BYTES = 64 * 2**10
MAX_WAITING_MESSAGES = 16
RECHECK_S = 60.0
"""How long the socket of a session or token that was ended stays open, where nothing is sent on it."""
PING_S = 30.0
GOING_AWAY, POLICY_VIOLATION, UNSUPPORTED_DATA, INTERNAL_ERROR = 1001, 1008, 1003, 1011


class SocketHandler(HubHandler, WebSocketHandler):
    """Runs one operation for as long as the socket is open; the operation sees it as a `Channel`."""

    def initialize(self, hub: Services, operation: Operation, sockets: set[SocketHandler]) -> None:
        """Tornado's hook; `sockets` is where open ones can be found to be closed."""
        self.hub = hub
        self._operation = operation
        self._sockets = sockets
        self._incoming: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._session: asyncio.Task[None] | None = None
        self._call: Call[Any, Any]

    @property
    def operation_name(self) -> str:
        """The operation's name."""
        return self._operation.name

    def check_origin(self, origin: str) -> bool:
        """Tornado's hook: only the hub's own pages; programs send no Origin and are not asked."""
        return origin == self.origin()

    async def prepare(self) -> None:
        """Tornado's hook: the checks, before the connection becomes a socket."""
        self.prepare_request()
        try:
            self._call = await check_call(self, self._operation)
        except Exception as error:  # noqa: BLE001 - the request's boundary
            self.send_failure(error)

    def open(self, *_args: str, **_path: str) -> None:
        """Tornado's hook."""
        self._sockets.add(self)
        self._session = asyncio.create_task(self._serve())

    def on_message(self, message: str | bytes) -> None:
        """Tornado's hook; a client that sends faster than it is heard is cut off."""
        try:
            self._incoming.put_nowait(message if isinstance(message, str) else message.decode())
        except (asyncio.QueueFull, UnicodeDecodeError):
            self.close(POLICY_VIOLATION, "too many messages, or one that is no text")

    def on_close(self) -> None:
        """Tornado's hook."""
        self._sockets.discard(self)
        if self._session is not None:
            self._session.cancel()

    async def messages(self) -> AsyncIterator[str]:
        """What the client sends; when it goes away, the operation is cancelled."""
        while True:
            yield await self._incoming.get()

    async def send(self, text: str) -> None:
        """Send a message; nothing happens when the client has gone."""
        try:
            await self.write_message(text)
        except WebSocketClosedError:
            log.debug("socket.gone")

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                await self._operation.run(self.hub, dataclasses.replace(self._call, body=self))
                watching.cancel()
        except* Problem as ended:
            self.close(POLICY_VIOLATION, str(ended.exceptions[0])[:100])
        except* msgspec.DecodeError:
            self.close(UNSUPPORTED_DATA, "a message is not what this socket takes")
        except* Exception:
            log.exception("socket.failed")
            self.close(INTERNAL_ERROR, "the hub failed")

    async def _watch(self) -> None:
        """End the socket when its token or session has ended."""
        while True:
            await asyncio.sleep(RECHECK_S)
            await self._call.readmit()
