"""Walking a folder for a snapshot: which of its directories to look into, and what has to be read there.

A directory whose sight is that of the last commit is taken over in one step; only elsewhere are names compared one by
one. After the walk, files that had been changing around its beginning are looked at once more (storage is "stable"
only if they stayed as they were read), and the directories of those that moved on are walked again, up to three times.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from committer.storage.capture import ATTEMPTS, Capture, LeftOutError, attributes_of
from committer.storage.ingest import FileContent
from committer.storage.objects import MAX_OBJECT_SIZE, Kind
from committer.storage.stat_index import NEVER_OLD, Folder, Listing, Look, Stored, Summary
from committer.storage.tree import MAX_ENTRIES, MAX_NAME, EntryKind, encode_tree
from committer.workspace.stat import (
    Found,
    Sight,
    Signature,
    may_be_mapped,
    open_directory,
    pack_signatures,
    read_directory,
)
from dotscience.errors import SnapshotError
from dotscience.workspace import PROJECT_FILE, STATE_DIR

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from committer.storage.ignore import IgnoreRules
    from committer.storage.ingest import FileIngest
    from committer.storage.stat_index import StatIndex
    from committer.storage.store import ObjectStore
    from committer.storage.tree import TreeEntry
    from committer.workspace.source import View

UNREADABLE = "cannot be read"
"""How the reason begins for which something was left out that a snapshot would have had."""

MAX_DEPTH = 128
"""Every level holds a descriptor open and takes four Python calls; a process may have 1,024 and 1,000 of these."""


class Scope:
    """The directories that a walk looks into: those of `directories`, and `subtrees` with everything below."""

    def __init__(self, directories: Iterable[bytes], subtrees: Iterable[bytes] = ()) -> None:
        self.subtrees = frozenset(subtrees)
        self.directories = self.subtrees.union(directories)
        self.on_the_way = _with_folders_above(self.directories)
        """They and the directories above them; no other has to be opened."""


class Walk:
    """One snapshot's walk, depth first: a directory's tree needs those below it."""

    def __init__(
        self, store: ObjectStore, index: StatIndex, ignore: IgnoreRules, view: View, ingest: FileIngest
    ) -> None:
        self._store = store
        self._index = index
        self._ignore = ignore
        self._view = view
        self._started_ns = time.time_ns()
        self._capture = Capture(ingest, view, self._started_ns)
        self._scope: Scope | None = None
        self._is_repeated = False
        self._has_new_names = False
        """Whether a file got another name: nobody reports that for the directory of its first one (link(2))."""

    @property
    def unstable(self) -> set[bytes]:
        """The files that did not hold still."""
        return self._capture.unstable

    def snapshot(self, root: Path, scope: Scope | None) -> Summary:
        """Store everything below the view's root; without a scope all of it is looked at. `root` is for messages.

        Raises:
            DiskFull: there is no room for it.
            SnapshotError: the root cannot be read.
        """
        try:
            descriptor = self._view.open_root()
            try:
                return self._until_still(descriptor, scope)
            finally:
                os.close(descriptor)
        except (OSError, LeftOutError) as error:
            raise SnapshotError(f"{root} cannot be read: {error}") from error

    def _until_still(self, root: int, scope: Scope | None) -> Summary:
        self._scope = scope
        for _ in range(ATTEMPTS):
            summary = self._directory(root, b"", whole=False)
            if self._has_new_names and self._scope is not None:
                self._scope, self._is_repeated, self._has_new_names = None, True, False
                summary = self._directory(root, b"", whole=False)
            moved = self._capture.moved(root) if self._view.consistency != "atomic" else {}
            if not moved:
                return summary
            self._scope, self._is_repeated = Scope(moved), True
        self.unstable.update(_join(folder, name) for folder, names in moved.items() for name in names)
        return summary

    def _directory(self, descriptor: int, path: bytes, *, whole: bool) -> Summary:
        """Store an open directory and what is below it; `whole` if the scope is no guide to what is below."""
        known = self._index.listing(path)
        scope = self._scope
        whole = whole or known is None or scope is None or path in scope.subtrees
        if known is not None and not whole and scope is not None and path not in scope.directories:
            return self._keep(descriptor, path, known, whole=False)
        sight = read_directory(descriptor)
        if known is not None and known.sight == sight and self._is_trusted(known):
            return self._keep(descriptor, path, known, whole=whole)
        return self._look(descriptor, path, sight, known, whole=whole)

    def _is_trusted(self, known: Listing) -> bool:
        """Whether a directory that looks the same holds the same files."""
        return self._index.same_rules and known.newest_ns < self._racy_from_ns(known)

    def _racy_from_ns(self, known: Listing) -> int:
        """As the listing says; but what this very walk has read is not read again for being young."""
        is_ours = self._is_repeated and known.noted_ns == self._started_ns
        return NEVER_OLD if is_ours else known.racy_from_ns

    def _keep(self, descriptor: int, path: bytes, known: Listing, *, whole: bool) -> Summary:
        """Take a directory over as it is known, but for the directories in it."""
        page = _Page(path, known)
        page.left_out = {name: why for name, why in known.left_out.items() if name not in page.known_folders}
        page.again = known.look is Look.ALWAYS
        for folder in known.folders:
            self._enter(page, descriptor, folder.name, folder.mode, folder.inode, whole=whole)
        if tuple(page.folders) == known.folders and page.left_out == known.left_out:
            return known.summary
        found, contents = known.sight.found(), self._index.contents(path)
        if len(found) != len(contents):  # not as we wrote it
            return self._look(descriptor, path, read_directory(descriptor), None, whole=whole)
        return self._note(page, known.noted_ns, known.sight, list(map(_File, found, contents)))

    def _look(self, descriptor: int, path: bytes, sight: Sight, known: Listing | None, *, whole: bool) -> Summary:
        """Go through a directory name by name."""
        page = _Page(path, known)
        racy_from_ns = self._racy_from_ns(known) if known else 0
        before = self._files_before(path, known)
        found = sight.found()
        files = [_File(one, None) for one in found]
        for place, one in enumerate(found):
            mode = one.signature.mode
            if stat.S_ISDIR(mode):
                if not self._is_excluded(page, one, is_known=one.name in page.known_folders):
                    self._enter(page, descriptor, one.name, mode, one.signature.inode, whole=whole)
                continue
            old = before.get(one.name)
            if old is not None and self._index.same_rules and page.is_as_known(one, old, racy_from_ns):
                files[place] = old  # what `_file` would find out too, which is most of the cost of most folders
            elif not self._is_excluded(page, one, is_known=old is not None):
                files[place] = self._file(page, descriptor, one, old, racy_from_ns)
        numbers = pack_signatures(file.found.signature for file in files)
        return self._note(page, self._started_ns, Sight(sight.names, numbers), files)

    def _files_before(self, path: bytes, known: Listing | None) -> dict[bytes, _File]:
        if known is None:
            return {}
        files = zip(known.sight.found(), self._index.contents(path), strict=False)
        return {found.name: _File(found, stored) for found, stored in files if stored is not None}

    def _is_excluded(self, page: _Page, found: Found, *, is_known: bool) -> bool:
        """Whether the rules leave a name out; not if they did not the last time (`is_known`) and are the same."""
        if is_known and self._index.same_rules:
            return False
        return self._ignore.excludes_entry(page.prefix + found.name, directory=stat.S_ISDIR(found.signature.mode))

    def _enter(self, page: _Page, parent: int, name: bytes, mode: int, inode: int, *, whole: bool) -> None:
        """Add a directory to the page; as it is known, if nothing in it has to be looked at."""
        path = page.prefix + name
        old = page.known_folders.get(name)
        whole = whole or old is None or old.inode != inode
        if old is not None and not whole and self._scope is not None and path not in self._scope.on_the_way:
            page.folders.append(old if old.mode == mode else msgspec.structs.replace(old, mode=mode))
            page.remark(name, page.known_left_out.get(name))
            return
        try:
            with open_directory(name, parent=parent) as descriptor:
                _check_folder(descriptor, path)
                summary = self._directory(descriptor, path, whole=whole)
                attributes, note = attributes_of(descriptor)
        except (OSError, LeftOutError) as error:
            self._index.forget(path)
            page.leave_out(name, error)
            return
        page.folders.append(Folder(name, mode, inode, *summary, attributes))
        page.remark(name, note)

    def _file(self, page: _Page, parent: int, found: Found, old: _File | None, racy_from_ns: int) -> _File:
        """Store what is no directory; without content where it is gone by now or cannot be part of the snapshot."""
        if old is not None and self._may_reuse(page, found.signature, old, racy_from_ns):
            page.remark(found.name, page.known_left_out.get(found.name))
            return old
        try:
            return self._read(page, parent, found, old)
        except (OSError, LeftOutError) as error:
            page.leave_out(found.name, error)
            return _File(found, None)

    def _may_reuse(self, page: _Page, now: Signature, old: _File, racy_from_ns: int) -> bool:
        """Whether what is stored for `old` is still right.

        A file of which only ctime moved is read again: with mtime put back, that is all that shows of a rewrite.
        """
        if old.found.signature == now:
            return max(now.mtime_ns, now.ctime_ns) < racy_from_ns
        return self._is_repeated and page.prefix + old.found.name in self.unstable

    def _read(self, page: _Page, parent: int, found: Found, old: _File | None) -> _File:
        name, signature = found
        if len(name) > MAX_NAME:
            raise LeftOutError(f"has a name longer than {MAX_NAME} bytes")
        if stat.S_ISREG(signature.mode):
            captured = self._capture.read_file(parent, page.path, found, old.content if old else None)
            page.remark(name, captured.note)
            if captured.stored.link and not (old and old.stored and old.stored.link == captured.stored.link):
                self._has_new_names = True
            return _File(found if captured.signature is signature else Found(name, captured.signature), captured.stored)
        if stat.S_ISLNK(signature.mode):
            target = os.readlink(name, dir_fd=parent)
            return _File(found, Stored(EntryKind.SYMLINK, len(target), target))
        raise LeftOutError("is not a file, directory or symbolic link")

    def _note(self, page: _Page, noted_ns: int, sight: Sight, files: list[_File]) -> Summary:
        """Store a directory's tree, and have what is known of the directory written."""
        stored = [(file.found, file.stored) for file in files if file.stored is not None]
        entries = [one.as_tree_entry(found.name, found.signature) for found, one in stored]
        entries += [folder.as_tree_entry() for folder in page.folders]
        summary = Summary(
            _put_tree(self._store, entries),
            len(stored) + sum(folder.files for folder in page.folders),
            sum(one.size for _, one in stored) + sum(folder.size for folder in page.folders),
        )
        for path in page.gone():
            self._index.forget(path)
        newest_ns = max((max(found.signature[2:4]) for found, _ in stored), default=0)
        listing = Listing(
            noted_ns=noted_ns,
            newest_ns=NEVER_OLD if page.again else newest_ns,
            summary=summary,
            look=Look.ALWAYS if page.again else _look(stored),
            left_out=page.left_out,
            folders=tuple(page.folders),
            sight=sight,
        )
        self._index.note(page.path, listing, [file.stored for file in files])
        return summary


