"""Taking a snapshot: a folder's content, as objects in a store.

Files are read while others may be writing them. A file whose size or times moved while it was read is read again, up
to three times; if it never holds still, what was read is stored, the snapshot is "fuzzy" and the file is named in it.
A file that cannot be read is left out and named. Neither ever stops the rest from being saved.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.chunking import Chunker, Content, average_for
from committer.storage.chunks import Chunk, store_chunks
from committer.storage.diff import diff
from committer.storage.objects import MAX_OBJECT_SIZE, Kind
from committer.storage.stat_index import Listed, StatIndex
from committer.storage.tree import MAX_ENTRIES, MAX_NAME, EntryKind, encode_tree
from committer.workspace.stat import (
    Found,
    Signature,
    open_directory,
    open_file,
    read_directory,
    settle,
    signature_of,
)
from dotscience.errors import SnapshotError
from dotscience.workspace import PROJECT_FILE, STATE_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from committer.storage.ignore import IgnoreRules
    from committer.storage.stat_index import Listing
    from committer.storage.store import ObjectStore
    from dotscience.record import Consistency

ATTEMPTS = 4
MAX_DEPTH = 128
"""Every level holds a descriptor open and takes five Python calls; a process may have 1,024 and 1,000 of these."""


class Snapshot(NamedTuple):
    """A folder as it was. Paths are raw bytes relative to its root, `/`-separated; sizes are in bytes.

    `unstable` are the files that did not hold still, `skipped` what was left out with the reason, `changed` the files
    and links whose content is not that of the previous snapshot, came or went; it is empty where there is no previous
    one.
    """

    root_hash: bytes
    files: int
    size: int
    new_bytes: int
    consistency: Consistency
    unstable: list[bytes]
    skipped: list[tuple[bytes, str]]
    changed: list[bytes]


def take_snapshot(store: ObjectStore, root: Path, *, ignore: IgnoreRules, previous: bytes | None = None) -> Snapshot:
    """Put the content of the folder `root` into `store`; the caller commits it, once, or rolls it back.

    `previous` is the tree of the snapshot to compare with. Runs on the store's own thread. Files that stat(2) shows
    to be those of the last commit are not read; their knowledge is updated in the transaction of the store's next
    commit.

    Raises:
        DiskFull: too little room; nothing was written, or what was put has been dropped.
        SnapshotError: the root cannot be read.
    """
    store.require_free_space()
    put_before = store.uncommitted_bytes
    index = StatIndex(store.connection, ignore.digest)
    walk = _Walk(store, index, ignore)
    root_hash = walk.snapshot(root)
    store.defer(index.save)
    changes = diff(store, previous, root_hash) if previous is not None else ()
    return Snapshot(
        root_hash=root_hash,
        files=walk.files,
        size=walk.size,
        new_bytes=store.uncommitted_bytes - put_before,
        consistency="fuzzy" if walk.unstable else "stable",
        unstable=sorted(walk.unstable),
        skipped=sorted(walk.skipped),
        changed=sorted(change.path for change in changes if change.is_content),
    )


class _LeftOutError(Exception):
    """Something cannot be part of the snapshot; the text says why."""


class _Walk:
    """One pass over a folder, depth first: a directory's tree needs those below it."""

    def __init__(self, store: ObjectStore, index: StatIndex, ignore: IgnoreRules) -> None:
        self._store = store
        self._index = index
        self._ignore = ignore
        self._noted_ns = time.time_ns()
        self._chunkers: dict[int, Chunker] = {}
        self.files = 0
        self.size = 0
        self.unstable: list[bytes] = []
        self.skipped: list[tuple[bytes, str]] = []

    def snapshot(self, root: Path) -> bytes:
        try:
            with open_directory(os.fsencode(root)) as descriptor:
                return self._directory(descriptor, b"", read_directory(descriptor))
        except (OSError, _LeftOutError) as error:
            raise SnapshotError(f"{root} cannot be read: {error}") from error

    def _directory(self, descriptor: int, path: bytes, found: list[Found]) -> bytes:
        """Store an open directory and what is below it; the hash of its tree."""
        known = self._index.listing(path)
        entries = tuple(self._entries(descriptor, path, found, known))
        racy_from_ns = known.racy_from_ns if known else 0
        young = any(max(one.signature.mtime_ns, one.signature.ctime_ns) >= racy_from_ns for one in entries)
        if known is not None and known.entries == entries and not young:
            return known.tree
        tree = self._put_tree(entries)
        self._index.note(path, self._noted_ns, tree, entries)
        return tree

    def _entries(self, descriptor: int, path: bytes, found: list[Found], known: Listing | None) -> Iterator[Listed]:
        before = {one.name: one for one in known.entries} if known else {}
        racy_from_ns = known.racy_from_ns if known else 0
        prefix = path + b"/" if path else b""
        for one in found:
            old = before.get(one.name)
            unchanged = old is not None and _is_unchanged(old, one.signature, racy_from_ns)
            if not (unchanged and self._index.same_rules) and self._is_excluded(prefix + one.name, one):
                continue
            entry = old if unchanged else self._read(descriptor, prefix + one.name, one)
            if entry is not None:
                self._count(entry)
                yield entry

    def _is_excluded(self, path: bytes, found: Found) -> bool:
        return self._ignore.excludes_entry(path, directory=stat.S_ISDIR(found.signature.mode))

    def _count(self, entry: Listed) -> None:
        if entry.kind is not EntryKind.DIRECTORY:
            self.files += 1
            self.size += entry.size

    def _read(self, parent: int, path: bytes, found: Found) -> Listed | None:
        """Store what is at `path`; None where it is gone by now or cannot be part of the snapshot."""
        try:
            return self._read_any(parent, path, found)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.skipped.append((path, f"cannot be read: {error.strerror}"))
        except _LeftOutError as error:
            self.skipped.append((path, str(error)))
        return None

    def _read_any(self, parent: int, path: bytes, found: Found) -> Listed | None:
        if len(found.name) > MAX_NAME:
            raise _LeftOutError(f"has a name longer than {MAX_NAME} bytes")
        mode = found.signature.mode
        if stat.S_ISREG(mode):
            return self._read_file(parent, path, found.name)
        if stat.S_ISDIR(mode):
            return self._read_directory(parent, path, found)
        if stat.S_ISLNK(mode):
            target = os.readlink(found.name, dir_fd=parent)
            return Listed(found.name, found.signature, EntryKind.SYMLINK, len(target), target)
        raise _LeftOutError("is not a file, directory or symbolic link")

    def _read_directory(self, parent: int, path: bytes, found: Found) -> Listed:
        if path.count(b"/") >= MAX_DEPTH:
            raise _LeftOutError(f"is more than {MAX_DEPTH} folders deep")
        with open_directory(found.name, parent=parent) as descriptor:
            if _is_tracked(descriptor):
                raise _LeftOutError("is tracked on its own")
            tree = self._directory(descriptor, path, read_directory(descriptor))
        # Of a directory only its mode counts: files that are left out change the rest of its signature.
        signature = Signature(found.signature.mode, 0, 0, 0, 0)
        return Listed(found.name, signature, EntryKind.DIRECTORY, 0, tree)

    def _read_file(self, parent: int, path: bytes, name: bytes) -> Listed:
        for _ in range(ATTEMPTS):
            with open_file(name, parent=parent) as descriptor:
                settle(descriptor, name, os.fstat(descriptor).st_size)
                before = signature_of(os.fstat(descriptor))
                if not stat.S_ISREG(before.mode):
                    raise _LeftOutError("changed its type while the folder was read")
                kind, content, size = self._put_file(descriptor, before.size)
                after = signature_of(os.fstat(descriptor))
            if before == after and size == before.size:
                break
        else:
            self.unstable.append(path)
        return Listed(name, before, kind, size, content)

    def _put_file(self, descriptor: int, size: int) -> tuple[EntryKind, bytes, int]:
        """Store an open file's content; its kind, its hash and how many bytes it turned out to have."""
        content = Content(descriptor, size)
        chunks: list[Chunk] = []
        for piece in self._chunker(size).cut(content.read_into):
            name = self._store.put(Kind.BLOB, piece.data)
            if piece.is_whole:
                return EntryKind.FILE, name, len(piece.data)
            chunks.append(Chunk(name, len(piece.data)))
        name = store_chunks(chunks, lambda data: self._store.put(Kind.CHUNKS, data))
        return EntryKind.CHUNKED_FILE, name, content.position

    def _chunker(self, size: int) -> Chunker:
        average = average_for(size)
        if average not in self._chunkers:
            self._chunkers[average] = Chunker(average)
        return self._chunkers[average]

    def _put_tree(self, entries: tuple[Listed, ...]) -> bytes:
        if len(entries) > MAX_ENTRIES:
            raise _LeftOutError(f"holds {len(entries)} names, more than {MAX_ENTRIES}")
        data = encode_tree(entry.as_tree_entry() for entry in entries)
        if len(data) > MAX_OBJECT_SIZE:
            raise _LeftOutError(f"holds so many names that its list exceeds {MAX_OBJECT_SIZE} bytes")
        return self._store.put(Kind.TREE, data)


def _is_unchanged(old: Listed, now: Signature, racy_from_ns: int) -> bool:
    """Whether what is stored for `old` is still right. Never for a directory, which has to be looked into."""
    return old.signature == now and max(now.mtime_ns, now.ctime_ns) < racy_from_ns


def _is_tracked(descriptor: int) -> bool:
    """Whether the open directory, not the snapshot's root, has been initialised itself; nearest root wins."""
    try:
        os.stat(f"{STATE_DIR}/{PROJECT_FILE}", dir_fd=descriptor)
    except OSError:
        return False
    return True
