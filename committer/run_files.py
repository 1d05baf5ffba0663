"""Completing a run's record from the commit that holds it: which content its files had for the run.

A hash is only ever that of the run's own content. Where the run's capture does not say what it was, the file in the
commit's tree must look as it did for the run; else the hash is absent, and the record says why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from committer.captured_files import NOTHING, RunFiles, split
from committer.storage.reader import Reader, list_directory
from committer.storage.tree import TreeEntry
from committer.sync.journal import RunRow
from dotscience.errors import CorruptObject, MissingObject, NoSuchPath
from dotscience.file_signature import TICK_NS, FileSignature
from dotscience.record import FileRef, RunRecord
from dotscience.record_limits import fit


class CommitTree:
    """Finds files in a commit's tree; directories are decoded once."""

    def __init__(self, reader: Reader, root: bytes) -> None:
        self._reader = reader
        self._root = root
        self._directories: dict[str, dict[bytes, TreeEntry]] = {}

    def find(self, path: str) -> TreeEntry | None:
        """The entry at `path`, or None where the tree has none, or cannot be read there."""
        folder, _, name = path.rpartition("/")
        if folder not in self._directories:
            try:
                entries = list_directory(self._reader, self._root, folder)
            except (NoSuchPath, MissingObject, CorruptObject):
                entries = ()
            self._directories[folder] = {entry.name: entry for entry in entries}
        return self._directories[folder].get(name.encode("utf-8", "surrogateescape"))


class KnownContents:
    """The contents that files had in earlier states, by what the files looked like then."""

    def __init__(self, captured: Iterable[RunFiles], history: Callable[[], Iterable[CommitTree]]) -> None:
        """`captured` are the runs that are committed together, `history` the trees of earlier commits, newest first."""
        self._captured = {
            (path, _signature(entry)): entry
            for files in captured
            for path, entry in files.held.items()
            if entry.is_file
        }
        self._history = history

    def find(self, path: str, signature: FileSignature) -> TreeEntry | None:
        """The file at `path` when it looked like this, or None where nobody knows it."""
        entry = self._captured.get((split(path), signature))
        if entry is not None:
            return entry
        earlier = (tree.find(path) for tree in self._history())
        return next((one for one in earlier if one is not None and one.is_file and _signature(one) == signature), None)


class RunFinalizer:
    """Completes the records of one commit's runs."""

    def __init__(
        self,
        root: Path,
        tree: CommitTree,
        known: KnownContents,
        environments: dict[str, str],
        last_writers: dict[str, int],
    ) -> None:
        """`environments` are object hashes by id; `last_writers` has the last run (its `seq`) that names an output."""
        self._root = root
        self._tree = tree
        self._known = known
        self._environments = environments
        self._last_writers = last_writers

    def finalize(self, row: RunRow, files: RunFiles, *, notebook_stale: bool) -> RunRecord:
        """The record as it is committed."""
        record = row.record
        ended_ns = int(record.ended_at.timestamp() * 1e9) if record.ended_at else None
        environment = self._environments.get(record.environment) if record.environment else None
        missing = record.environment is not None and environment is None
        record, _ = fit(record)
        return msgspec.structs.replace(
            record,
            inputs=[self._input(file, files, ended_ns) for file in record.inputs],
            outputs=[self._output(file, files, ended_ns, row.seq) for file in record.outputs],
            workload_file=record.workload_file or row.notebook,
            notebook_stale=notebook_stale,
            environment=environment,
            warnings=[*record.warnings, *(["the environment of this run was not recorded"] if missing else [])],
        )

    def with_observed(self, record: RunRecord) -> RunRecord:
        """A record whose files were only seen to have changed: their contents are those of the tree."""
        record, _ = fit(record)
        outputs = [self._output(file, NOTHING, None, 0) for file in record.outputs]
        return msgspec.structs.replace(record, outputs=outputs)

    def _input(self, file: FileRef, files: RunFiles, ended_ns: int | None) -> FileRef:
        """A reference to another dot or commit says itself what it means."""
        if file.outside or file.dot is not None:
            return file
        entry, read = self._find(file.path), files.read.get(file.path)
        if read is None:
            if entry is None:
                return self._without_content(file)
            newer = ended_ns is not None and entry.mtime_ns > ended_ns
            return msgspec.structs.replace(file, changed_after_read=True) if newer else _with(file, entry)
        if entry is not None and _signature(entry) == read:
            return _with(file, entry)
        known = self._known.find(file.path, read)
        changed = msgspec.structs.replace(file, changed_after_read=entry is not None, missing=False)
        return _with(changed, known) if known is not None else changed

    def _output(self, file: FileRef, files: RunFiles, ended_ns: int | None, seq: int) -> FileRef:
        if file.outside or file.dot is not None:
            return file
        held = files.held.get(split(file.path))
        if held is not None:
            return _with(file, held) if held.is_file else file
        entry, seen = self._find(file.path), files.seen.get(file.path)
        if entry is None:
            return self._without_content(file)
        if not file.observed and self._may_be_later(file.path, entry, seen, ended_ns, seq):
            return msgspec.structs.replace(file, overwritten=True)
        return _with(file, entry)

    def _may_be_later(
        self, path: str, entry: TreeEntry, seen: FileSignature | None, ended_ns: int | None, seq: int
    ) -> bool:
        """Whether the file may have been written again after the run: known by its look, else told by its time.

        Kernels stamp files with a clock that is up to a tick behind, so the time alone cannot tell for the last one.
        """
        if seen is not None:
            return _signature(entry) != seen
        if ended_ns is None:
            return False
        is_last = self._last_writers.get(path, seq) <= seq
        return entry.mtime_ns > (ended_ns if is_last else ended_ns - TICK_NS)

    def _find(self, path: str) -> TreeEntry | None:
        entry = self._tree.find(path)
        return entry if entry is not None and entry.is_file else None

    def _without_content(self, file: FileRef) -> FileRef:
        return msgspec.structs.replace(file, missing=not self._exists(file.path))

    def _exists(self, path: str) -> bool:
        """Whether something is there that the snapshot leaves out; a path that leads outside is not looked at."""
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            return False
        try:
            return os.path.lexists(self._root / path)
        except (OSError, ValueError):
            return False


def _with(file: FileRef, entry: TreeEntry) -> FileRef:
    return msgspec.structs.replace(file, content_hash=entry.content.hex(), size=entry.size, missing=False)


def _signature(entry: TreeEntry) -> FileSignature:
    return FileSignature(entry.size, entry.mtime_ns)
