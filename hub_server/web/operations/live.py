"""The WebSocket of live events."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from hub_server.domain.problems import Problem
from hub_server.domain.scopes import SIGNED_IN, Caller
from hub_server.services.events import PROJECTS, Event, Listener, project_topic
from hub_server.services.services import Services
from hub_server.web.operation import Call, Channel, Media, Nothing, operation

PROJECT_PREFIX = project_topic("")


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends: the topics to listen to from now on, in place of those before."""

    subscribe: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)]


_MESSAGES = msgspec.json.Decoder(Subscribe)


@operation("GET", "/api/v1/events", scope=SIGNED_IN, media=Media.SOCKET, response=Event, answers=(101,))
async def events(hub: Services, call: Call[Nothing, Channel]) -> None:
    """A WebSocket of events: send `{"subscribe": ["projects", "project:<id>"]}`, receive what changes."""
    listener, channel = hub.events.open(), call.body
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_send(hub, call.caller, listener, channel))
            async for message in channel.messages():
                topics = _MESSAGES.decode(message).subscribe
                hub.events.subscribe(listener, [topic for topic in topics if await _hears(hub, call.caller, topic)])
    finally:
        hub.events.close(listener)


async def _send(hub: Services, caller: Caller, listener: Listener, channel: Channel) -> None:
    while True:
        event = await listener.next()
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
