"""Making a commit: a snapshot, the pending runs completed from it, and all of it durable in one transaction."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import msgspec
from msgspec import Struct

from committer.captured_files import CaptureReader, RunFiles
from committer.detect.correct import correction_run, unexplained
from committer.detect.sidecars import read_environment
from committer.log import get_logger
from committer.run_files import CommitTree, KnownContents, RunFinalizer
from committer.run_states import StateTree, group, place
from committer.storage.ignore import IgnoreRules
from committer.storage.ingest import FileIngest
from committer.storage.objects import Kind, decode_commit, encode_commit
from committer.storage.snapshot import Snapshot, take_snapshot
from committer.storage.store import ObjectStore
from committer.storage.walk import UNREADABLE
from committer.store_files import store_files
from committer.sync.journal import CommitEntry, RunRow, Source, record_commits
from committer.workspace.choose import Reading, look_everywhere
from committer.workspace.source import ChangeSource, View
from dotscience.capture_manifest import CapturedFile
from dotscience.errors import CorruptObject, MissingObject, ZfsError
from dotscience.notebook_cells import NotebookState
from dotscience.record import Commit, CommitStats, Consistency, Environment, FileRef, RunRecord, encode_json
from dotscience.record_limits import MAX_RUN_BYTES, committed_size
from dotscience.version import __version__
from dotscience.workspace import Workspace

log = get_logger(__name__)

MAX_MESSAGE = 200
MAX_LEFT_OUT = 100
MAX_HISTORY = 100
"""Commits that are looked through for what an input was when it was read."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a commit is to hold besides the snapshot; fixed before the snapshot starts.

    `states` are those of the notebooks as known at that moment, `environments` the hashes of environments
    that earlier commits have stored.
    """

    runs: list[RunRow]
    parent: str | None
    states: dict[str, NotebookState]
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
        """Take the commits that the plan's runs need, one for each distinct state of their outputs.

        They are durable when this returns, all of them, and nothing has happened when this raises. The answer is about
        the last one, with the runs of all.

        Raises:
            DiskFull: too little room is left.
            SnapshotError: the workspace cannot be read.
        """
        try:
            return self._take(plan, self._reading)
        except ZfsError as error:
            log.warning("commit.without_zfs", error=str(error))
            return self._take(plan, look_everywhere(self._workspace.root))

    def capture(self, paths: list[str]) -> list[CapturedFile]:
        """Store files of the workspace as they are now, durably; those that could be. See `POST /v1/captures`.

        Raises:
            DiskFull: too little room is left.
        """
        return store_files(self._store, self._workspace.root, paths)

    def _take(self, plan: Plan, reading: Reading) -> Taken:
        cost = _Cost()
        cursor = reading.source.mark()
        with reading.new_view() as view:
            try:
                rules = self._load_rules()
                captured = self._read_captures(plan, rules)
                snapshot = self._snapshot(plan, rules, reading.source, cursor, view)
                cost.new_bytes = self._store.put_bytes()
                environments = self._put_environments(plan)
                drafts = self._drafts(plan, snapshot, captured, plan.environments | environments, cost.began_at)
                entries = self._commits(plan, snapshot, drafts, cost)
                entries[-1] = _accounting(entries[-1], plan, environments)
            except BaseException:
                self._store.rollback()
                raise
            self._store.commit(partial(record_commits, entries))
            taken = _taken(snapshot, entries, drafts[-1].tree.files, cost.new_bytes)
            if drafts[-1].tree.root == snapshot.root_hash:  # else what the view saw is no commit's
                view.committed(taken.commit, taken.runs)
        _log_skipped(snapshot)
        log.info(
            "commit.made",
            commit=taken.commit,
            commits=len(entries),
            runs=len(taken.runs),
            files=taken.files,
            new_bytes=taken.new_bytes,
        )
        return taken

    def _read_captures(self, plan: Plan, rules: IgnoreRules) -> dict[str, RunFiles]:
        """What is known of the runs' own files, by run; their contents go into the store."""
        with FileIngest(self._store) as ingest:
            reader = CaptureReader(self._workspace.root, self._store, ingest, rules.excludes)
            return {row.run_id: reader.read(row.record) for row in plan.runs}

    def _snapshot(self, plan: Plan, rules: IgnoreRules, source: ChangeSource, cursor: str, view: View) -> Snapshot:
        return take_snapshot(
            self._store,
            self._workspace.root,
            ignore=rules,
            previous=self._root_of(plan.parent),
            source=source,
            cursor=cursor,
            view=view,
        )

    def _drafts(
        self,
        plan: Plan,
        snapshot: Snapshot,
        captured: dict[str, RunFiles],
        environments: dict[str, str],
        created_at: datetime,
    ) -> list[_Draft]:
        """The commits to make: each with its tree, and its runs completed from it.

        What a derived run changed is its output; what nothing claims is a correction, in the first commit that has it.
        """
        changed = [path.decode("utf-8", "backslashreplace") for path in snapshot.changed]
        rows = _with_observed(plan.runs, changed)
        known = KnownContents(captured.values(), lambda: self._history(plan.parent))
        writers = {file.path: row.seq for row in rows for file in row.record.outputs if not file.observed}
        drafts = []
        tree = StateTree(snapshot.root_hash, snapshot.files, snapshot.size)
        sized = ((row, captured[row.run_id], min(committed_size(row.record), MAX_RUN_BYTES)) for row in rows)
        for runs_of_one_state in group(sized):
            placed = place(self._store, tree.root, runs_of_one_state.state, partial(self._store.put, Kind.TREE))
            tree = StateTree(placed.root, tree.files + placed.files, tree.size + placed.size)
            finalizer = RunFinalizer(
                self._workspace.root, CommitTree(self._store, tree.root), known, environments, writers
            )
            runs: list[tuple[RunRecord, Source]] = [
                (finalizer.finalize(row, captured[row.run_id], notebook_stale=is_stale(row)), row.source)
                for row in runs_of_one_state.runs
            ]
            drafts.append(_Draft(tree, runs, finalizer))
        left = unexplained(changed, (row.record for row in rows)) if rows and plan.parent else []
        if left and plan.parent:
            correction = correction_run(self._workspace.dot_id, plan.parent, left, noticed_at=created_at)
            drafts[0].runs.append((drafts[0].finalizer.with_observed(correction), "correction"))
        return drafts

    def _commits(self, plan: Plan, snapshot: Snapshot, drafts: list[_Draft], cost: _Cost) -> list[CommitEntry]:
        """Put the commits into the store, one after the other; what each changes in the journal."""
        entries: list[CommitEntry] = []
        for draft in drafts:
            is_last = draft is drafts[-1]
            description = plan.description if is_last else None
            commit = Commit(
                dot_id=self._workspace.dot_id,
                parents=_parents(entries[-1].id if entries else plan.parent),
                root=draft.tree.root,
                runs=[(record.run_id, self._store.put(Kind.RUN, encode_json(record))) for record, _ in draft.runs],
                created_at=cost.began_at,
                message=_message(draft.runs) if description is None else description,
                author=self._author,
                client=self._client,
                consistency=snapshot.consistency,
                unstable=snapshot.unstable,
                stats=cost.stats(draft.tree) if is_last else CommitStats(draft.tree.files, draft.tree.size),
            )
            commit_id = self._store.put(Kind.COMMIT, encode_commit(commit)).hex()
            entries.append(_entry(commit_id, commit, draft.runs))
        return entries

    def _history(self, commit: str | None) -> Iterator[CommitTree]:
        """The trees of a commit and those before it, newest first; those that can be read, and not for ever."""
        for _ in range(MAX_HISTORY):
            if commit is None:
                return
            try:
                decoded = decode_commit(self._store.get(bytes.fromhex(commit), Kind.COMMIT))
            except (MissingObject, CorruptObject):
                return
            yield CommitTree(self._store, decoded.root)
            commit = decoded.parents[0].hex() if decoded.parents else None

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


