"""A project's objects, for code that runs on worker threads."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from committer.storage.codec import HASH_SIZE
from committer.storage.objects import Kind, Reference, references
from dotscience.errors import CorruptObject, MissingObject
from dotscience.record import Environment, decode_json
from hub_server.content.packs import Packs
from hub_server.domain.problems import Problem
from hub_server.store import objects
from hub_server.store.database import Database
from hub_server.thread_pool import check_cancelled

BATCH = 512

_NAMES = {
    Kind.BLOB: "a blob",
    Kind.CHUNKS: "a chunk list",
    Kind.TREE: "a tree",
    Kind.COMMIT: "a commit",
    Kind.RUN: "a run record",
    Kind.ENVIRONMENT: "an environment",
}


def split_hashes(question: bytes, most: int) -> list[bytes]:
    """The hashes that a request's body holds, one after the other.

    Raises:
        Problem: malformed-request, when it is not a list of at most so many hashes.
    """
    if len(question) % HASH_SIZE or len(question) > most * HASH_SIZE:
        raise Problem("malformed-request", f"{len(question)} bytes are not a list of at most {most} 32-byte hashes")
    return [question[start : start + HASH_SIZE] for start in range(0, len(question), HASH_SIZE)]


class ProjectObjects:
    """A `committer.storage.reader.Reader` over what one project has. Blocks; not for the event loop."""

    def __init__(self, database: Database, packs: Packs, project_key: int) -> None:
        self._database = database
        self._packs = packs
        self._project_key = project_key
        self.unused: set[bytes] = set()
        """What `locate` found so far that no commit needs yet."""

    def get(self, name: bytes, /) -> bytes:
        """The object of this hash, verified.

        Raises:
            MissingObject: the project does not have it.
            CorruptObject: what is stored is not what the hash says.
            Cancelled: nobody waits for what the calling thread does.
        """
        return self.read(self.find(name))

    def find(self, name: bytes) -> objects.Location:
        """Where the object lies.

        Raises:
            MissingObject: the project does not have it.
            Cancelled: nobody waits for what the calling thread does.
        """
        location = self.locate([name]).get(name)
        if location is None:
            raise MissingObject(f"object {name.hex()} is not in this project")
        return location

    def locate(self, names: Iterable[bytes]) -> dict[bytes, objects.Location]:
        """Where the objects lie, for those that the project has.

        Raises:
            Cancelled: nobody waits for what the calling thread does.
        """
        check_cancelled()
        wanted = list(names)
        found = self._database.read_blocking(lambda c: objects.locate(c, self._project_key, wanted))
        self.unused.update(name for name, location in found.items() if location.is_unused)
        return found

    def read(self, location: objects.Location) -> bytes:
        """The object at a location."""
        return self._packs.read(location.pack, location.entry)

    def read_slice(self, location: objects.Location, start: int, stop: int) -> bytes:
        """A part of the object at a location."""
        return self._packs.read_slice(location.pack, location.entry, start, stop)


class Completeness:
    """A walk over all that some objects refer to, to find out whether it is all here.

    What was found complete before is not walked again. Only inner objects are remembered as seen, so that a hostile
    snapshot that names one folder from many places costs no more than its own size.
    """

    def __init__(self, source: ProjectObjects, *, max_missing: int, lost: Collection[bytes] = frozenset()) -> None:
        """Blobs that are `lost` need not be here."""
        self._source = source
        self._lost = lost
        self._max_missing = max_missing
        self._seen: set[Reference] = set()
        self.missing: list[bytes] = []
        self.walked: dict[Kind, list[bytes]] = {}

    def check(self, roots: Iterable[Reference]) -> None:
        """Walk from `roots`; afterwards `missing` has the first hashes that are not here, `walked` all that was read.

        Raises:
            CorruptObject: an object is not what those that name it take it for.
        """
        pending = list(roots)
        while pending and len(self.missing) < self._max_missing:
            batch, pending = pending[-BATCH:], pending[:-BATCH]
            pending.extend(self._step(batch))
        del self.missing[self._max_missing :]

    def _step(self, batch: list[Reference]) -> list[Reference]:
        found = self._source.locate({name for _, name in batch})
        following: list[Reference] = []
        for kind, name in dict.fromkeys(batch):
            location = found.get(name)
            if location is None and kind is Kind.BLOB and name in self._lost:
                continue
            if location is None and name not in self.missing:
                self.missing.append(name)
            elif location is not None and location.complete != kind and kind is not Kind.BLOB:
                following.extend(self._open(kind, location))
        return following

    def _open(self, kind: Kind, location: objects.Location) -> list[Reference]:
        name = location.entry.hash
        if (kind, name) in self._seen:
            return []
        self._seen.add((kind, name))
        self.walked.setdefault(kind, []).append(name)
        data = self._source.read(location)
        try:
            if kind is Kind.ENVIRONMENT:
                decode_json(data, Environment)
            return list(references(kind, data))
        except (CorruptObject, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise CorruptObject(f"object {name.hex()} cannot be read as {_NAMES[kind]}: {error}") from error
