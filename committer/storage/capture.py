"""Reading one file of a snapshot while others may be writing to it.

A file whose size or times moved while it was read is read again, up to three times; if it never holds still, what was
read is stored and the file is called unstable. One that a view can freeze is read from its still copy.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from msgspec import Struct

from committer.storage.ingest import SMALL_FILE
from committer.storage.stat_index import Stored
from committer.storage.tree import MAX_XATTRS, Attribute
from committer.workspace.attributes import read_attributes
from committer.workspace.stat import (
    FILE_FLAGS,
    GRANULARITY_NS,
    MAX_NUMBER,
    Found,
    Signature,
    is_as,
    may_be_mapped,
    open_below,
    open_file,
    settle,
    signature_of,
)

if TYPE_CHECKING:
    from committer.storage.ingest import FileContent, FileIngest
    from committer.workspace.source import Frozen, View

ATTEMPTS = 4
FREEZE_FROM = 8 * 2**20
"""Bytes from which on a still copy is worth a few system calls: reading less costs no more than cloning it does."""

TOO_MANY_ATTRIBUTES = f"has more than {MAX_XATTRS} bytes of extended attributes, which are left out"


class LeftOutError(Exception):
    """Something cannot be part of the snapshot; the text says why.

    `may_end` is whether that can change while nothing that a snapshot compares does.
    """

    def __init__(self, reason: str, *, may_end: bool = False) -> None:
        super().__init__(reason)
        self.may_end = may_end


class Captured(Struct, frozen=True):
    """A file as it was read; `note` says what of it could not be kept."""

    signature: Signature
    stored: Stored
    note: str | None


class Capture:
    """Reads the files of one snapshot into a store.

    Attributes:
        unstable: The paths of those that did not hold still.
    """

    def __init__(self, ingest: FileIngest, view: View, started_ns: int) -> None:
        """`started_ns` is when the snapshot began (Unix time)."""
        self._ingest = ingest
        self._view = view
        self._restless_from_ns = started_ns - GRANULARITY_NS
        self._restless: dict[bytes, dict[bytes, Signature]] = {}
        self.unstable: set[bytes] = set()

    def read_file(self, parent: int, folder: bytes, found: Found, known: FileContent | None) -> Captured:
        """Store the file `found` in the directory `folder`, which is open as `parent`.

        `known` is the content that it had in the last commit, if it was there.

        Raises:
            LeftOutError: it is no file any more.
            OSError: it is gone or cannot be read.
        """
        path = folder + b"/" + found.name if folder else found.name
        self.unstable.discard(path)
        as_found = self._read_at_once(parent, found)
        if as_found is not None:
            self._watch(folder, found.name, as_found.signature)
            return as_found
        for _ in range(ATTEMPTS):
            with open_file(found.name, parent=parent) as descriptor:
                settle(descriptor, found.name, found.signature.size)
                captured, is_still = self._read_open(descriptor, known)
            if is_still:
                self._watch(folder, found.name, captured.signature)
                return captured
        self.unstable.add(path)
        return captured

    def moved(self, root: int) -> dict[bytes, set[bytes]]:
        """The files that changed since they were read, by directory, among those that were changing shortly before.

        They are not reported again unless they are read again. `root` is the open root.
        """
        moved = {}
        for folder, files in self._restless.items():
            names = _changed(root, folder, files)
            if names:
                moved[folder] = names
        for folder, names in moved.items():
            for name in names:
                del self._restless[folder][name]
        return moved

    def _read_at_once(self, parent: int, found: Found) -> Captured | None:
        """A small file that is as it was found, as nearly all are, in as few steps as can tell that; else None."""
        name, signature = found
        size = signature.size
        if size > SMALL_FILE or may_be_mapped(name, size):
            return None
        try:
            descriptor = os.open(name, FILE_FLAGS, dir_fd=parent)
        except OSError:
            return None
        try:
            attributes, note = attributes_of(descriptor)
            data = os.pread(descriptor, size + 1, 0)
            status = os.fstat(descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        if len(data) != size or not is_as(status, signature):
            return None
        content = self._ingest.put_bytes(data)
        return Captured(signature, _stored(content, status, attributes), note)

    def _read_open(self, descriptor: int, known: FileContent | None) -> tuple[Captured, bool]:
        """What an open file held, and whether it held still."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise LeftOutError("changed its type while the folder was read")
        before = signature_of(status)
        attributes, note = attributes_of(descriptor)
        frozen = self._freeze(descriptor, known) if before.size >= FREEZE_FROM else None
        if frozen is not None:
            size = os.fstat(frozen.descriptor).st_size
            content = self._ingest.put(frozen.descriptor, size, known, frozen.changed)
            self._view.keep(frozen, content.hash)
            is_still = True
        else:
            content = self._ingest.put(descriptor, before.size, known)
            is_still = content.size == before.size and before == signature_of(os.fstat(descriptor))
        return Captured(before, _stored(content, status, attributes), note), is_still

    def _freeze(self, descriptor: int, known: FileContent | None) -> Frozen | None:
        return self._view.freeze(descriptor, known.hash if known else None)

    def _watch(self, folder: bytes, name: bytes, signature: Signature) -> None:
        if signature.ctime_ns >= self._restless_from_ns:
            self._restless.setdefault(folder, {})[name] = signature


def _stored(content: FileContent, status: os.stat_result, attributes: tuple[Attribute, ...]) -> Stored:
    link = status.st_ino & MAX_NUMBER if status.st_nlink > 1 else 0
    return Stored(content.kind, content.size, content.hash, link, attributes)


def attributes_of(descriptor: int) -> tuple[tuple[Attribute, ...], str | None]:
    """The extended attributes of an open file or directory, and a note where there are more than a tree can hold."""
    found = read_attributes(descriptor)
    if not found:
        return (), None
    if sum(len(name) + len(value) for name, value in found) > MAX_XATTRS:
        return (), TOO_MANY_ATTRIBUTES
    return tuple(Attribute(name, value) for name, value in found), None


def _changed(root: int, folder: bytes, files: dict[bytes, Signature]) -> set[bytes]:
    """Those of the files in a directory below `root` that do not look like this any more."""
    try:
        with open_below(root, folder) as parent:
            return {name for name, signature in files.items() if _signature_in(parent, name) != signature}
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return set(files)


def _signature_in(parent: int, name: bytes) -> Signature | None:
    try:
        return signature_of(os.stat(name, dir_fd=parent, follow_symlinks=False))
    except OSError:
        return None
