"""Objects that the hub makes itself, on their way into a project."""

from __future__ import annotations

from collections.abc import Iterable

from committer.storage.codec import digest
from committer.storage.compression import Compressor
from committer.storage.objects import MAX_OBJECT_SIZE, Kind
from committer.storage.pack import Pack, Prepared
from dotscience.errors import MissingObject, SnapshotError
from hub_server.content.packs import NewPacks
from hub_server.services.objects import ProjectObjects


class NewObjects:
    """A `committer.storage.sink.ObjectSink` that writes packs of what the project does not have. Blocks.

    What the project has without a commit that needs it is written again: it may be collected at any moment.
    """

    def __init__(self, project: ProjectObjects, packs: NewPacks) -> None:
        self._project = project
        self._packs = packs
        self._compressor = Compressor()
        self._put: set[bytes] = set()
        self._kept: set[bytes] = set()
        self.stored = 0
        """Bytes of all that was put and had to be stored."""

    def put(self, kind: Kind, data: bytes | memoryview) -> bytes:
        """Add an object and return its hash.

        Raises:
            DiskFull: there is no room for it.
            SnapshotError: it is larger than an object may be.
        """
        if len(data) > MAX_OBJECT_SIZE:
            raise SnapshotError(f"an object of {len(data)} bytes is larger than the {MAX_OBJECT_SIZE} allowed")
        name = digest(data)
        return (
            name if self._has(name) else self._append(kind, Prepared(name, len(data), *self._compressor.compress(data)))
        )

    def add(self, kind: Kind, prepared: Prepared) -> bytes:
        """As `put`, of an object that somebody else has hashed and compressed."""
        return prepared.name if self._has(prepared.name) else self._append(kind, prepared)

    def get(self, name: bytes, kind: Kind | None = None) -> bytes:  # noqa: ARG002 - the interface's
        """An object of the project; not one that was put just now."""
        if name in self._put:
            raise MissingObject(f"object {name.hex()} was put just now, and cannot be read yet")
        return self._project.get(name)

    def missing(self, names: Iterable[bytes]) -> set[bytes]:
        """Those of the objects that are neither put nor the project's."""
        return {name for name in names if not self._has(name)}

    def knows(self, name: bytes) -> bool:
        """Whether it was put just now: other threads have no connection to the database."""
        return name in self._put

    def seal(self) -> list[Pack]:
        """The packs with all that was put, but for those that are kept already; more can be put then."""
        return [pack for pack in self._packs.seal() if pack.hash not in self._kept]

    def keep(self, pack: Pack) -> None:
        """Have a pack kept, durably.

        Raises:
            DiskFull: there is no room for it.
            StorageUnavailable: it cannot be kept now.
        """
        self._packs.keep(pack)
        self._kept.add(pack.hash)

    def _append(self, kind: Kind, prepared: Prepared) -> bytes:
        self._packs.append(kind, prepared)
        self._put.add(prepared.name)
        self.stored += len(prepared.payload)
        return prepared.name

    def _has(self, name: bytes) -> bool:
        if name in self._put:
            return True
        found = self._project.locate([name]).get(name)
        return found is not None and not found.is_unused
