"""Making a commit: a snapshot, the pending runs completed from it, and all of it durable in one transaction."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import monotonic

import msgspec
import structlog
from msgspec import Struct

from committer.detect.correct import correction_run, unexplained
from committer.detect.sidecars import read_environment
from committer.storage.ignore import IgnoreRules
from committer.storage.objects import Kind, decode_commit, encode_commit
from committer.storage.reader import Reader, list_directory
from committer.storage.snapshot import Snapshot, take_snapshot
from committer.storage.store import ObjectStore
from committer.storage.tree import TreeEntry
from committer.storage.walk import UNREADABLE
from committer.sync.journal import CommitEntry, RunRow, Source, record_commit
from committer.workspace.choose import Reading, look_everywhere
from committer.workspace.source import ChangeSource, View
from dotscience.errors import NoSuchPath, ZfsError
from dotscience.record import Commit, CommitStats, Consistency, Environment, FileRef, RunRecord, encode_json
from dotscience.version import __version__
from dotscience.workspace import Workspace

log = structlog.get_logger(__name__)

MAX_MESSAGE = 200
MAX_LEFT_OUT = 100


class Plan(Struct, frozen=True, kw_only=True):
    """What a commit is to hold besides the snapshot; fixed before the snapshot starts.

    `cells` are the executed cells of the notebooks as known at that moment, `environments` the hashes of environments
    that earlier commits have stored.
    """

    runs: list[RunRow]
    parent: str | None
    cells: dict[str, list[str]]
    environments: dict[str, str]
    description: str | None = None


class LeftOut(Struct, frozen=True, kw_only=True):
    """A path that a snapshot does not have, or not with all that it has, for another reason than the ignore rules."""

    path: str
    reason: str


class Taken(Struct, frozen=True, kw_only=True):
    """The answer of `POST /v1/commits`; `left_out` names the first `MAX_LEFT_OUT` of `left_out_count` paths.

    Of these, `unreadable_count` should be in the snapshot, and could not be read.
    """

    commit: str
    files: int
    new_bytes: int
    consistency: Consistency
    runs: list[str]
    left_out_count: int = 0
    unreadable_count: int = 0
    left_out: list[LeftOut] = []


class CommitMaker:
    """Takes commits of one workspace. Belongs to the thread that owns the store."""

    def __init__(
        self,
        workspace: Workspace,
        store: ObjectStore,
        load_rules: Callable[[], IgnoreRules],
        reading: Reading | None = None,
    ) -> None:
        """`reading` is how the workspace is read; by default all of it is looked at, as it is."""
        self._workspace = workspace
        self._reading = reading or look_everywhere(workspace.root)
        self._store = store
        self._load_rules = load_rules
        self._author = f"{_user()}@{socket.gethostname()}"
        self._client = f"dotscience/{__version__}"

    def take(self, plan: Plan) -> Taken:
        """Take a commit; it is durable when this returns, and nothing has happened when this raises.

        Raises:
            DiskFull: too little room is left.
            SnapshotError: the workspace cannot be read.
        """
        try:
            return self._take(plan, self._reading)
        except ZfsError as error:
            log.warning("commit.without_zfs", error=str(error))
            return self._take(plan, look_everywhere(self._workspace.root))

    def _take(self, plan: Plan, reading: Reading) -> Taken:
        created_at, started = datetime.now(UTC), monotonic()
        cursor = reading.source.mark()
        with reading.new_view() as view:
            try:
                snapshot = self._snapshot(plan, reading.source, cursor, view)
                entry, taken = self._complete(plan, snapshot, created_at, started)
            except BaseException:
                self._store.rollback()
                raise
            self._store.commit(lambda connection: record_commit(connection, entry))
            view.committed(taken.commit, taken.runs)
        _log_skipped(snapshot)
        log.info("commit.made", commit=taken.commit, runs=len(taken.runs), files=taken.files, new_bytes=taken.new_bytes)
        return taken

    def _snapshot(self, plan: Plan, source: ChangeSource, cursor: str, view: View) -> Snapshot:
        return take_snapshot(
            self._store,
            self._workspace.root,
            ignore=self._load_rules(),
            previous=self._root_of(plan.parent),
            source=source,
            cursor=cursor,
            view=view,
        )

    def _complete(
        self, plan: Plan, snapshot: Snapshot, created_at: datetime, started: float
    ) -> tuple[CommitEntry, Taken]:
        environments = self._put_environments(plan)
        finisher = _Finisher(self._workspace, _Tree(self._store, snapshot.root_hash), plan.environments | environments)
        runs = self._runs(plan, snapshot, created_at, finisher)
        listed = [(record.run_id, self._store.put(Kind.RUN, encode_json(record))) for record, _ in runs]
        commit = Commit(
            dot_id=self._workspace.dot_id,
            parents=[bytes.fromhex(plan.parent)] if plan.parent else [],
            root=snapshot.root_hash,
            runs=listed,
            created_at=created_at,
            message=plan.description if plan.description is not None else _message(runs),
            author=self._author,
            client=self._client,
            consistency=snapshot.consistency,
            unstable=snapshot.unstable,
            stats=CommitStats(
                files=snapshot.files,
                size=snapshot.size,
                new_bytes=snapshot.new_bytes,
                duration_ms=int((monotonic() - started) * 1000),
            ),
        )
        commit_id = self._store.put(Kind.COMMIT, encode_commit(commit)).hex()
        return _entry(commit_id, commit, plan, runs, environments), Taken(
            commit=commit_id,
            files=snapshot.files,
            new_bytes=snapshot.new_bytes,
            consistency=snapshot.consistency,
            runs=[record.run_id for record, _ in runs],
            left_out_count=len(snapshot.skipped),
            unreadable_count=sum(reason.startswith(UNREADABLE) for _, reason in snapshot.skipped),
            left_out=[
                LeftOut(path=path.decode("utf-8", "backslashreplace"), reason=reason)
                for path, reason in snapshot.skipped[:MAX_LEFT_OUT]
            ],
        )

    def _runs(
        self, plan: Plan, snapshot: Snapshot, created_at: datetime, finisher: _Finisher
    ) -> list[tuple[RunRecord, Source]]:
        """The final records: what a derived run changed is its output, what nothing claims is a correction."""
        changed = [path.decode("utf-8", "backslashreplace") for path in snapshot.changed]
        rows = _with_observed(plan.runs, changed)
        runs = [(finisher.finish(row), row.source) for row in rows]
        left = unexplained(changed, (record for record, _ in runs)) if runs and plan.parent else []
        if left and plan.parent:
            correction = correction_run(self._workspace.dot_id, plan.parent, left, noticed_at=created_at)
            runs.append((finisher.with_files(correction), "correction"))
        return runs

    def _put_environments(self, plan: Plan) -> dict[str, str]:
        """Store the environments that the runs name and no earlier commit holds; their hashes by id."""
        found: dict[str, str] = {}
        for wanted in {row.record.environment for row in plan.runs} - {None, *plan.environments}:
            environment = read_environment(self._workspace.runs_dir, wanted) if wanted else None
            if wanted and environment is not None:
                found[wanted] = self._put_environment(environment)
        return found

    def _put_environment(self, environment: Environment) -> str:
        return self._store.put(Kind.ENVIRONMENT, encode_json(environment)).hex()

    def _root_of(self, commit: str | None) -> bytes | None:
        return decode_commit(self._store.get(bytes.fromhex(commit), Kind.COMMIT)).root if commit else None


class _Tree:
    """Finds files in a snapshot; directories are decoded once."""

    def __init__(self, reader: Reader, root: bytes) -> None:
        self._reader = reader
        self._root = root
        self._directories: dict[str, dict[bytes, TreeEntry]] = {}

    def find(self, path: str) -> TreeEntry | None:
        """The entry at `path`, or None where the snapshot has none."""
        folder, _, name = path.rpartition("/")
        if folder not in self._directories:
            try:
                entries = list_directory(self._reader, self._root, folder)
            except NoSuchPath:
                entries = ()
            self._directories[folder] = {entry.name: entry for entry in entries}
        return self._directories[folder].get(name.encode("utf-8", "surrogateescape"))


class _Finisher:
    """Completes records from the snapshot that they are committed with."""

    def __init__(self, workspace: Workspace, tree: _Tree, environments: dict[str, str]) -> None:
        self._root = workspace.root
        self._tree = tree
        self._environments = environments

    def finish(self, row: RunRow) -> RunRecord:
        """The record as it is committed."""
        record = self.with_files(row.record)
        environment = self._environments.get(record.environment) if record.environment else None
        missing = record.environment is not None and environment is None
        return msgspec.structs.replace(
            record,
            workload_file=record.workload_file or row.notebook,
            notebook_stale=is_stale(row),
            environment=environment,
            warnings=[*record.warnings, *(["the environment of this run was not recorded"] if missing else [])],
        )

    def with_files(self, record: RunRecord) -> RunRecord:
        """The record with its inputs and outputs looked up in the snapshot."""
        ended_ns = int(record.ended_at.timestamp() * 1e9) if record.ended_at else None
        return msgspec.structs.replace(
            record,
            inputs=[self._look_up(file, ended_ns) for file in record.inputs],
            outputs=[self._look_up(file, ended_ns) for file in record.outputs],
        )

    def _look_up(self, file: FileRef, ended_ns: int | None) -> FileRef:
        """Hash, size and age from the snapshot. A reference to another dot or commit says itself what it means."""
        if file.outside or file.dot is not None:
            return file
        entry = self._tree.find(file.path)
        if entry is None or not entry.is_file:
            return msgspec.structs.replace(file, missing=not self._exists(file.path))
        newer = ended_ns is not None and entry.mtime_ns > ended_ns and not file.observed
        return msgspec.structs.replace(
            file, content_hash=entry.content.hex(), size=entry.size, missing=False, changed_after_read=newer
        )

    def _exists(self, path: str) -> bool:
        """Whether something is there that the snapshot leaves out; a path that leads outside is not looked at."""
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            return False
        try:
            return os.path.lexists(self._root / path)
        except (OSError, ValueError):
            return False


def is_stale(row: RunRow) -> bool:
    """Whether a run's notebook has not been saved with the run in it."""
    return row.expects_notebook and not row.in_notebook


