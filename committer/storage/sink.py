"""Where objects are put: the interface that files are taken in through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from committer.storage.objects import Kind
    from committer.storage.pack import Prepared


class ObjectSink(Protocol):
    """Takes objects; nothing is stored twice. Used by one thread at a time, but for `knows`."""

    def put(self, kind: Kind, data: bytes | memoryview, /) -> bytes:
        """Add an object and return its hash.

        Raises:
            DiskFull: there is no room for what was put so far.
        """

    def add(self, kind: Kind, prepared: Prepared, /) -> bytes:
        """As `put`, of an object that somebody else has hashed and compressed."""

    def get(self, name: bytes, kind: Kind | None = None, /) -> bytes:
        """An object that was put, now or before; raises MissingObject or CorruptObject."""

    def missing(self, names: Iterable[bytes], /) -> set[bytes]:
        """Those of the objects that are not here."""

    def knows(self, name: bytes, /) -> bool:
        """Whether preparing this object would be in vain; from any thread."""
