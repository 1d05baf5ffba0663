"""The commits of a workspace: page by page, and by the names that people give them.

A commit can be named by its id or a run's id (the first four digits or more will do), by `HEAD` (the newest commit),
and by any of these with `~N` (the commit N before it). Nothing here takes a lock: it reads what has been committed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Self

from committer.storage.index import INDEX
from committer.storage.objects import Kind, decode_commit, decode_run
from committer.storage.reader import resolve
from committer.storage.store import StoreReader
from committer.sync.journal import Journal
from dotscience.errors import NoSuchCommit, NoSuchPath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry
    from committer.sync.journal import CommitRow
    from dotscience.record import Commit

HEAD = "HEAD"
MIN_PREFIX = 4
SHOWN = 5
PAGE = 100
_NAME = re.compile(r"(?P<base>.+?)(?:~(?P<steps>\d{0,9}))?")
_PREFIX = re.compile(r"[0-9a-f-]{4,64}")


class Logged(NamedTuple):
    """A commit of this workspace; `number` grows along its history."""

    id: str
    number: int
    pushed: bool
    commit: Commit


class OverwrittenFile(NamedTuple):
    """An output that was written again before a snapshot could hold it: the commit has a later content."""

    path: str
    run_id: str


class History:
    """Reads one workspace's commits. Belongs to the thread that made it; close it, or use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Open the history in the store `folder`, which must be there; see `open_history`."""
        self.reader = StoreReader(folder)
        try:
            self._journal = Journal(folder)
        except BaseException:
            self.reader.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store."""
        self._journal.close()
        self.reader.close()

    def head(self) -> Logged | None:
        """The newest commit."""
        row = self._journal.head()
        return self._logged(row) if row else None

    def ids(self) -> list[str]:
        """The ids of all commits, oldest first."""
        return [row.id for row in self._journal.commits()]

    def committed_runs(self) -> list[str]:
        """The ids of all runs that are in a commit, oldest first."""
        return self._journal.committed_runs()

    def find_exactly(self, name: str) -> Logged:
        """The commit of this whole id, or that has the run of this id.

        Raises:
            NoSuchCommit: there is none.
        """
        found = self._journal.commit(self._journal.commit_of(name) or name)
        if found is None:
            raise NoSuchCommit(f"no commit and no run is called {name!r}")
        return self._logged(found)

    def before(self, logged: Logged) -> Logged | None:
        """The commit before this one; None for the first."""
        row = self._journal.commit_back(logged.number, 1)
        return self._logged(row) if row else None

    def newest_first(self, *, before: Logged | None = None) -> Iterator[Logged]:
        """Commits, newest first, those older than `before` only; what is not asked for is not read."""
        number = before.number if before else None
        while rows := self._journal.commits_before(number, PAGE):
            yield from map(self._logged, rows)
            number = rows[-1].number

    def changing(self, path: str, *, before: Logged | None = None) -> Iterator[Logged]:
        """As `newest_first`, those only in which something at or below `path` came, went or changed."""
        newer: Logged | None = None
        entry: TreeEntry | None = None
        for logged in self.newest_first(before=before):
            here = self.entry_at(logged, path)
            if newer is not None and entry != here:
                yield newer
            newer, entry = logged, here
        if newer is not None and entry is not None:
            yield newer

    def entry_at(self, logged: Logged, path: str) -> TreeEntry | None:
        """What a commit has at `path`, without its name; None where it has nothing."""
        try:
            return resolve(self.reader, logged.commit.root, path)
        except NoSuchPath:
            return None

    def overwritten(self, logged: Logged, name: str) -> list[OverwrittenFile]:
        """The outputs of a commit's runs of which it has a later content than theirs, sorted.

        Of one run only, where `name`, by which the commit was found, is that of a run.
        """
        return overwritten_files(self.reader, logged.commit, name)

    def find(self, name: str) -> Logged:
        """The commit that `name` means.

        Raises:
            NoSuchCommit: nothing is called that, several things are, or the run has no commit yet.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise NoSuchCommit(f"{name!r} names no commit")
        row = self._base(match["base"])
        steps = int(match["steps"] or 1) if match["steps"] is not None else 0
        found = self._journal.commit_back(row.number, steps)
        if found is None:
            raise NoSuchCommit(f"{name!r} is before the first commit; `ds log` lists them")
        return self._logged(found)

    def _base(self, name: str) -> CommitRow:
        if name == HEAD:
            return self._required_head()
        prefix = name.lower()
        if not _PREFIX.fullmatch(prefix):
            raise NoSuchCommit(f"{name!r} names no commit: give {MIN_PREFIX} or more digits of a commit's or run's id")
        commits = {row.id: row for row in self._journal.commits_named(prefix, SHOWN)}
        for run_id, commit in self._journal.runs_named(prefix, SHOWN):
            if commit is None and not commits:
                raise NoSuchCommit(f"the run {run_id} is not in a commit yet; `ds snapshot` makes one")
            if commit is not None and (row := self._journal.commit(commit)) is not None:
                commits[row.id] = row
        if len(commits) == 1:
            return next(iter(commits.values()))
        if commits:
            raise NoSuchCommit(f"{name!r} is the beginning of several ids: {', '.join(commits)}; give more digits")
        raise NoSuchCommit(f"no commit and no run of this workspace is called {name!r}; `ds log` lists them")

    def _required_head(self) -> CommitRow:
        row = self._journal.head()
        if row is None:
            raise NoSuchCommit("there is no commit yet; `ds snapshot` makes one")
        return row

    def _logged(self, row: CommitRow) -> Logged:
        name = bytes.fromhex(row.id)
        return Logged(row.id, row.number, row.pushed, decode_commit(self.reader.get(name, Kind.COMMIT)))


def overwritten_files(reader: Reader, commit: Commit, name: str) -> list[OverwrittenFile]:
    """As `History.overwritten`, of a commit in any store."""
    named = [run for run in commit.runs if run[0].startswith(name.lower())]
    records = (decode_run(reader.get(content)) for _, content in named or commit.runs)
    return sorted(
        OverwrittenFile(file.path, record.run_id) for record in records for file in record.outputs if file.overwritten
    )


def open_history(folder: Path) -> History:
    """The history in the store `folder`.

    Raises:
        NoSuchCommit: there is no store.
    """
    if not (folder / INDEX).is_file():
        raise NoSuchCommit("there is no commit yet; `ds snapshot` makes one")
    return History(folder)
