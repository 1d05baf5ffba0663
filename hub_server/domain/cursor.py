"""Keyset cursors: opaque, signed positions in a list.

A cursor holds the sort values of the last item of a page. The signature keeps clients from making positions up, and
binds a cursor to its list: one from another project, sort or order is refused rather than silently misread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from hub_server.domain.problems import Problem

T = TypeVar("T")
R = TypeVar("R")

Position = list[Any]
"""The sort values of an item, as msgpack can hold them."""

SIGNATURE_SIZE = 16
MAX_CURSOR_CHARS = 2048


class Slice(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list: its items, the position after them (None at the end), and the length of the whole list.

    Where `exact` is false the list is longer than `total` says.
    """

    items: list[T]
    position: Position | None
    total: int
    exact: bool = True


def slice_of(
    found: Sequence[R], limit: int, item: Callable[[R], T], position: Callable[[R], Position], count: tuple[int, bool]
) -> Slice[T]:
    """The slice of the first `limit` rows, made of `limit + 1` rows asked for.

    The extra one tells that there is more.
    """
    shown = found[:limit]
    return Slice(
        items=[item(row) for row in shown],
        position=position(shown[-1]) if len(found) > limit else None,
        total=count[0],
        exact=count[1],
    )


def encode_cursor(key: bytes, context: str, position: Position) -> str:
    """The cursor for `position` in the list that `context` names."""
    payload = msgspec.msgpack.encode(position)
    return base64.urlsafe_b64encode(_sign(key, context, payload) + payload).decode().rstrip("=")


def decode_cursor(key: bytes, context: str, cursor: str) -> Position:
    """The position that `encode_cursor` was given.

    Raises:
        Problem: malformed-request, when the cursor was not made by this hub for this list.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor[:MAX_CURSOR_CHARS] + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    signature, payload = raw[:SIGNATURE_SIZE], raw[SIGNATURE_SIZE:]
    if not hmac.compare_digest(signature, _sign(key, context, payload)):
        raise Problem("malformed-request", "the cursor is not one of this list; start again without a cursor")
    position: Position = msgspec.msgpack.decode(payload)
    return position


def _sign(key: bytes, context: str, payload: bytes) -> bytes:
    message = context.encode() + b"\0" + payload
    return hmac.new(key, message, hashlib.sha256).digest()[:SIGNATURE_SIZE]
