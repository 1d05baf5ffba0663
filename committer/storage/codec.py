"""Decoding what others encoded: a structured object has exactly one valid encoding, and anything else is refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct

from dotscience.errors import CorruptObject

HASH_SIZE = 32
MAX_SIZE = 2**63 - 1

Hash = Annotated[bytes, Meta(min_length=HASH_SIZE, max_length=HASH_SIZE)]
Size = Annotated[int, Meta(ge=0, le=MAX_SIZE)]

_HEX_DIGEST = re.compile(rf"[0-9a-f]{{{2 * HASH_SIZE}}}")

T = TypeVar("T", bound=Struct)


def digest(data: bytes | bytearray | memoryview) -> bytes:
    """The name of an object with this content: 32 bytes of BLAKE3."""
    return blake3(data).digest()


def is_hex_digest(text: str) -> bool:
    """Whether a text is such a name in hexadecimal digits, as APIs and people write it."""
    return _HEX_DIGEST.fullmatch(text) is not None


def encode(value: Struct) -> bytes:
    """The one encoding of `value`: msgpack, every integer and length in its shortest form."""
    return msgspec.msgpack.encode(value)


def decode(data: bytes, decoder: msgspec.msgpack.Decoder[T], what: str, *, version: int) -> T:
    """The value that `encode` turned into `data`; `what` names it in errors ("a tree", "a commit").

    Raises:
        CorruptObject: `data` is not of this type, of another version, or encoded in another way than `encode` does.
    """
    try:
        value: Any = decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # fields we skip may nest without end
        raise CorruptObject(f"{what} cannot be decoded: {error}") from error
    if value.version != version:
        raise CorruptObject(f"{what} has version {value.version}, this program reads version {version}; update it")
    if encode(value) != data:
        raise CorruptObject(f"{what} is not in canonical form, so it was not written by this format")
    return value  # type: ignore[no-any-return]  # Any above: Struct itself declares no `version`
