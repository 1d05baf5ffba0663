"""How requests to `/v2` say who sends them: HTTP Basic with an account's name and one of its API tokens."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any, cast

import structlog
from tornado.http1connection import HTTP1Connection

from hub_server.domain.problems import Problem
from hub_server.domain.scopes import Caller
from hub_server.services.volumes import VolumeName
from hub_server.web import security
from hub_server.web.base import HubHandler
from hub_server.web.dispatch import ApiHandler
from hub_server.web.operation import Call, Operation

log = structlog.get_logger()

IDLE_S = 600.0
"""How long a client may send nothing in the middle of a body."""
BASIC = 'Basic realm="dotscience", charset="UTF-8"'
BEARER = 'Bearer realm="dotscience"'


class LegacyHandler(ApiHandler):
    """Runs the operations of one path of `/v2`. Sessions do not count here: no page of the hub's uses these paths."""

    _patience: asyncio.TimerHandle | None = None

    async def prepare(self) -> None:
        """Tornado's hook: every check that needs no body."""
        await super().prepare()
        self._await_more()

    async def data_received(self, chunk: bytes) -> None:
        """Tornado's hook: a piece of the body."""
        await super().data_received(chunk)
        self._await_more()

    def _await_more(self) -> None:
        """Let go of a client that stops to send: an upload may take days, but its caller's commits wait for it."""
        self._stop_waiting()
        if not self._finished:
            self._patience = asyncio.get_running_loop().call_later(IDLE_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    def _give_up(self) -> None:
        log.info("upload.stalled", idle_s=IDLE_S)
        cast(HTTP1Connection, self.request.connection).stream.close()

    async def _run(self) -> None:
        self._stop_waiting()
        await super()._run()

    def _leave(self) -> None:
        self._stop_waiting()
        super()._leave()

    async def find_caller(self, *, or_anybody: bool) -> Caller:  # noqa: ARG002 - here nobody goes without credentials
        """The account of the token, which must be the one that is named.

        Raises:
            Problem: unauthenticated; cross-site, where a browser kept the credentials and another page uses them.
        """
        headers = self.request.headers
        security.check_source(self.request.method or "", headers, self.origin())
        credentials = security.basic_credentials(headers)
        if credentials is None:
            raise self._unauthenticated("this needs HTTP Basic: an account's name, and one of its API tokens (`ds_…`)")
        name, token = credentials
        try:
            caller = await self.hub.identity.by_token(token)
        except Problem as problem:
            raise self._unauthenticated(str(problem)) from problem
        if name != caller.account_name:
            raise self._unauthenticated("the token is not one of the account that is named; give the name of its owner")
        return caller

    async def check(self, operation: Operation) -> Call[Any, Any]:
        """As every operation's; and a volume in the path is one that the caller sees."""
        call = await super().check(operation)
        if "volume" not in call.path:
            return call
        volume = await self.hub.volumes.find(call.caller, VolumeName.parse(call.path["volume"]), operation.scope)
        return dataclasses.replace(call, found_dot=volume.dot)

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Tornado's hook: keys are bytes, as names in file systems are; those that are no UTF-8 get surrogates."""
        return value.decode("utf-8", "surrogateescape") if name == "key" else super().decode_argument(value, name)

    def _unauthenticated(self, detail: str) -> Problem:
        """401. A browser is not asked to ask its user: it would keep what they type, and send it with every request."""
        challenge = BEARER if security.is_browser(self.request.headers) else BASIC
        return Problem("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


class RunLinkHandler(HubHandler):
    """Leads from the address of a run that the original's client prints to the run's page."""

    def initialize(self, hub: Any) -> None:
        """Tornado's hook."""
        self.hub = hub

    def prepare(self) -> None:
        """Tornado's hook."""
        self.prepare_request()

    def get(self, project: str, run: str) -> None:
        """Tornado's hook."""
        self.redirect(f"/p/{project}/runs/{run}")

    head = get
