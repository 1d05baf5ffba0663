"""Requests with an Idempotency-Key: one that is repeated gets its first answer."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from hub_server.services.services import Services
from hub_server.store.idempotency import Given
from hub_server.web.operation import Call, Media, Operation, Reply

HEADER = "Idempotency-Key"


async def once(hub: Services, operation: Operation, call: Call[Any, Any]) -> Reply:
    """The operation's answer; that of the first such call where a POST with a JSON body shows a key again.

    Raises:
        Problem: what the operation raises; key-reused, answer-unknown.
    """
    key = call.request.headers.get(HEADER)
    caller = call.known_caller
    if key is None or caller is None or operation.method != "POST" or operation.media is not Media.JSON:
        return await _run(hub, operation, call)

    made: list[Reply] = []

    async def work() -> Given:
        made.append(await _run(hub, operation, call))
        return _given(made[0], request_hash)

    request_hash = _hash(operation, call)
    given = await hub.idempotency.once(caller.account_id, key, request_hash, work, keep_body=not operation.holds_secret)
    return made[0] if made else Reply(body=given.body or None, status=given.status or 200, headers=given.headers)


async def _run(hub: Services, operation: Operation, call: Call[Any, Any]) -> Reply:
    result = await operation.run(hub, call)
    return result if isinstance(result, Reply) else Reply(body=result)


def _given(reply: Reply, request_hash: bytes) -> Given:
    body = b"" if reply.body is None else msgspec.json.encode(reply.body)
    return Given(request_hash=request_hash, status=reply.status, headers=dict(reply.headers), body=body)


def _hash(operation: Operation, call: Call[Any, Any]) -> bytes:
    return hashlib.sha256(msgspec.json.encode([operation.name, dict(call.path), call.query, call.body])).digest()
