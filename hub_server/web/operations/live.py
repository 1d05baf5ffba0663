"""Live events: a WebSocket for pages, a stream for programs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta, Struct

from hub_server.domain.problems import Problem
from hub_server.domain.scopes import SIGNED_IN, Caller
from hub_server.services.events import PROJECTS, Event, Listener, project_topic
from hub_server.services.services import Services
from hub_server.web.operation import Call, Channel, Media, Nothing, Reply, operation

log = structlog.get_logger()

PROJECT_PREFIX = project_topic("")


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends: the topics to listen to from now on, in place of those before."""

    subscribe: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)]


STREAM_S = 600.0
"""Then the caller shows its token anew: one that was revoked gets no further."""
RECHECK_S = 60.0
"""How long one whose token has expired can still listen; a loss of access that somebody saw to counts at once."""
KEEP_ALIVE_S = 15.0
"""A stream on which nothing is sent does not notice that its client has gone, and proxies cut it."""

_MESSAGES = msgspec.json.Decoder(Subscribe)


UNBUFFERED = {"X-Accel-Buffering": "no"}
"""nginx holds an answer back until some KiB of it have come, or it ends, unless it is told so
(nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)."""


@operation("GET", "/api/v1/events", scope=SIGNED_IN, media=Media.SOCKET, response=Event, answers=(101,))
async def events(hub: Services, call: Call[Nothing, Channel]) -> None:
    """A WebSocket of events: send `{"subscribe": ["projects", "project:<id>"]}`, receive what changes."""
    listener, channel = hub.events.open(), call.body
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_send(hub, call, listener, channel))
            async for message in channel.messages():
                caller, topics = await call.readmit(), _MESSAGES.decode(message).subscribe
                hub.events.subscribe(listener, [topic for topic in topics if await _hears(hub, caller, topic)])
    finally:
        hub.events.close(listener)


@operation(
    "GET",
    "/api/v1/projects/{project}/events",
    scope="runs:read",
    response=bytes,
    response_media="text/event-stream",
)
async def stream_events(hub: Services, call: Call[Nothing, None]) -> Reply:
    """A project's events as server-sent events; the stream ends after 10 minutes, to be asked for again."""
    return Reply(body=_stream(hub, call, call.request.headers.get("Last-Event-ID")), headers=UNBUFFERED)


async def _stream(hub: Services, call: Call[Nothing, None], last_seen: str | None) -> AsyncIterator[bytes]:
    """Whoever comes back and has missed something is told to read everything again."""
    listener, access = hub.events.open(), _Access(hub)
    until = time.monotonic() + STREAM_S
    try:
        hub.events.subscribe(listener, [project_topic(call.project.id)])
        first = await listener.next()
        if last_seen is not None and last_seen != str(first.seq):
            yield _as_text(msgspec.structs.replace(first, type="resync"))
        yield _as_text(first)
        while time.monotonic() < until and not hub.events.is_ending:
            event = await hub.events.wait(listener, KEEP_ALIVE_S)
            if access.may_be_lost():
                await call.readmit()
            yield b": nothing new\n\n" if event is None else _as_text(event)
    except Problem as refused:
        log.info("events.refused", reason=str(refused))
    finally:
        hub.events.close(listener)


class _Access:
    """When to ask whether a listener may still listen: when it, or anybody, may have lost access, and now and then."""

    def __init__(self, hub: Services) -> None:
        self._hub = hub
        self._version, self._asked_at = hub.events.access_version, time.monotonic()

    def may_be_lost(self) -> bool:
        """Whether to ask now; whoever is told so does."""
        version, now = self._hub.events.access_version, time.monotonic()
        if version == self._version and now < self._asked_at + RECHECK_S:
            return False
        self._version, self._asked_at = version, now
        return True


def _as_text(event: Event) -> bytes:
    """As HTML's standard (9.2, server-sent events) has it."""
    return f"id: {event.seq}\nevent: {event.type}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"


async def _send(hub: Services, call: Call[Nothing, Channel], listener: Listener, channel: Channel) -> None:
    caller, access = call.caller, _Access(hub)
    while True:
        event = await listener.next()
        if access.may_be_lost():
            caller = await call.readmit()
            listener.topics = {topic for topic in listener.topics if await _hears(hub, caller, topic)}
        if event.topic and event.topic not in listener.topics:
            continue
        if event.topic == PROJECTS and event.id and not await _sees(hub, caller, event.id):
            event = msgspec.structs.replace(event, id="")  # that something happened tells nobody what exists
        await channel.send(msgspec.json.encode(event).decode())


async def _hears(hub: Services, caller: Caller, topic: str) -> bool:
    """Whether the caller may listen.

    Topics that it may not hear are never confirmed, as are those that do not exist.
    """
    if topic == PROJECTS:
        return caller.may("projects:read")
    if not topic.startswith(PROJECT_PREFIX) or not caller.may("runs:read"):
        return False
    return await _sees(hub, caller, topic.removeprefix(PROJECT_PREFIX))


async def _sees(hub: Services, caller: Caller, project_id: str) -> bool:
    try:
        await hub.projects.enter(caller, project_id, "runs:read")
    except Problem:
        return False
    return True