class _File(Struct, frozen=True):
    """A name in a directory and what is stored for it; None for a directory, and for what is not in the snapshot."""

    found: Found
    stored: Stored | None

    @property
    def content(self) -> FileContent | None:
        """What is stored for a file."""
        if self.stored is None or self.stored.kind is EntryKind.SYMLINK:
            return None
        return FileContent(self.stored.kind, self.stored.content, self.stored.size)


class _Page:
    """What is found out about one directory while it is walked.

    Attributes:
        again: Whether something could not be read that may be readable the next time, though nothing looks different.
    """

    def __init__(self, path: bytes, known: Listing | None) -> None:
        self.path = path
        self.prefix = path + b"/" if path else b""
        self.known_folders = {folder.name: folder for folder in known.folders} if known else {}
        self.known_left_out = known.left_out if known else {}
        self.folders: list[Folder] = []
        self.left_out: dict[bytes, str] = {}
        self.again = False

    def is_as_known(self, found: Found, old: _File, racy_from_ns: int) -> bool:
        """Whether a file looks as it did, so long ago that it is the same, and all of it is stored."""
        _, _, mtime_ns, ctime_ns, _ = found.signature
        is_old = mtime_ns < racy_from_ns and ctime_ns < racy_from_ns
        return is_old and old.found == found and found.name not in self.known_left_out

    def remark(self, name: bytes, note: str | None) -> None:
        """Say what of a name that is part of the snapshot could not be kept."""
        if note is not None:
            self.left_out[name] = note

    def leave_out(self, name: bytes, error: OSError | LeftOutError) -> None:
        """Leave a name out for what happened when it was to be read; what is gone needs no mention."""
        if isinstance(error, LeftOutError):
            self.left_out[name] = str(error)
            self.again |= error.may_end
        elif not isinstance(error, FileNotFoundError):
            self.left_out[name] = f"{UNREADABLE}: {error.strerror}"
            self.again = True

    def gone(self) -> list[bytes]:
        """The paths of the directories that were here and are not any more."""
        return [self.prefix + name for name in self.known_folders.keys() - {folder.name for folder in self.folders}]


