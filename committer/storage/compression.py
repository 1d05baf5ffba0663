"""Compression of records: zstd where it pays, raw bytes where it does not.

A record says which it is, so levels and rules may change without a change of format.
"""

from __future__ import annotations

import itertools
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import zstandard

from dotscience.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEVEL = 3
PROBE_LEVEL = -1
PROBE_SIZE = 64 * 2**10
PROBE_FROM = 4 * PROBE_SIZE
WORTH_IT = 0.94
"""Compressed over plain size above which the plain bytes are stored: reading them back then costs nothing."""


class Encoding(IntEnum):
    """A record's flags byte."""

    RAW = 0
    ZSTD = 1


class Compressor:
    """Compresses objects; not to be shared between threads."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=LEVEL)
        self._probe = zstandard.ZstdCompressor(level=PROBE_LEVEL)

    def compress(self, data: bytes | memoryview) -> tuple[Encoding, bytes | memoryview]:
        """How to store `data`, and the bytes to store."""
        if self._looks_compressible(data):
            return _smaller(data, self._zstd.compress(data))
        return Encoding.RAW, data

    def compress_all(self, objects: Sequence[bytes]) -> list[tuple[Encoding, bytes | memoryview]]:
        """As `compress` of each, but all in one call, during which other threads run."""
        chosen = [len(one) > 0 and self._looks_compressible(one) for one in objects]
        tried: list[bytes | bytearray | memoryview] = list(itertools.compress(objects, chosen))
        packed: Iterator[Any] = iter(self._zstd.multi_compress_to_buffer(tried) if tried else ())
        return [
            _smaller(one, memoryview(next(packed))) if is_chosen else (Encoding.RAW, one)
            for one, is_chosen in zip(objects, chosen, strict=True)
        ]

    def _looks_compressible(self, data: bytes | memoryview) -> bool:
        """A fast guess from the middle of a large object: its start may be a header that compresses well."""
        if len(data) < PROBE_FROM:
            return True
        middle = (len(data) - PROBE_SIZE) // 2
        probe = self._probe.compress(memoryview(data)[middle : middle + PROBE_SIZE])
        return len(probe) <= WORTH_IT * PROBE_SIZE


def _smaller(data: bytes | memoryview, packed: bytes | memoryview) -> tuple[Encoding, bytes | memoryview]:
    """Which of the two forms of an object to store."""
    return (Encoding.ZSTD, packed) if len(packed) <= WORTH_IT * len(data) else (Encoding.RAW, data)


def compress_zstd(data: bytes) -> bytes:
    """`data` as one zstd frame that states its size."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(data)


def decompress_zstd(data: bytes, *, limit: int) -> bytes:
    """The plain bytes, at most `limit` of them, of one zstd frame that states its size (RFC 8878, 3.1.1.1.4).

    The stated size is checked before anything is allocated, so `limit` bounds the memory that hostile data can cost.

    Raises:
        CorruptObject: it is not a frame, not just one, states no size, or a larger one.
    """
    try:
        size = zstandard.frame_content_size(data)
        if not 0 < size <= limit:
            raise CorruptObject(f"compressed data claims {size} bytes, expected 1 to {limit}")
        decompressor = zstandard.ZstdDecompressor()
        return decompressor.decompress(data, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptObject(f"compressed data cannot be read: {error}") from error
