"""Requests that are repeated because nobody knows whether they arrived (draft-ietf-httpapi-idempotency-key-header).

Whoever sends a key with a POST gets the first answer again, for at least 24 hours. That a request begins is durable
before it does anything, so that one whose outcome was lost with the hub is never done twice: it gets a problem as its
answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from hub_server.domain.problems import Problem
from hub_server.store import idempotency
from hub_server.store.database import Database
from hub_server.store.idempotency import Given

LIFETIME = timedelta(hours=24)
ALLOWANCE = timedelta(days=1, hours=1)
"""How much longer answers are kept, so that a clock that is set forward by a day makes no repetition a new request."""
MAX_KEY_CHARS = 255


class Idempotency:
    """Remembers answers by caller and key."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def once(
        self,
        owner: str,
        key: str,
        request_hash: bytes,
        work: Callable[[], Awaitable[Given]],
        *,
        keep_body: bool,
    ) -> Given:
        """The answer of `work`, which is run unless it was before; one that fails may be tried again.

        `keep_body` is false for what must not lie in a database.

        Raises:
            Problem: key-reused, for another request with the same key; answer-unknown, while the first one is under
                way, after its outcome was lost, or where the answer holds a secret and was not kept.
        """
        if not 0 < len(key) <= MAX_KEY_CHARS or not key.isprintable():
            raise Problem("malformed-request", f"an Idempotency-Key has 1 to {MAX_KEY_CHARS} printable characters")
        now = self._clock()
        await self._database.write(lambda c: idempotency.forget_before(c, now - LIFETIME - ALLOWANCE))
        known = await self._database.write(lambda c: idempotency.reserve(c, owner, key, request_hash, now))
        if known is not None:
            return _again(known, key, request_hash)
        try:
            given = await work()
        except BaseException:
            await self._database.write(lambda c: idempotency.release(c, owner, key))
            raise
        kept = given if keep_body else msgspec.structs.replace(given, body=None)
        await self._database.write(lambda c: idempotency.keep(c, owner, key, kept))
        return given


def _again(known: Given, key: str, request_hash: bytes) -> Given:
    if known.request_hash != request_hash:
        raise Problem(
            "key-reused", f"the Idempotency-Key {key!r} was sent with another request; use a new one for each"
        )
    if known.status is None:
        raise Problem(
            "answer-unknown", f"the request with the key {key!r} has begun, and has no answer yet; look at what it did"
        )
    if known.body is None:
        raise Problem(
            "answer-unknown", f"the request with the key {key!r} was done; its answer was shown once, and not kept"
        )
    return known
