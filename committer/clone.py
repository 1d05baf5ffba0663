"""Making a tracked folder of a project on a hub: its history, the newest commit's files, and the binding to the hub.

Directories, commits and runs of the whole history are stored here, of contents those of the newest commit; the others
are named as if they had been dropped to make room, so that whoever reads them gets them from the hub.

While this goes on, the folder holds `.dotscience/clone.json`, which says of what it is a clone. Each step can be
repeated, and the project file, which makes the folder a workspace, is written last: an interrupted clone is none yet,
and the same clone again goes on from there.
"""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from committer.identity import bind_journal, set_aside_other_dot, store_folder
from committer.initialise import begin_tracking, refusal
from committer.storage import index
from committer.storage.census import census_that_fits
from committer.storage.checkout import write_snapshot
from committer.storage.codec import is_hex_digest
from committer.storage.objects import Kind, decode_commit, decode_run
from committer.storage.reader import root_entry
from committer.storage.store import ObjectStore
from committer.storage.target import Origin, finish, open_target
from committer.sync.journal import CommitEntry, Journal, record_history
from committer.sync.object_download import ObjectDownload, blobs_below, fetch_inner
from dotscience.client.problems import not_a_hub
from dotscience.errors import CorruptObject, MissingObject, WorkspaceError
from dotscience.workspace import STATE_DIR, HubBinding, Workspace, is_root, read_project, write_durably

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from committer.settings import CommitterSettings
    from committer.storage.placing import Problem
    from committer.sync.journal import Source
    from dotscience.client.hub import HubClient, Project
    from dotscience.record import Commit, RunRecord

    Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
    """Shows how a step goes on: gives a function that is told how much of how much is done."""

MARK = "clone.json"
SAVED_EVERY = 64 * 2**20
"""Bytes after which what was fetched is made durable, so that an interrupted clone does not fetch it again."""
COMMITS_PAGE = 200
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Cloned(NamedTuple):
    """What a clone has made. `is_newest` is false where the project went on since an earlier attempt began."""

    workspace: Workspace
    commit: str
    is_newest: bool
    commits: int
    runs: int
    files: int
    size: int
    problems: list[Problem]


class _Mark(Struct, frozen=True, kw_only=True):
    """What a folder is becoming a clone of; from `is_writing` on it stays with this commit."""

    url: str
    project_id: str
    commit: str
    is_writing: bool = False


def clone(
    hub: HubClient,
    project: Project,
    folder: Path,
    settings: CommitterSettings,
    *,
    bar: Bar,
    ready: Callable[[Workspace], None],
) -> Cloned:
    """Make `folder`, which is empty or missing, or was left by an interrupted clone of the project, a clone of it.

    `ready` is called when everything is here, before the clone counts as finished.

    Raises:
        WorkspaceError: the folder holds something else, or should not be tracked; or the project has no commit yet.
        HubError: the hub does not answer, or refuses.
        SnapshotError: what the hub has is damaged or missing, or there is no room for it.
    """
    if project.head is None or project.dot_id is None:
        raise WorkspaceError(f"the project {project.name!r} has no commit yet, so there is nothing to clone")
    if not (is_hex_digest(project.head) and _UUID.fullmatch(project.dot_id)):
        raise not_a_hub(hub.url)
    mark = _begin(folder, _Mark(url=hub.url, project_id=project.id, commit=project.head))
    workspace = Workspace(
        root=folder,
        dot_id=project.dot_id,
        initialised_at=datetime.now(UTC),
        hub=HubBinding(url=hub.url, project_id=project.id, project_name=project.name),
    )
    if is_root(folder):
        workspace = read_project(folder)
    store_path = store_folder(workspace, settings.state_dir)
    set_aside_other_dot(workspace, store_path)
    with ObjectStore(store_path, min_free_bytes=settings.min_free_bytes) as store:
        step = _Clone(ObjectDownload(hub, workspace.dot_id), store, workspace, mark, bar)
        cloned = step.run(hub.commits(project.id, page=COMMITS_PAGE))
    begin_tracking(workspace, settings.state_dir)
    ready(workspace)
    (folder / STATE_DIR / MARK).unlink()
    return cloned._replace(is_newest=mark.commit == project.head)


def is_unfinished(folder: Path) -> bool:
    """Whether a clone into this folder was begun and not brought to its end."""
    return _read_mark(folder) is not None