def _with_observed(rows: list[RunRow], changed: Iterable[str]) -> list[RunRow]:
    """Give the changed data files that no run claims to the last derived run, if there is one."""
    derived = [row.seq for row in rows if row.source == "derived"]
    if not derived:
        return rows
    outputs = [FileRef(path=path, observed=True) for path in unexplained(changed, (row.record for row in rows))]
    return [
        msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, outputs=outputs))
        if row.seq == derived[-1]
        else row
        for row in rows
    ]


def _entry(
    commit_id: str, commit: Commit, plan: Plan, runs: list[tuple[RunRecord, Source]], environments: dict[str, str]
) -> CommitEntry:
    notebooks = {row.notebook for row in plan.runs if row.notebook is not None}
    return CommitEntry(
        id=commit_id,
        created_at=commit.created_at,
        consistency=commit.consistency,
        runs=runs,
        environments=environments,
        accounted={path: cells for path, cells in plan.cells.items() if path in notebooks},
        uncovered=sorted({row.notebook for row in plan.runs if row.notebook is not None and is_stale(row)}),
    )


def _message(runs: list[tuple[RunRecord, Source]]) -> str:
    """What to call a commit that nobody described: by its first run, and how many more there are."""
    if not runs:
        return ""
    first = runs[0][0]
    text = (first.description or first.workload_file or f"Run {first.run_id}").strip().partition("\n")[0]
    more = f" (and {len(runs) - 1} more)" if len(runs) > 1 else ""
    return text[:MAX_MESSAGE] + more


def _log_skipped(snapshot: Snapshot) -> None:
    for path, reason in snapshot.skipped[:20]:
        log.info("snapshot.skipped", path=os.fsdecode(path), reason=reason)


def _user() -> str:
    """The user's name; a container may run under an id that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
