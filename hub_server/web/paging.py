"""Pages of lists, and the cursors between them."""

from __future__ import annotations

from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from hub_server.domain.cursor import MAX_CURSOR_CHARS, Position, Slice, decode_cursor, encode_cursor
from hub_server.domain.types import Page
from hub_server.services.services import Services

T = TypeVar("T")

MAX_LIMIT = 200
DEFAULT_LIMIT = 50


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many items, and from where: `cursor` is the `next` of the page before."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str, Meta(max_length=MAX_CURSOR_CHARS)] | None = None


class Cursors:
    """The cursors of one list; `context` names the list with all that decides its order."""

    def __init__(self, hub: Services, context: str) -> None:
        self._key = hub.cursor_key
        self._context = context

    def read(self, cursor: str | None) -> Position | None:
        """The position that a client's cursor stands for.

        Raises:
            Problem: malformed-request, for a cursor that is not of this list.
        """
        return None if cursor is None else decode_cursor(self._key, self._context, cursor)

    def page(self, found: Slice[T]) -> Page[T]:
        """A slice as the API answers it."""
        position = found.position
        return Page(
            items=found.items,
            next=None if position is None else encode_cursor(self._key, self._context, position),
            total=found.total,
            total_is_exact=found.exact,
        )