def _begin(folder: Path, wanted: _Mark) -> _Mark:
    """Mark the folder; what it is marked for from here on.

    Raises:
        WorkspaceError: see `clone`.
    """
    reason = refusal(folder, Path.home())
    if reason is not None:
        raise WorkspaceError(f"{reason}; clone into a folder of its own")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        begun = _read_mark(folder)
        if begun is None:
            _require_empty(folder)
        elif (begun.url, begun.project_id) != (wanted.url, wanted.project_id):
            raise WorkspaceError(f"{folder} holds an unfinished clone of another project; remove it first")
        elif begun.is_writing:
            return begun
        (folder / STATE_DIR).mkdir(mode=0o700, exist_ok=True)
        _write_mark(folder, wanted)
    except OSError as error:
        raise WorkspaceError(f"{folder} cannot be written: {error.strerror}; choose another folder") from error
    return wanted


def _require_empty(folder: Path) -> None:
    names = {one.name for one in folder.iterdir()}
    if is_root(folder):
        raise WorkspaceError(f"{folder} is a tracked folder already; clone into another one")
    if names == {STATE_DIR}:  # made by a clone that was interrupted before it could be marked
        names = {one.name for one in (folder / STATE_DIR).iterdir() if not one.name.startswith(f".{MARK}.")}
    if names:
        raise WorkspaceError(f"{folder} is not empty; name another folder, or remove what is in it")


def _read_mark(folder: Path) -> _Mark | None:
    try:
        return msgspec.json.decode((folder / STATE_DIR / MARK).read_bytes(), type=_Mark)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def _write_mark(folder: Path, mark: _Mark) -> None:
    write_durably(folder / STATE_DIR / MARK, msgspec.json.encode(mark))