def _look(stored: Iterable[tuple[Found, Stored]]) -> Look:
    """Whether a watcher may not see one of these files change: one that is mapped, or has other names."""
    elusive = any(one.link or may_be_mapped(found.name, found.signature.size) for found, one in stored)
    return Look.FOR_MAPPINGS if elusive else Look.WHEN_CHANGED


def _check_folder(descriptor: int, path: bytes) -> None:
    """Refuse a directory that cannot be part of the snapshot."""
    if path.count(b"/") >= MAX_DEPTH:
        raise LeftOutError(f"is more than {MAX_DEPTH} folders deep")
    try:
        os.stat(f"{STATE_DIR}/{PROJECT_FILE}", dir_fd=descriptor)
    except OSError:
        return
    raise LeftOutError("is tracked on its own", may_end=True)  # nearest root wins


def _put_tree(store: ObjectStore, entries: list[TreeEntry]) -> bytes:
    if len(entries) > MAX_ENTRIES:
        raise LeftOutError(f"holds {len(entries)} names, more than {MAX_ENTRIES}")
    data = encode_tree(entries)
    if len(data) > MAX_OBJECT_SIZE:
        raise LeftOutError(f"holds so many names that its list exceeds {MAX_OBJECT_SIZE} bytes")
    return store.put(Kind.TREE, data)


def _with_folders_above(paths: Iterable[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for path in paths:
        one = path
        while one not in found:
            found.add(one)
            one = one.rpartition(b"/")[0]
    return found


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