class _Cost:
    """What a commit takes: `new_bytes` on disk for contents, and time since this was made."""

    def __init__(self) -> None:
        self.began_at = datetime.now(UTC)
        self.new_bytes = 0
        self._began = monotonic()

    def stats(self, tree: StateTree) -> CommitStats:
        """The same for a commit's record."""
        duration_ms = int((monotonic() - self._began) * 1000)
        return CommitStats(files=tree.files, size=tree.size, new_bytes=self.new_bytes, duration_ms=duration_ms)


class _Draft(Struct):
    """A commit that is to be made; `tree` is its whole tree."""

    tree: StateTree
    runs: list[tuple[RunRecord, Source]]
    finalizer: RunFinalizer


def _entry(commit_id: str, commit: Commit, runs: list[tuple[RunRecord, Source]]) -> CommitEntry:
    return CommitEntry(id=commit_id, created_at=commit.created_at, consistency=commit.consistency, runs=runs)


def _accounting(last: CommitEntry, plan: Plan, environments: dict[str, str]) -> CommitEntry:
    """The last entry of a plan: what was executed in the notebooks of its published runs is accounted for.

    Derived runs account for themselves when they are entered; more may have been executed since.
    """
    notebooks = {row.notebook for row in plan.runs if row.notebook is not None and row.source != "derived"}
    return msgspec.structs.replace(
        last,
        environments=environments,
        accounted={path: state for path, state in plan.states.items() if path in notebooks},
        uncovered=sorted({row.notebook for row in plan.runs if row.notebook is not None and is_stale(row)}),
    )


def _taken(snapshot: Snapshot, entries: list[CommitEntry], files: int, new_bytes: int) -> Taken:
    return Taken(
        commit=entries[-1].id,
        files=files,
        new_bytes=new_bytes,
        consistency=snapshot.consistency,
        runs=[record.run_id for entry in entries for record, _ in entry.runs],
        left_out_count=len(snapshot.skipped),
        unreadable_count=sum(reason.startswith(UNREADABLE) for _, reason in snapshot.skipped),
        left_out=[
            LeftOut(path=path.decode("utf-8", "backslashreplace"), reason=reason)
            for path, reason in snapshot.skipped[:MAX_LEFT_OUT]
        ],
    )


def _parents(parent: str | None) -> list[bytes]:
    return [bytes.fromhex(parent)] if parent else []


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
