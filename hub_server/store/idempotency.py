"""Answers that were given to requests with an Idempotency-Key."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from hub_server.store.schema import idempotent


class Given(Struct, frozen=True, kw_only=True):
    """What is known of a request: without a status it is under way, or was when the hub ended."""

    request_hash: bytes
    status: int | None
    headers: dict[str, str]
    body: bytes | None


def reserve(connection: Connection, owner: str, key: str, request_hash: bytes, now: datetime) -> Given | None:
    """Note that a request begins; what is known already where one has had the key."""
    row = connection.execute(select(idempotent).where(_one(owner, key))).first()
    if row is not None:
        return Given(
            request_hash=row.request_hash,
            status=row.status,
            headers=msgspec.json.decode(row.headers),
            body=row.body,
        )
    connection.execute(insert(idempotent).values(owner=owner, key=key, request_hash=request_hash, headers="{}", at=now))
    return None


def keep(connection: Connection, owner: str, key: str, given: Given) -> None:
    """Keep the answer of a request that began."""
    connection.execute(
        update(idempotent)
        .where(_one(owner, key))
        .values(status=given.status, headers=msgspec.json.encode(given.headers).decode(), body=given.body)
    )


def release(connection: Connection, owner: str, key: str) -> None:
    """Forget a request that changed nothing."""
    connection.execute(delete(idempotent).where(_one(owner, key)))


def forget_before(connection: Connection, when: datetime) -> None:
    """Forget requests that began before a time."""
    connection.execute(delete(idempotent).where(idempotent.c.at < when))


def _one(owner: str, key: str) -> ColumnElement[bool]:
    return (idempotent.c.owner == owner) & (idempotent.c.key == key)
