"""Contents that a hub lacks and that were dropped here: where the workspace may have them still."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from committer.storage.chunks import read_chunks
from committer.storage.objects import Kind, decode_commit, digest
from committer.storage.pack import Pack, PackWriter
from committer.storage.reader import walk
from committer.storage.store import StoreReader
from committer.storage.tree import EntryKind, TreeEntry

MAX_NAMED = 5


class Place(NamedTuple):
    """Where a commit has a blob: `size` bytes of a file from `offset` on."""

    name: bytes
    path: bytes
    offset: int
    size: int


def places_of(store: StoreReader, commit: str, missing: Collection[bytes]) -> list[Place]:
    """The places of some blobs in a commit's files; none for other objects."""
    root = decode_commit(store.get(bytes.fromhex(commit), Kind.COMMIT)).root
    wanted = frozenset(missing)
    return [place for path, entry in walk(store, root) for place in _blobs(store, path, entry) if place.name in wanted]


def _blobs(store: StoreReader, path: bytes, entry: TreeEntry) -> Iterator[Place]:
    if entry.kind is EntryKind.FILE:
        yield Place(entry.content, path, 0, entry.size)
    elif entry.kind is EntryKind.CHUNKED_FILE:
        offset = 0
        for chunk in read_chunks(entry.content, store.get):
            if chunk.hash is not None:
                yield Place(chunk.hash, path, offset, chunk.size)
            offset += chunk.size


def collect(folder: Path, root: Path, places: Iterable[Place]) -> Pack | None:
    """A pack in `folder` of those blobs that the workspace `root` has at their places; None where it has none of them.

    Raises:
        DiskFull: there is no room for it.
    """
    writer = PackWriter(folder)
    try:
        found: set[bytes] = set()
        for place in places:
            data = _read(root, place)
            if place.name not in found and digest(data) == place.name:
                writer.add(Kind.BLOB, place.name, data)
                found.add(place.name)
        if found:
            return writer.seal()
    except BaseException:
        writer.discard()
        raise
    writer.discard()
    return None


def _read(root: Path, place: Place) -> bytes:
    """What the file has there now; whatever cannot be read has another hash."""
    try:
        with (root / os.fsdecode(place.path)).open("rb") as file:
            file.seek(place.offset)
            return file.read(place.size)
    except OSError:
        return b""


def describe_lost(commit: str, paths: Collection[bytes]) -> str:
    """Which files of a commit a hub does not have."""
    names = sorted(path.decode("utf-8", "backslashreplace") for path in set(paths))
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"commit {commit[:12]}: {', '.join(names[:MAX_NAMED])}{more}"
