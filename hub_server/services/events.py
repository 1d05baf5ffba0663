"""Live events: who changed what, for those who listen now.

An event only says what to read again; it carries no data, so that there is one way for data to reach a client. Each
topic numbers its events. A listener that misses a number (or sees numbers start again, after a restart) reads
everything again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

PROJECTS = "projects"
MAX_QUEUED = 256

EVENT_TYPES: dict[str, str] = {
    "subscribed": "The topic is being listened to from now on; `seq` is that of its last event so far.",
    "resync": "The listener was too slow and lost events; read everything again.",
    "project.created": "A project was made; `id` is its id. Topic `projects`.",
    "project.changed": "A project has another name, is public now or no longer, or moved to the trash or back.",
    "commit.created": "A commit arrived; `id` is its id. Topic `project:<id>`; in `projects` `id` is the project's id.",
    "run.created": "A run arrived; `id` is its id. Topic `project:<id>`.",
    "run.progressed": "A run that is not published yet sent points, or its state changed. Topic `project:<id>`.",
    "run.changed": "A run was named, described, tagged, commented on, or moved to the trash or back. As above.",
}
"""Every type of event with its meaning."""

EventType = Literal[
    "subscribed",
    "resync",
    "project.created",
    "project.changed",
    "commit.created",
    "run.created",
    "run.progressed",
    "run.changed",
]


class Event(Struct, frozen=True):
    """One event, as listeners get it."""

    topic: str
    seq: int
    type: EventType
    id: str


def project_topic(project_id: str) -> str:
    """The topic of what happens inside a project."""
    return f"project:{project_id}"


class Listener:
    """The events of some topics, in order; `next` waits for one. Loop-bound."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self._queue: asyncio.Queue[Event] = asyncio.Queue(MAX_QUEUED)
        self._lost = False

    async def next(self) -> Event:
        """The next event."""
        event = await self._queue.get()
        if self._lost and self._queue.empty():
            self._lost = False
            self._queue.put_nowait(Event("", 0, "resync", ""))
        return event

    def offer(self, event: Event) -> None:
        """Queue an event; a full queue loses it, and the listener is told to resync."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._lost = True


class EventBus:
    """Hands events to the listeners of their topics. Loop-bound; `publish` never waits."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._sequence: Counter[str] = Counter()
        self._ending = asyncio.Event()
        self._access_version = 0

    @property
    def access_version(self) -> int:
        """Grows whenever somebody may have lost access to something."""
        return self._access_version

    def access_changed(self) -> None:
        """Have everybody who listens asked again whether they may."""
        self._access_version += 1

    @property
    def listening(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def open(self) -> Listener:
        """A listener without topics; `close` it."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    async def wait(self, listener: Listener, seconds: float) -> Event | None:
        """The listener's next event; None where none came for so long, or none will come any more."""
        event = asyncio.ensure_future(listener.next())
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({event, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return event.result() if event.done() else None
        finally:
            event.cancel()
            ending.cancel()

    @property
    def is_ending(self) -> bool:
        """Whether `end` was called."""
        return self._ending.is_set()

    def end(self) -> None:
        """Let everybody who waits go: the hub is stopping."""
        self._ending.set()

    def close(self, listener: Listener) -> None:
        """Forget a listener; idempotent."""
        self._listeners.discard(listener)

    def subscribe(self, listener: Listener, topics: Iterable[str]) -> None:
        """Listen to exactly these topics from now on; each one is confirmed by an event."""
        listener.topics = set(topics)
        for topic in sorted(listener.topics):
            listener.offer(Event(topic, self._sequence[topic], "subscribed", ""))

    def publish(self, topic: str, kind: EventType, subject: str) -> None:
        """Tell the topic's listeners."""
        self._sequence[topic] += 1
        event = Event(topic, self._sequence[topic], kind, subject)
        for listener in self._listeners:
            if topic in listener.topics:
                listener.offer(event)
