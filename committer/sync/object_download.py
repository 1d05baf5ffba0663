"""Reading a snapshot of a hub that is not in any store here: the hub's objects, asked for many at a time.

Nothing that a hub sends is believed: an object is only taken under the hash that was asked for, and every decoder is
strict. What the hub does not have is a `MissingObject`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from committer.storage.chunks import decode_chunks
from committer.storage.codec import digest
from committer.storage.objects import Kind, references
from committer.storage.pack import parse_records
from committer.storage.recent_objects import RecentObjects
from committer.storage.tree import EntryKind, decode_tree
from dotscience.client.hub import MAX_OBJECTS_PER_QUESTION
from dotscience.errors import HubUnavailable, MissingObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from committer.storage.objects import Reference
    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry
    from dotscience.client.hub import HubClient

BATCH_BYTES = 8 * 2**20
KEPT_BYTES = 64 * 2**20

_LEAVES = frozenset({Kind.BLOB, Kind.COMMIT})
"""What `fetch_inner` does not follow: contents are wanted later or not at all, and commits are chosen by the caller."""


class ObjectDownload:
    """Objects of one dot's project. Belongs to one thread."""

    def __init__(self, hub: HubClient, dot_id: str) -> None:
        self._hub = hub
        self._dot_id = dot_id

    def fetch(self, names: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Those of the objects that the hub has, each once and verified against its hash.

        Raises:
            HubError: the hub does not answer, or refuses.
            CorruptObject: what it sends is damaged.
        """
        pending = list(dict.fromkeys(names))
        while pending:
            answer = self._hub.objects(self._dot_id, pending[:MAX_OBJECTS_PER_QUESTION])
            if answer.answered == 0:
                raise HubUnavailable(f"{self._hub.url} answers for none of {len(pending)} objects; try again later")
            asked = set(pending[: answer.answered])
            for record in parse_records(answer.data):
                if record.entry.hash in asked:
                    asked.remove(record.entry.hash)
                    yield record.entry.hash, record.data
            del pending[: answer.answered]


def fetch_inner(
    download: ObjectDownload,
    roots: Sequence[Reference],
    known: Callable[[bytes], bytes | None],
    keep: Callable[[Kind, bytes], object],
) -> None:
    """Fetch what `roots` refer to, near and far, contents of files and commits aside.

    `known` gives an object that is here already; `keep` gets every other one, as the kind that it is referred to.

    Raises:
        MissingObject: the hub lacks one.
        CorruptObject: one is not what those that refer to it take it for.
    """
    pending, seen = list(roots), set(roots)
    while pending:
        batch, pending = pending[-MAX_OBJECTS_PER_QUESTION:], pending[:-MAX_OBJECTS_PER_QUESTION]
        for (kind, _), data in _get_all(download, batch, known, keep):
            following = {one for one in references(kind, data) if one[0] not in _LEAVES} - seen
            seen |= following
            pending += following


def _get_all(
    download: ObjectDownload,
    wanted: list[Reference],
    known: Callable[[bytes], bytes | None],
    keep: Callable[[Kind, bytes], object],
) -> Iterator[tuple[Reference, bytes]]:
    absent: dict[bytes, list[Reference]] = {}
    for one in wanted:
        if (data := known(one[1])) is not None:
            yield one, data
        else:
            absent.setdefault(one[1], []).append(one)
    for name, data in download.fetch(list(absent)):
        for one in absent.pop(name):
            keep(one[0], data)
            yield one, data
    if absent:
        kind, name = next(iter(absent.values()))[0]
        raise MissingObject(f"the hub lacks the {kind.name.lower()} {name.hex()}; ask whoever looks after it")


def blobs_below(reader: Reader, entry: TreeEntry, seen: set[bytes]) -> Iterator[tuple[bytes, int]]:
    """The contents of the files at and below an entry, in the order in which a checkout reads them: hashes and sizes.

    Each once; what is in `seen` is left out, and what was found is added to it. `reader` has all but the contents.
    """
    pending = _below_entries((entry,))
    while pending:
        kind, name, size = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if kind is Kind.BLOB:
            yield name, size
        elif kind is Kind.TREE:
            pending += _below_entries(decode_tree(reader.get(name)).entries)
        else:
            chunks = decode_chunks(reader.get(name))
            inner = Kind.CHUNKS if chunks.level else Kind.BLOB
            pending += [(inner, one.hash, one.size) for one in reversed(chunks.chunks) if one.hash is not None]


_KINDS = {EntryKind.FILE: Kind.BLOB, EntryKind.CHUNKED_FILE: Kind.CHUNKS, EntryKind.DIRECTORY: Kind.TREE}


def _below_entries(entries: Sequence[TreeEntry]) -> list[tuple[Kind, bytes, int]]:
    return [(_KINDS[one.kind], one.content, one.size) for one in reversed(entries) if one.kind in _KINDS]


class HubReader:
    """A `Reader` of a hub alone. What is read after each other is fetched together, and kept in memory for a while.

    Belongs to one thread.
    """

    def __init__(self, download: ObjectDownload) -> None:
        self._download = download
        self._inner: dict[bytes, bytes] = {}
        self._order: list[tuple[bytes, int]] = []
        self._places: dict[bytes, int] = {}
        self._recent = RecentObjects(KEPT_BYTES)

    def prepare(self, entry: TreeEntry, others: Sequence[Reference] = ()) -> None:
        """Get ready for reading all at and below an entry, in order: fetch all but the contents, and `others`.

        Raises what `fetch_inner` does.
        """
        kind = _KINDS.get(entry.kind, Kind.BLOB)
        roots = [*others] if kind is Kind.BLOB else [(kind, entry.content), *others]
        fetch_inner(self._download, roots, self._inner.get, lambda _, data: self._keep_inner(data))
        for name, size in blobs_below(self, entry, set()):
            self._places[name] = len(self._order)
            self._order.append((name, size))

    def get(self, name: bytes, /) -> bytes:
        """The object of this hash, verified.

        Raises:
            MissingObject: the hub does not have it.
            HubError, CorruptObject: as `ObjectDownload.fetch`.
        """
        if name in self._inner:
            return self._inner[name]
        if (known := self._recent.get(name)) is not None:
            return known
        wanted = None
        for found, data in self._download.fetch(self._batch(name)):
            self._recent.put(found, data)
            wanted = data if found == name else wanted
        if wanted is None:
            raise MissingObject(f"the hub does not have the content {name.hex()}")
        return wanted

    def _keep_inner(self, data: bytes) -> None:
        self._inner[digest(data)] = data

    def _batch(self, name: bytes) -> list[bytes]:
        batch, size = [name], 0
        start = self._places.get(name, len(self._order))
        for following, plain in self._order[start : start + MAX_OBJECTS_PER_QUESTION]:
            size += plain
            if size > BATCH_BYTES:
                break
            if self._recent.get(following) is None:
                batch.append(following)
        return batch[:MAX_OBJECTS_PER_QUESTION]
