"""A chunk list: the content of a file that is more than one chunk.

A list of level 0 names blobs, one of level n names lists of level n - 1; every list has at most 1,024 entries, so a
change in a large file rewrites a few small lists only. An entry without a hash is a hole: that many zero bytes.
"""

from __future__ import annotations

from itertools import chain, groupby
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.msgpack import Decoder

from committer.storage.codec import MAX_SIZE, Hash, decode, encode
from dotscience.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

VERSION = 1
MAX_ENTRIES = 1024
MAX_LEVEL = 6
"""1,024 ** 7 chunks of the smallest average size are more bytes than a file can have."""


class Chunk(Struct, frozen=True, array_like=True, gc=False):
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


def read_chunks(name: bytes, get: Callable[[bytes], bytes]) -> list[Chunk]:
    """All chunks and holes, in order, that the chunk list `name` stands for, directly or through other lists.

    `get` gives the object of a hash. Only for lists of this program's own: a hostile one can stand for any number.

    Raises:
        CorruptObject: a list does not fit the place that names it.
    """
    chunks = decode_chunks(get(name))
    return list(chunks.chunks) if chunks.level == 0 else list(chain.from_iterable(_below(chunks, get)))


def _below(chunks: ChunkList, get: Callable[[bytes], bytes]) -> Iterator[Iterable[Chunk]]:
    for one in chunks.chunks:
        if one.hash is None:
            yield (one,)
            continue
        below = decode_chunks(get(one.hash))
        if (below.level, below.size) != (chunks.level - 1, one.size):
            raise CorruptObject(f"the chunk list {one.hash.hex()} does not fit the place that names it")
        yield below.chunks if below.level == 0 else chain.from_iterable(_below(below, get))


def store_chunks(chunks: Iterable[Chunk], put: Callable[[bytes], bytes]) -> bytes:
    """Store the lists that name `chunks`, at least one, in order; the hash of the topmost.

    Holes that follow each other become one, so that equal files have equal lists however their zeros were found. `put`
    stores an encoded list and returns its hash.
    """
    level = 0
    pieces = list(_merge_holes(chunks))
    while True:
        lists = [
            ChunkList(VERSION, level, tuple(pieces[start : start + MAX_ENTRIES]))
            for start in range(0, len(pieces), MAX_ENTRIES)
        ]
        stored = [Chunk(put(encode(one)), one.size) for one in lists]
        if len(stored) == 1 and stored[0].hash is not None:
            return stored[0].hash
        pieces, level = stored, level + 1


def _merge_holes(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    for is_hole, run in groupby(chunks, key=lambda chunk: chunk.hash is None):
        if is_hole:
            yield Chunk(None, sum(chunk.size for chunk in run))
        else:
            yield from run
