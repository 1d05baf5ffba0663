"""A chunk list: the content of a file that is more than one chunk.

A list of level 0 names blobs, one of level n names lists of level n - 1; every list has at most 1,024 entries, so a
change in a large file rewrites a few small lists only. An entry without a hash is a hole: that many zero bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.msgpack import Decoder

from committer.storage.codec import MAX_SIZE, Hash, decode, encode
from dotscience.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VERSION = 1
MAX_ENTRIES = 1024
MAX_LEVEL = 6
"""1,024 ** 7 chunks of the smallest average size are more bytes than a file can have."""


class Chunk(Struct, frozen=True, array_like=True):
    """A piece of a file, or (in a list above level 0) a list of pieces; `hash` is None for a hole."""

    hash: Hash | None
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)]


class ChunkList(Struct, frozen=True, array_like=True):
    """Consecutive pieces of a file."""

    version: int
    level: Annotated[int, Meta(ge=0, le=MAX_LEVEL)]
    chunks: Annotated[tuple[Chunk, ...], Meta(min_length=1, max_length=MAX_ENTRIES)]

    @property
    def size(self) -> int:
        """The bytes that the list stands for."""
        return sum(chunk.size for chunk in self.chunks)


_DECODER = Decoder(ChunkList)


def decode_chunks(data: bytes) -> ChunkList:
    """The chunk list that `data` encodes.

    Raises:
        CorruptObject: it is not one, or its sizes add up to more than a file can have.
    """
    chunks = decode(data, _DECODER, "a chunk list", version=VERSION)
    if chunks.size > MAX_SIZE:
        raise CorruptObject(f"a chunk list stands for {chunks.size} bytes, more than a file can have")
    return chunks


def store_chunks(chunks: Iterable[Chunk], put: Callable[[bytes], bytes]) -> bytes:
    """Store the lists that name `chunks`, at least one, in order; the hash of the topmost.

    `put` stores an encoded list and returns its hash.
    """
    level = 0
    pieces = list(chunks)
    while True:
        lists = [
            ChunkList(VERSION, level, tuple(pieces[start : start + MAX_ENTRIES]))
            for start in range(0, len(pieces), MAX_ENTRIES)
        ]
        stored = [Chunk(put(encode(one)), one.size) for one in lists]
        if len(stored) == 1 and stored[0].hash is not None:
            return stored[0].hash
        pieces, level = stored, level + 1
