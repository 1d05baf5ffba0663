"""The runs of a commit that came without a snapshot: their files are those that were uploaded before it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from committer.storage.reader import Reader, resolve
from committer.storage.tree import TreeEntry
from committer.storage.tree_edit import TreeEdit
from dotscience.errors import NoSuchPath, PathTaken
from dotscience.record import FileRef, RunRecord
from hub_server.content.paths import Path, split_key
from hub_server.domain.problems import Problem
from hub_server.services.deposits import Deposit


def place_outputs(edit: TreeEdit, reader: Reader, deposit: Deposit, runs: Sequence[RunRecord]) -> None:
    """Have the tree hold the runs' outputs as they were uploaded, and where the runs say that they are.

    The original's client packs all outputs into an archive that is unpacked in the folder of the model, those outside
    of that folder too, so that they end up elsewhere than the run says. What somebody else has put in the place of an
    upload meanwhile is theirs and in their commit; this one has what was uploaded for it.
    """
    if deposit.root is None:
        return
    found = [_uploaded(reader, deposit, path) for path in dict.fromkeys(output_paths(runs))]
    moves = [one for one in found if one is not None]
    misplaced = [place for path, place, _ in moves if place != path]
    for place in misplaced:
        edit.remove(place)
    for folder in sorted({parent for place in misplaced for parent in _folders_above(place)}, key=len, reverse=True):
        edit.remove_if_empty(folder)
    for path, place, entry in moves:
        try:
            edit.put(path, entry)
        except PathTaken:  # something of another kind is there: the file stays where it was unpacked
            edit.put(place, entry)


def with_files(record: RunRecord, edit: TreeEdit) -> RunRecord:
    """The record with its files looked up in the tree."""
    return msgspec.structs.replace(record, outputs=[_look_up(edit, file) for file in record.outputs])


def output_paths(runs: Sequence[RunRecord]) -> list[Path]:
    """The paths of all outputs that a workspace can hold."""
    paths = [_path(file) for run in runs for file in run.outputs]
    return [path for path in paths if path is not None]


def _uploaded(reader: Reader, deposit: Deposit, path: Path) -> tuple[Path, Path, TreeEntry] | None:
    """The output's path, the place at which it was uploaded, and what was."""
    unpacked = (folder + path for folder in reversed(deposit.folders) if folder + path in deposit.names)
    place = path if path in deposit.names else next(unpacked, None)
    if place is None or deposit.root is None:
        return None
    try:
        entry = resolve(reader, deposit.root, b"/".join(place).decode("utf-8", "surrogateescape"))
    except NoSuchPath:
        return None
    return (path, place, entry) if entry.is_file else None


def _folders_above(path: Path) -> list[Path]:
    """The folders that hold what is at a path."""
    return [path[:depth] for depth in range(1, len(path))]


def _look_up(edit: TreeEdit, file: FileRef) -> FileRef:
    path = _path(file)
    if file.outside:
        return file
    entry = edit.find(path) if path else None
    if entry is None or not entry.is_file:
        return msgspec.structs.replace(file, missing=entry is None)
    return msgspec.structs.replace(file, content_hash=entry.content.hex(), size=entry.size)


def _path(file: FileRef) -> Path | None:
    try:
        return None if file.outside else split_key(file.path)
    except Problem:
        return None
