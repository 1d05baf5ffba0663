"""What differs between two commits, and how a file or notebook differs.

Both have budgets: whoever may push may push what is expensive to compare.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Literal
from urllib.parse import quote_from_bytes

import msgspec

from committer.bounded_diff import Budget, unified_diff
from committer.notebook_diff import CellChange, diff_notebooks
from committer.storage.diff import Change, diff
from committer.storage.reader import Reader, read_file, resolve
from committer.storage.tree import EntryKind, TreeEntry
from dotscience.errors import NoSuchPath, NotebookError, TooDifferent
from hub_server.content.packs import Packs
from hub_server.domain.problems import not_found
from hub_server.domain.types import CommitDiff, CommitInfo, FileChange, FileDiff, NotebookCell
from hub_server.services.read_budget import BudgetedReader, BudgetSpent, ReadBudget, lookup_reader
from hub_server.services.snapshots import Snapshot, open_snapshot
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef
from hub_server.thread_pool import ThreadPool

MAX_CHANGES = 2_000
MAX_ENTRIES = 1_000_000
MAX_FOLDER_BYTES = 128 * 2**20
MAX_S = 5.0
"""What comparing two commits may take; what was found until then is answered."""
MAX_TEXT_BYTES = 256 * 2**10
MAX_TEXT_LINES = 4_000
MAX_NOTEBOOK_BYTES = 4 * 2**20
SNIFFED_BYTES = 8_192

KINDS: dict[EntryKind, Literal["file", "directory", "symlink"]] = {
    EntryKind.FILE: "file",
    EntryKind.CHUNKED_FILE: "file",
    EntryKind.DIRECTORY: "directory",
    EntryKind.SYMLINK: "symlink",
}


class Diffs:
    """Compares commits of a project. Belongs to the event loop."""

    def __init__(self, database: Database, packs: Packs, workers: ThreadPool) -> None:
        """The `workers` are nobody else's: comparisons keep nothing but each other waiting."""
        self._database = database
        self._packs = packs
        self._workers = workers

    async def commits(self, project: ProjectRef, commit: bytes, against: bytes | None) -> CommitDiff:
        """What differs from `against`, or from the commit's first parent: what is found within bounds, of any order.

        These are 2,000 paths, and what reading the folders may take.

        Raises:
            Problem: not-found.
        """
        _, root, source = now = await self._open(project, commit)
        before = await self._before(project, now, against)
        earlier = None if before is None else before[1]
        changes, is_whole = await self._workers.run(lambda: _changes(source, earlier, root))
        name = None if before is None else before[0].hex()
        return CommitDiff(before=name, after=commit.hex(), changes=changes, is_whole=is_whole)

    async def file(self, project: ProjectRef, commit: bytes, against: bytes | None, path: str) -> FileDiff:
        """How a file differs; one that is on one side only differs from an empty one.

        Raises:
            Problem: not-found, for a commit or for a file that neither commit has; too-expensive.
        """
        _, root, source = now = await self._open(project, commit)
        before = await self._before(project, now, against)
        earlier = None if before is None else before[1]
        found = await self._workers.run(lambda: _compare(lookup_reader(source), earlier, root, path))
        if found is None:
            raise not_found("file", path)
        return found

    async def _before(self, project: ProjectRef, now: Snapshot, against: bytes | None) -> tuple[bytes, bytes] | None:
        """Name and tree of what a commit is compared with, if with anything."""
        parents = msgspec.json.decode(now.info, type=CommitInfo).parents
        if against is None and parents:
            against = bytes.fromhex(parents[0])
        return None if against is None else (against, (await self._open(project, against)).root)

    async def _open(self, project: ProjectRef, commit: bytes) -> Snapshot:
        return await open_snapshot(self._database, self._packs, project, commit)


def _changes(source: Reader, before: bytes | None, after: bytes) -> tuple[list[FileChange], bool]:
    """The changes by path, and whether that is all."""
    budget = ReadBudget(entries=MAX_ENTRIES, size=MAX_FOLDER_BYTES, seconds=MAX_S)
    found: list[Change] = []
    changes = diff(BudgetedReader(source, budget), before, after, spend=lambda count: budget.spend(entries=count))
    with suppress(BudgetSpent):
        found.extend(islice(changes, MAX_CHANGES))
        is_whole = next(changes, None) is None
        return _by_path(found), is_whole
    return _by_path(found), False


def _by_path(changes: list[Change]) -> list[FileChange]:
    return [_file_change(change) for change in sorted(changes, key=lambda change: change.path)]


def _file_change(change: Change) -> FileChange:
    entry = change.after or change.before
    path = change.path.decode("utf-8", "replace")
    return FileChange(
        path=path,
        quoted_path=None if path.encode() == change.path else quote_from_bytes(change.path),
        change="added" if change.before is None else "removed" if change.after is None else "changed",
        kind=KINDS[entry.kind] if entry is not None else "file",
        only_mode=not change.is_content,
        size_before=_size(change.before),
        size_after=_size(change.after),
    )


def _size(entry: TreeEntry | None) -> int | None:
    return entry.size if entry is not None and entry.is_file else None


def _compare(source: Reader, before: bytes | None, after: bytes, path: str) -> FileDiff | None:
    one = None if before is None else _find(source, before, path)
    other = _find(source, after, path)
    if one is None and other is None:
        return None
    if one is not None and other is not None and one.content == other.content:
        return FileDiff(path=path, kind="same")
    sizes = [entry.size for entry in (one, other) if entry is not None]
    if max(sizes) > (MAX_NOTEBOOK_BYTES if path.endswith(".ipynb") else MAX_TEXT_BYTES):
        return FileDiff(path=path, kind="too-large")
    try:
        return _compare_contents(path, _read(source, one), _read(source, other))
    except TooDifferent:
        return FileDiff(path=path, kind="too-large")


def _compare_contents(path: str, before: bytes | None, after: bytes | None) -> FileDiff:
    if path.endswith(".ipynb") and before is not None and after is not None:
        try:
            cells = [_cell(change) for change in diff_notebooks(before, after)]
        except NotebookError:
            pass  # then it is a text like any other
        else:
            return FileDiff(path=path, kind="notebook", cells=cells)
    if any(b"\0" in content[:SNIFFED_BYTES] for content in (before, after) if content is not None):
        return FileDiff(path=path, kind="binary")
    old, new = _lines(before), _lines(after)
    if max(len(old), len(new)) > MAX_TEXT_LINES:
        return FileDiff(path=path, kind="too-large")
    return FileDiff(path=path, kind="text", lines=unified_diff(old, new, Budget()))


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").splitlines()


def _cell(change: CellChange) -> NotebookCell:
    return NotebookCell(
        kind=change.kind,
        cell_type=change.cell_type,
        before=change.before,
        after=change.after,
        lines=change.source,
        outputs=change.outputs,
    )


def _find(source: Reader, root: bytes, path: str) -> TreeEntry | None:
    try:
        entry = resolve(source, root, path)
    except NoSuchPath:
        return None
    return entry if entry.is_file else None


def _read(source: Reader, entry: TreeEntry | None) -> bytes | None:
    return None if entry is None else b"".join(read_file(source, entry))
