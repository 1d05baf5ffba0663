"""What a hub has lost that is not here either: the files of a commit whose contents are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from committer.storage.objects import Kind, decode_commit, references
from committer.storage.reader import walk
from committer.storage.store import StoreReader
from committer.storage.tree import EntryKind

MAX_NAMED = 5


def lost_files(store: StoreReader, commit: str, missing: Collection[bytes]) -> list[str]:
    """The files of a commit that need some of the objects that are `missing`."""
    return list(_files_with(store, commit, frozenset(missing))) if missing else []


def describe_lost(commit: str, paths: list[str]) -> str:
    """The same, in words."""
    named = ", ".join(paths[:MAX_NAMED])
    more = f" and {len(paths) - MAX_NAMED:,} more" if len(paths) > MAX_NAMED else ""
    return f"it has lost contents that commit {commit[:12]} needs and that are not here any more: {named}{more}"


def _files_with(store: StoreReader, commit: str, missing: frozenset[bytes]) -> Iterator[str]:
    root = decode_commit(store.get(bytes.fromhex(commit), Kind.COMMIT)).root
    for path, entry in walk(store, root):
        if entry.kind is EntryKind.FILE:
            is_lost = entry.content in missing
        else:
            is_lost = entry.kind is EntryKind.CHUNKED_FILE and _lacks_chunks(store, entry.content, missing)
        if is_lost:
            yield path.decode("utf-8", "backslashreplace")


def _lacks_chunks(store: StoreReader, chunks: bytes, missing: frozenset[bytes]) -> bool:
    """Whether a list of chunks, or one that it lists, has any of the missing objects."""
    return any(
        name in missing or (kind is Kind.CHUNKS and _lacks_chunks(store, name, missing))
        for kind, name in references(Kind.CHUNKS, store.get(chunks, Kind.CHUNKS))
    )
