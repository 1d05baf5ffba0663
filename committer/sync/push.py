"""The push loop: when to try, how long to pause, and what the status says meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import UTC, datetime

import msgspec

from committer.log import get_logger
from committer.status import Facts, Problem
from committer.sync.uploads import NOTHING_SENT
from dotscience.errors import (
    DotscienceError,
    Forbidden,
    HubError,
    HubFull,
    HubUnavailable,
    NotFound,
    RateLimited,
    Unauthenticated,
)

log = get_logger(__name__)

FIRST_PAUSE_S = 0.5
PROBLEM = "hub"


class PushLoop:
    """Pushes whenever there is something to push, and looks after the hub every now and then otherwise.

    Belongs to the event loop; `attempt` blocks and runs on `executor`.

    Args:
        attempt: One attempt; raises what went wrong, does nothing where no hub is bound.
        facts: Where the state of the hub is noted.
        changed: Awaited after every change of `facts`.
    """

    def __init__(
        self,
        attempt: Callable[[], None],
        *,
        executor: Executor,
        facts: Facts,
        changed: Callable[[], Awaitable[None]],
        check_s: float,
        retry_max_s: float,
    ) -> None:
        self._attempt = attempt
        self._executor = executor
        self._facts = facts
        self._changed = changed
        self._check_s = check_s
        self._retry_max_s = retry_max_s
        self._wake = asyncio.Event()
        self._failures = 0

    def wake(self, *, at_once: bool = False) -> None:
        """Say that there is something to push; `at_once` also ends a pause after a failure."""
        if at_once:
            self._failures = 0
        if self._failures == 0:
            self._wake.set()

    async def run(self) -> None:
        """Loop until cancelled; an attempt under way is waited for by whoever owns the executor."""
        while True:
            pause_s = await self._try()
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _try(self) -> float:
        """Make one attempt; returns how long to pause before the next."""
        self._wake.clear()
        if self._facts.hub is None:
            return self._check_s
        self._facts.pushing = True
        await self._changed()
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._attempt)
        except HubUnavailable as error:
            return self._unreachable(error)
        except DotscienceError as error:
            return self._refused(error)
        else:
            return self._reached()
        finally:
            self._facts.pushing, self._facts.sent = False, NOTHING_SENT
            await self._changed()

    def note_reached(self) -> None:
        """Say that the hub answers, as an attempt under way shows."""
        self._facts.problems.pop(PROBLEM, None)
        self._note(reachable=True, unreachable_since=None)

    def _reached(self) -> float:
        self._failures = 0
        self.note_reached()
        return self._check_s

    def _unreachable(self, error: HubUnavailable) -> float:
        hub = self._facts.hub
        since = hub.unreachable_since if hub else None
        self._note(reachable=False, unreachable_since=since or datetime.now(UTC))
        self._facts.problems.pop(PROBLEM, None)
        pause_s = self._pause_s()
        log.warning("hub.unreachable", error=str(error), retry_in_s=round(pause_s, 1))
        return pause_s

    def _refused(self, error: DotscienceError) -> float:
        """The hub said no, or something here keeps us from asking it; work goes on locally either way."""
        if isinstance(error, HubError):
            self._note(reachable=True, unreachable_since=None)
        self._facts.problems[PROBLEM] = _problem(error)
        pause_s = max(self._pause_s(), error.retry_after_s if isinstance(error, RateLimited) else 0.0)
        log.error("hub.refused", error=str(error), retry_in_s=round(pause_s, 1))
        return pause_s

    def _pause_s(self) -> float:
        """Between half and all of a bound that doubles, so that committers do not come back in step."""
        self._failures += 1
        bound = min(self._retry_max_s, FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
        return bound * random.uniform(0.5, 1.0)

    def _note(self, *, reachable: bool, unreachable_since: datetime | None) -> None:
        if self._facts.hub is not None:
            self._facts.hub = msgspec.structs.replace(
                self._facts.hub, reachable=reachable, unreachable_since=unreachable_since
            )


def _problem(error: DotscienceError) -> Problem:
    if not isinstance(error, HubError):
        hint = "The commits are kept here. The next attempt follows by itself once this is put right."
        return Problem(type="push-failed", detail=f"Nothing can be pushed: {error}", hint=hint)
    match error:
        case Unauthenticated():
            kind, hint = (
                "hub-unauthenticated",
                "Give the workspace a new token: run `ds init --hub URL`, or `ds up` where the hub is on this machine.",
            )
        case Forbidden() | NotFound():
            kind, hint = (
                "hub-forbidden",
                "Ask for access to the project on the hub, or bind the workspace to another one.",
            )
        case RateLimited():
            kind, hint = "hub-busy", "Nothing to do: the next attempt follows by itself."
        case HubFull():
            kind, hint = "hub-full", "The commits are kept here, and are pushed once the hub's operator has made room."
        case _:
            kind, hint = "hub-refused", "The commits are kept here. The committer's log has the details."
    return Problem(type=kind, detail=f"The hub does not take the commits: {error}", hint=hint)
