"""Reading runs' captures: what the library held of a run's files when it was published.

The capture is in the workspace, where anybody may have written to it. Nothing of it is taken that the run's record does
not name, that a snapshot would not hold, or that is not the content which the manifest describes. Whatever is wrong
with one only means that less is known about that run's files.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from committer.detect.sidecars import read_regular
from committer.detect.sighting import is_inside
from committer.log import get_logger
from committer.storage.codec import HASH_SIZE, MAX_SIZE
from committer.storage.ingest import FileIngest
from committer.storage.store import ObjectStore
from committer.storage.tree import MAX_TARGET, EntryKind, TreeEntry
from committer.storage.tree_edit import Path as TreePath
from dotscience.capture_manifest import (
    MANIFEST_FILE,
    VERSION,
    CapturedFile,
    CaptureManifest,
    captures_folder,
)
from dotscience.file_signature import FileSignature
from dotscience.record import RunRecord

log = get_logger(__name__)

ABANDONED_AFTER_S = 25 * 3600.0
"""A capture without a sidecar is that of a publish that was killed, unless it is still being made."""


class RunFiles(Struct, frozen=True, kw_only=True):
    """What is known of a run's files as the run had them.

    `held` are outputs whose content is in the store, `folders` outputs that were named as folders: the run left nothing
    in them but its outputs. `seen` has the signatures of outputs that were not held, `read` those of inputs.
    """

    held: dict[TreePath, TreeEntry] = {}
    folders: frozenset[TreePath] = frozenset()
    seen: dict[str, FileSignature] = {}
    read: dict[str, FileSignature] = {}


NOTHING = RunFiles()


class CaptureReader:
    """Takes captures into a store; what was taken is durable with the store's next commit. Belongs to its thread."""

    def __init__(self, root: Path, store: ObjectStore, ingest: FileIngest, excludes: Callable[[bytes], bool]) -> None:
        """`excludes` says of a path below `root` whether snapshots leave it out."""
        self._root = root
        self._store = store
        self._ingest = ingest
        self._excludes = excludes
        self._own_roots: dict[str, bool] = {}

    def read(self, record: RunRecord) -> RunFiles:
        """What a run's capture has of the files that its record names; nothing where there is none.

        Raises:
            DiskFull: there is no room for it. What was put since the last commit has been dropped.
        """
        folder = capture_folder(self._root, record.run_id)
        manifest = _read_manifest(folder) if folder else None
        if folder is None or manifest is None:
            return NOTHING
        outputs = {file.path for file in record.outputs if not file.outside}
        inputs = {file.path for file in record.inputs if not file.outside}
        captured = [file for file in manifest.outputs if file.path in outputs and self._may_hold(file.path)]
        held = {split(file.path): entry for file in captured if (entry := self._take(folder, file)) is not None}
        return RunFiles(
            held=held,
            folders=frozenset(split(path) for path in manifest.folders if is_plain(path)),
            seen={
                file.path: FileSignature(file.size, file.mtime_ns)
                for file in captured
                if split(file.path) not in held and file.target is None
            },
            read={one.path: FileSignature(one.size, one.mtime_ns) for one in manifest.inputs if one.path in inputs},
        )

    def _may_hold(self, path: str) -> bool:
        return is_plain(path) and not self._excludes(os.fsencode(path)) and not self._is_tracked_apart(path)

    def _is_tracked_apart(self, path: str) -> bool:
        """Whether a folder on the way has a root of its own, or is a link: then it is not this workspace's file."""
        folder = path.rpartition("/")[0]
        if not folder:
            return False
        if folder not in self._own_roots:
            place = self._root / folder
            apart = (place / ".dotscience" / "project.toml").is_file() or place.is_symlink()
            self._own_roots[folder] = apart or self._is_tracked_apart(folder)
        return self._own_roots[folder]

    def _take(self, folder: Path, file: CapturedFile) -> TreeEntry | None:
        """The captured file as a tree has it, its content in the store; None where the content is not known."""
        name = os.fsencode(file.path.rpartition("/")[2])
        mode, time_ns = file.mode & 0o7777, max(-MAX_SIZE, min(file.mtime_ns, MAX_SIZE))
        if file.target is not None:
            target = os.fsencode(file.target)
            if not 0 < len(target) <= MAX_TARGET or b"\0" in target:
                return None
            return TreeEntry(name, EntryKind.SYMLINK, mode, len(target), time_ns, target)
        content = self._stored(file) if file.content is not None else self._put(folder, file)
        return content and TreeEntry(name, content[0], mode, file.size, time_ns, content[1])

    def _stored(self, file: CapturedFile) -> tuple[EntryKind, bytes] | None:
        """What the committer itself has stored for the library."""
        try:
            content = bytes.fromhex(file.content or "")
        except ValueError:
            return None
        if len(content) != HASH_SIZE or not self._store.has(content):
            return None
        return (EntryKind.CHUNKED_FILE if file.is_chunked else EntryKind.FILE), content

    def _put(self, folder: Path, file: CapturedFile) -> tuple[EntryKind, bytes] | None:
        if file.file is None or not file.file.isdigit():
            return None
        try:
            with _open_captured(folder / file.file, file.size) as descriptor:
                content = self._ingest.put(descriptor, file.size)
        except OSError as error:
            log.warning("capture.unreadable", path=file.path, error=str(error))
            return None
        return (content.kind, content.hash) if content.size == file.size else None


def capture_folder(root: Path, run_id: str) -> Path | None:
    """Where a run's capture is, if there is one; None for an id that is no UUID, which no library has chosen."""
    try:
        return captures_folder(root) / str(UUID(run_id))
    except ValueError:
        return None


def remove_captures(root: Path, run_ids: Collection[str]) -> None:
    """Remove the captures of runs that are in a commit; idempotent."""
    for run_id in run_ids:
        folder = capture_folder(root, run_id)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(root: Path, wanted: Collection[str]) -> None:
    """Remove the captures that no run in `wanted` has, unless a publish may still be making them.

    None makes them for an hour, but the clock may have been set by a day meanwhile.
    """
    now = time.time()
    with suppress(FileNotFoundError), os.scandir(captures_folder(root)) as entries:
        for entry in entries:
            age_s = now - entry.stat(follow_symlinks=False).st_mtime
            if entry.name not in wanted and abs(age_s) >= ABANDONED_AFTER_S:
                shutil.rmtree(entry.path, ignore_errors=True)


def is_plain(path: str) -> bool:
    """Whether a path that somebody wrote down can be one of a snapshot."""
    names = path.split("/")
    return is_inside(path) and "" not in names and "." not in names and ".dotscience" not in map(str.casefold, names)


def split(path: str) -> TreePath:
    """The names in a path."""
    return tuple(os.fsencode(path).split(b"/"))


def _read_manifest(folder: Path) -> CaptureManifest | None:
    try:
        manifest = msgspec.json.decode(read_regular(folder / MANIFEST_FILE), type=CaptureManifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("capture.manifest_unreadable", folder=str(folder), error=str(error))
        return None
    return manifest if manifest.version == VERSION else None


@contextmanager
def _open_captured(path: Path, size: int) -> Iterator[int]:
    """A captured content, open.

    Raises:
        OSError: it is not what was captured: gone, no file, or cut short by a power cut.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            raise OSError(f"{path} has {status.st_size} bytes, not the {size} that were captured")
        yield descriptor
    finally:
        os.close(descriptor)