class _Clone:
    """The steps of one clone, into a store that is open."""

    def __init__(
        self, download: ObjectDownload, store: ObjectStore, workspace: Workspace, mark: _Mark, bar: Bar
    ) -> None:
        self._download = download
        self._store = store
        self._workspace = workspace
        self._mark = mark
        self._bar = bar
        self._unsaved = 0

    def run(self, listed: Iterator[dict[str, object]]) -> Cloned:
        """All steps; `listed` are the project's commits as the hub lists them."""
        with self._bar("Fetching history") as told:
            history = self._history(listed, told)
        head = root_entry(history[-1][1].root)
        census = census_that_fits(self._store, head, self._workspace.root)
        seen: set[bytes] = set()
        newest = list(blobs_below(self._store, head, seen))
        with self._bar("Fetching files") as told:
            self._contents(newest, told)
        self._mark = msgspec.structs.replace(self._mark, is_writing=True)
        _write_mark(self._workspace.root, self._mark)
        runs = self._enter(history, seen)
        problems = [] if is_root(self._workspace.root) else self._write(census.size)
        return Cloned(
            workspace=self._workspace,
            commit=self._mark.commit,
            is_newest=True,
            commits=len(history),
            runs=runs,
            files=census.entries,
            size=census.size,
            problems=problems,
        )

    # What is fetched

    def _history(
        self, listed: Iterator[dict[str, object]], told: Callable[[int, int], None]
    ) -> list[tuple[str, Commit]]:
        """The commits from the first to the newest, with everything that they refer to but contents."""
        commits = self._commits([name for one in listed if is_hex_digest(name := str(one.get("id")))])
        history = _ordered(commits, self._mark.commit)
        roots = [(Kind.TREE, commit.root) for _, commit in history]
        roots += [(Kind.RUN, record) for _, commit in history for _, record in commit.runs]
        fetched = 0

        def keep(kind: Kind, data: bytes) -> None:
            nonlocal fetched
            fetched += len(data)
            self._put(kind, data)
            told(fetched, fetched)

        fetch_inner(self._download, roots, self._known, keep)
        self._save()
        return history

    def _commits(self, listed: list[str]) -> dict[str, Commit]:
        """The commits that the head follows, by id. Those that the hub lists are asked for together."""
        hints = dict(self._download.fetch(bytes.fromhex(one) for one in listed if not self._has(one)))
        commits: dict[str, Commit] = {}
        pending = [self._mark.commit]
        while pending:
            name = pending.pop()
            if name in commits:
                continue
            data = self._known(bytes.fromhex(name)) or hints.get(bytes.fromhex(name)) or self._one(name)
            commits[name] = commit = decode_commit(data)
            if commit.dot_id != self._workspace.dot_id:
                raise CorruptObject(f"the commit {name} is one of another project; ask whoever looks after the hub")
            self._put(Kind.COMMIT, data)
            pending += [parent.hex() for parent in commit.parents]
        return commits

    def _one(self, commit: str) -> bytes:
        for _, data in self._download.fetch([bytes.fromhex(commit)]):
            return data
        raise MissingObject(f"the hub lacks the commit {commit}; ask whoever looks after it")

    def _contents(self, wanted: list[tuple[bytes, int]], told: Callable[[int, int], None]) -> None:
        """What the hub has of these contents; what it lacks shows when it is written."""
        absent = {name: size for name, size in wanted if not self._store.has(name)}
        total, fetched = sum(absent.values()), 0
        for _, data in self._download.fetch(absent):
            fetched += len(data)
            self._put(Kind.BLOB, data)
            told(fetched, total)
        self._save()

    def _known(self, name: bytes) -> bytes | None:
        return self._store.get(name) if self._store.has(name) else None

    def _has(self, commit: str) -> bool:
        return self._store.has(bytes.fromhex(commit))

    def _put(self, kind: Kind, data: bytes) -> None:
        self._store.put(kind, data)
        self._unsaved += len(data)
        if self._unsaved >= SAVED_EVERY:
            self._save()

    def _save(self) -> None:
        self._store.commit(lambda _: None)
        self._unsaved = 0

    # What is written

    def _enter(self, history: list[tuple[str, Commit]], seen: set[bytes]) -> int:
        """Enter the history into the journal, where it is not there yet; how many runs it has."""
        entries = self._entries(history)
        older = [blob for _, commit in reversed(history) for blob in self._blobs(commit, seen)]
        with closing(Journal(self._store.folder)) as journal:
            is_entered = journal.head() is not None
            bind_journal(journal, self._workspace)
        if not is_entered:
            self._store.commit(lambda connection: _record(connection, entries, older))
        return sum(len(entry.runs) for entry in entries)

    def _blobs(self, commit: Commit, seen: set[bytes]) -> Iterator[tuple[bytes, int]]:
        return blobs_below(self._store, root_entry(commit.root), seen)

    def _entries(self, history: list[tuple[str, Commit]]) -> list[CommitEntry]:
        entered: set[str] = set()
        return [
            CommitEntry(
                id=name,
                created_at=commit.created_at,
                consistency=commit.consistency,
                runs=[(record, _source(record)) for record in self._new_runs(commit, entered)],
            )
            for name, commit in history
        ]

    def _new_runs(self, commit: Commit, entered: set[str]) -> Iterator[RunRecord]:
        """A run that two commits name belongs to the first, as on the hub."""
        for _, name in commit.runs:
            record = decode_run(self._store.get(name, Kind.RUN))
            if record.run_id not in entered:
                entered.add(record.run_id)
                yield record

    def _write(self, size: int) -> list[Problem]:
        """Write the newest commit's files; what cannot be written is named, and does not keep the clone from ending."""
        commit = decode_commit(self._store.get(bytes.fromhex(self._mark.commit), Kind.COMMIT))
        origin = Origin(commit=self._mark.commit, path="")
        with open_target(self._workspace.root, origin, force=True) as target, self._bar("Writing files") as told:
            done = 0

            def progress(_: int, written: int) -> None:
                nonlocal done
                done += written
                told(done, size)

            written = write_snapshot(self._store, root_entry(commit.root), target, progress=progress)
            if written.problems:
                finish(target)
        return written.problems


def _record(connection: sqlite3.Connection, entries: list[CommitEntry], older: list[tuple[bytes, int]]) -> None:
    index.add_elsewhere(connection, older)
    record_history(connection, entries)


def _ordered(commits: dict[str, Commit], head: str) -> list[tuple[str, Commit]]:
    """The commits in an order in which parents come before children, the head last."""
    ordered: dict[str, Commit] = {}
    pending = [head]
    while pending:
        name = pending[-1]
        parents = [parent.hex() for parent in commits[name].parents]
        waiting = [parent for parent in parents if parent not in ordered]
        if waiting:
            pending += waiting
        else:
            ordered[name] = commits[name]
            pending.pop()
    return list(ordered.items())


def _source(record: RunRecord) -> Source:
    match record.authority:
        case "derived" | "correction":
            return record.authority
        case _:
            return "sidecar"
