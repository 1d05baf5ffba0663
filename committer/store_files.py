"""Storing files of a workspace at once, for a publish that waits: `POST /v1/captures`.

A file that looks as it did at the last commit costs a look; of any other, what is new is stored. What is stored here is
part of no commit yet. The next one takes it over by the capture that the library writes with the answer.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from committer.captured_files import is_plain
from committer.storage.ingest import FileContent, FileIngest
from committer.storage.stat_index import StatIndex
from committer.storage.store import ObjectStore
from committer.storage.tree import EntryKind
from committer.workspace.stat import DIRECTORY_FLAGS, Signature, open_below, open_file, signature_of
from dotscience.capture_manifest import CapturedFile

ATTEMPTS = 3


def store_files(store: ObjectStore, root: Path, paths: list[str]) -> list[CapturedFile]:
    """Store files below `root` durably, as they are now; those that held still and can be read, in order.

    Belongs to the store's thread.

    Raises:
        DiskFull: there is no room for them; none was stored.
        OSError: the root cannot be opened.
    """
    descriptor = os.open(root, DIRECTORY_FLAGS)
    try:
        known = _LastCommit(store)
        with FileIngest(store) as ingest:
            stored = [_store(ingest, known, descriptor, path) for path in paths if is_plain(path)]
        store.commit(lambda _: None)
    finally:
        os.close(descriptor)
    return [file for file in stored if file is not None]


class _LastCommit:
    """What the files of the last commit looked like and what was stored for them."""

    def __init__(self, store: ObjectStore) -> None:
        self._index = StatIndex(store.connection, b"")
        self._folders: dict[bytes, dict[bytes, tuple[Signature, FileContent]]] = {}

    def content(self, folder: bytes, name: bytes, now: Signature) -> FileContent | None:
        """The content of a file that looks as it did; None where it may be another."""
        if folder not in self._folders:
            self._folders[folder] = self._read(folder)
        before = self._folders[folder].get(name)
        return before[1] if before is not None and before[0] == now else None

    def _read(self, folder: bytes) -> dict[bytes, tuple[Signature, FileContent]]:
        """The files of a folder whose look can be trusted: none that may have changed in the tick it was read in."""
        listing = self._index.listing(folder)
        if listing is None:
            return {}
        files = zip(listing.sight.found(), self._index.contents(folder), strict=False)
        return {
            found.name: (found.signature, FileContent(stored.kind, stored.content, stored.size))
            for found, stored in files
            if stored is not None
            and stored.kind is not EntryKind.SYMLINK
            and max(found.signature.mtime_ns, found.signature.ctime_ns) < listing.racy_from_ns
        }


def _store(ingest: FileIngest, known: _LastCommit, root: int, path: str) -> CapturedFile | None:
    folder, _, name = os.fsencode(path).rpartition(b"/")
    try:
        with open_below(root, folder) as parent, open_file(name, parent=parent) as descriptor:
            for _ in range(ATTEMPTS):
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    return None
                content = known.content(folder, name, signature_of(before)) or ingest.put(descriptor, before.st_size)
                if signature_of(os.fstat(descriptor)) == signature_of(before) and content.size == before.st_size:
                    return _captured(path, before, content)
    except OSError:
        return None
    return None


def _captured(path: str, status: os.stat_result, content: FileContent) -> CapturedFile:
    return CapturedFile(
        path=path,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        mode=status.st_mode & 0o7777,
        content=content.hash.hex(),
        is_chunked=content.kind is EntryKind.CHUNKED_FILE,
    )
