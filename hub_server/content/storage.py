"""Where a hub's packs are kept: the interface that a local folder and a bucket both have.

A storage knows packs by the hashes of their bytes and nothing about what is in them. Its methods block, may be called
from any thread, and can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol


class StoredPack(NamedTuple):
    """A pack that is kept: its hash, its size in bytes, and when it came (Unix time, seconds)."""

    hash: bytes
    size: int
    kept_at: float


class PackStorage(Protocol):
    """Keeps packs."""

    def keep(self, staged: Path, pack: bytes) -> None:
        """Take over a file that was verified to have the hash `pack`. When this returns, it is durable, and moved away.

        Raises:
            DiskFull: there is no room for it.
            StorageUnavailable: it cannot be kept now; the file is still there.
        """

    def read(self, pack: bytes, offset: int, size: int) -> bytes:
        """The `size` bytes of a pack from `offset` on, fewer only at its end; nothing about them was checked.

        Raises:
            MissingObject: the pack is not kept.
            StorageUnavailable: it cannot be read now.
        """

    def delete(self, pack: bytes) -> None:
        """Stop keeping a pack; no error where it is not kept.

        Raises:
            StorageUnavailable: it cannot be deleted now.
        """

    def packs(self) -> Iterator[StoredPack]:
        """Everything that is kept, in no particular order; what is not named like a pack is left out.

        Raises:
            StorageUnavailable: it cannot be listed now.
        """


def pack_named(name: str) -> bytes | None:
    """The hash that a pack's name stands for; None for any other name."""
    try:
        pack = bytes.fromhex(name)
    except ValueError:
        return None
    return pack if len(pack) == 32 and pack.hex() == name else None
