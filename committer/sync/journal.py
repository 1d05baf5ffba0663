"""The journal: what was noticed, committed and pushed, and how far each notebook has been accounted for.

Its tables live in the object store's database file, so that a commit's objects and its runs become durable in one
transaction: `ObjectStore.commit(apply)` calls `record_commit` with the store's connection. Everything else goes through
a `Journal`, which has a connection of its own and belongs to one thread. SQLite in WAL mode lets the two alternate; a
writer waits for the other's short transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from committer.storage import index
from dotscience.record import RunRecord, decode_json, encode_json

if TYPE_CHECKING:
    from dotscience.notebook_cells import CellState, NotebookState

SCHEMA_VERSION = 2
"""Kept in the database as `version` of `journal_meta`; raise it with every change that an older program cannot read."""

Source = Literal["sidecar", "mime", "marker", "derived", "correction"]
State = Literal["pending", "committed", "pushed", "earlier"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS journal_commits (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL,
  pushed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS journal_runs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('pending', 'committed', 'earlier')),
  source TEXT NOT NULL,
  record BLOB NOT NULL,
  digest TEXT NOT NULL,
  notebook TEXT,
  expects_notebook INTEGER NOT NULL,
  in_notebook INTEGER NOT NULL,
  noticed_at TEXT NOT NULL,
  commit_id TEXT REFERENCES journal_commits (id),
  environment TEXT,
  differs INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS journal_runs_by_state ON journal_runs (state) WHERE state != 'committed';
CREATE INDEX IF NOT EXISTS journal_runs_by_notebook ON journal_runs (notebook, seq);
CREATE INDEX IF NOT EXISTS journal_runs_by_commit ON journal_runs (commit_id);
CREATE TABLE IF NOT EXISTS journal_environments (id TEXT PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS journal_notebooks (
  path TEXT PRIMARY KEY,
  signature TEXT NOT NULL,
  saved_at TEXT NOT NULL,
  cells BLOB NOT NULL,
  baseline BLOB NOT NULL,
  covered INTEGER NOT NULL DEFAULT 0,
  derived_since TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS journal_pushed_packs (pack TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS journal_executions (cell TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

REFUSED = "refused:"
LOST = "lost:"
"""What the keys of refused runs, and of commits with contents that nobody has, begin with in `journal_meta`."""

RUN_COLUMNS = (
    "r.seq, r.run_id, r.state, r.source, r.record, r.digest, r.notebook, r.expects_notebook, r.in_notebook,"
    " r.noticed_at, r.commit_id, r.environment, d.value, coalesce(c.pushed, 0)"
)
DIFFERS = "differs:"
"""In the journal's values: the fields in which a run, whose id follows, was seen again with other content."""
RUNS = (
    "journal_runs r LEFT JOIN journal_commits c ON c.id = r.commit_id"
    f" LEFT JOIN journal_meta d ON d.key = '{DIFFERS}' || r.run_id"
)
DIFFERS_WARNING = "the same run id was seen again with other content ({}); the first content was kept"
MAX_FIELDS = 10
MAX_FIELD = 80


class RunRow(Struct, frozen=True, kw_only=True):
    """A run as the journal knows it.

    `environment` is the environment's id as the workload named it, also after the record's own field became the hash
    of the committed object. `expects_notebook` says that the run happened in a notebook, even if nobody told in which;
    `in_notebook` that a saved notebook is known to hold the run's output.
    """

    seq: int
    run_id: str
    state: State
    source: Source
    record: RunRecord
    digest: str
    notebook: str | None
    expects_notebook: bool
    in_notebook: bool
    noticed_at: datetime
    commit: str | None
    environment: str | None


class RunOutline(NamedTuple):
    """What an event says of a run."""

    run_id: str
    notebook: str | None
    state: State


class NewRun(Struct, frozen=True, kw_only=True):
    """A run to be entered."""

    record: RunRecord
    state: Literal["pending", "earlier"]
    source: Source
    digest: str
    notebook: str | None
    expects_notebook: bool
    in_notebook: bool


class NotebookRow(Struct, frozen=True, kw_only=True):
    """What is known of a notebook.

    `state` is its last readable one, `baseline` has the cells whose executions are accounted for, None for a notebook
    that was seen for the first time and holds executions that are not; `covered` says that the next save belongs to a
    run that was committed before its notebook was saved; `derived_since` is when the notebook last changed while it
    holds something that only a derived run can account for.
    """

    path: str
    signature: str
    saved_at: datetime
    state: NotebookState
    baseline: list[CellState] | None
    covered: bool = False
    derived_since: datetime | None = None


class CommitRow(Struct, frozen=True, kw_only=True):
    """A local commit; `number` grows along the history, which has no branches on this side."""

    number: int
    id: str
    pushed: bool


class Counts(Struct, frozen=True, kw_only=True):
    """The numbers that the status shows."""

    runs: int = 0
    pending: int = 0
    earlier: int = 0
    commits: int = 0
    pushed: int = 0


class CommitEntry(Struct, frozen=True, kw_only=True):
    """Everything that one commit changes in the journal.

    `runs` are the final records with their sources, `environments` maps ids to object hashes, `accounted` gives the
    state of each notebook at the time of the snapshot, and `uncovered` names the notebooks whose runs were
    committed before they were saved.
    """

    id: str
    created_at: datetime
    consistency: str
    runs: list[tuple[RunRecord, Source]]
    environments: dict[str, str] = {}
    accounted: dict[str, NotebookState] = {}
    uncovered: list[str] = []


def connect(folder: Path) -> sqlite3.Connection:
    """A connection to the database of the store in `folder`; the journal's tables are made where they are missing.

    Raises:
        CorruptObject: the file cannot be read.
        NewerStore: a newer version of this program made the tables; they are left as they are.
    """
    connection = index.connect(folder)
    try:
        version = _version(connection)
        if version is None:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
            connection.execute("INSERT OR IGNORE INTO journal_meta VALUES ('version', ?)", (str(SCHEMA_VERSION),))
        else:
            index.require_known("journal", version, SCHEMA_VERSION)
            _upgrade(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables of an earlier version up to date.

    Version 1 kept keys of cells where there are states now. Notebooks get their baseline anew; that their cells were
    executed before is known by the times in those keys, which end in `@time`.
    """
    if version >= 2:
        return
    from committer.detect.evidence import time_key
    from dotscience.notebook_cells import parse_time

    rows = connection.execute(
        "SELECT cell FROM journal_executions UNION SELECT value FROM journal_notebooks, json_each(cells)"
    )
    times = {key.rpartition("@")[2] for (key,) in rows if "@" in key}
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM journal_notebooks")
    connection.execute("DELETE FROM journal_executions")
    _remember(connection, {time_key(at) for time in times if (at := parse_time(time)) is not None})
    connection.execute("UPDATE journal_meta SET value = '2' WHERE key = 'version'")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int | None:
    """The version of the journal's tables, or None where they have not all been made."""
    if not index.has_table(connection, "journal_meta"):
        return None
    row = connection.execute("SELECT value FROM journal_meta WHERE key = 'version'").fetchone()
    return int(row[0]) if row else None


class Journal:
    """Reads and small writes; every method is one durable transaction unless called inside `transaction()`.

    One thread at a time: the one that made it. Whoever owns a journal calls it inside `index.disk_errors`.
    """

    def __init__(self, folder: Path) -> None:
        """Open the journal in the store `folder`; raises what `connect` does."""
        self._connection = connect(folder)

    def close(self) -> None:
        """Close the connection; the journal cannot be used afterwards."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls inside the block durable together, or none of them."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself rolls back on some errors, such as a full disk
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let all reads inside the block see one state, whatever the store's owner commits meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    # Runs

    def add_run(self, run: NewRun) -> None:
        """Enter a run that is not known yet."""
        self._connection.execute(
            "INSERT INTO journal_runs (run_id, state, source, record, digest, notebook, expects_notebook,"
            " in_notebook, noticed_at, environment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.record.run_id,
                run.state,
                run.source,
                encode_json(run.record),
                run.digest,
                run.notebook,
                run.expects_notebook,
                run.in_notebook,
                _now(),
                run.record.environment,
            ),
        )

    def replace_run(self, run: NewRun) -> None:
        """Let a better copy of a run that is not committed take the place of the one known."""
        self._connection.execute(
            "UPDATE journal_runs SET state = ?, source = ?, record = ?, digest = ?,"
            " notebook = coalesce(?, notebook), environment = ?,"
            " in_notebook = max(in_notebook, ?) WHERE run_id = ? AND state != 'committed'",
            (
                run.state,
                run.source,
                encode_json(run.record),
                run.digest,
                run.notebook,
                run.record.environment,
                run.in_notebook,
                run.record.run_id,
            ),
        )

    def mark_in_notebook(self, run_id: str, path: str) -> None:
        """Note that a saved notebook holds the run, and that it is the run's own where that was not known."""
        self._connection.execute(
            "UPDATE journal_runs SET in_notebook = 1, notebook = coalesce(notebook, ?) WHERE run_id = ?", (path, run_id)
        )

    def mark_differs(self, run_id: str, fields: list[str]) -> None:
        """Note that the run's id was seen again with other content in these fields."""
        named = ", ".join(name[:MAX_FIELD] for name in fields[:MAX_FIELDS])
        more = f" and {len(fields) - MAX_FIELDS} more" if len(fields) > MAX_FIELDS else ""
        self.put({f"{DIFFERS}{run_id}": named + more})

    def take_over(self, run_ids: Iterable[str]) -> list[str]:
        """Make earlier runs pending; returns the ids that were."""
        taken = []
        for run_id in run_ids:
            changed = self._connection.execute(
                "UPDATE journal_runs SET state = 'pending', in_notebook = 1 WHERE run_id = ? AND state = 'earlier'",
                (run_id,),
            )
            if changed.rowcount:
                taken.append(run_id)
        return taken

    def run(self, run_id: str) -> RunRow | None:
        """One run."""
        return next(self._runs("WHERE r.run_id = ?", (run_id,)), None)

    def outlines(self, run_ids: Iterable[str]) -> list[RunOutline]:
        """Those of the runs that are known, without their records."""
        query = (
            f"SELECT r.run_id, r.notebook, iif(coalesce(c.pushed, 0), 'pushed', r.state) FROM {RUNS}"  # noqa: S608 - a constant
            " WHERE r.run_id IN (SELECT value FROM json_each(?)) ORDER BY r.seq"
        )
        return [
            RunOutline(*row) for row in self._connection.execute(query, (msgspec.json.encode([*run_ids]).decode(),))
        ]

    def pending_runs(self) -> list[RunRow]:
        """The runs that wait for a commit, in the order in which they were noticed."""
        return list(self._runs("WHERE r.state = 'pending' ORDER BY r.seq", ()))

    def pending_since(self) -> tuple[datetime | None, bool]:
        """When the first pending run was noticed, and whether any of them waits for its notebook to be saved."""
        since, waiting = self._connection.execute(
            "SELECT (SELECT noticed_at FROM journal_runs WHERE state = 'pending' ORDER BY seq LIMIT 1),"
            " max(expects_notebook AND NOT in_notebook) FROM journal_runs WHERE state = 'pending'"
        ).fetchone()
        return datetime.fromisoformat(since) if since else None, bool(waiting)

    def page(self, *, notebook: str | None, limit: int, before: int | None) -> list[RunRow]:
        """At most `limit` runs, newest first, below sequence number `before`."""
        conditions = ["r.seq < ?"] + (["r.notebook = ?"] if notebook is not None else [])
        values = [before if before is not None else 1 << 62] + ([notebook] if notebook is not None else [])
        where = f"WHERE {' AND '.join(conditions)} ORDER BY r.seq DESC LIMIT ?"
        return list(self._runs(where, (*values, limit)))

    def total(self, notebook: str | None) -> int:
        """How many runs there are, of one notebook or of all."""
        query = "SELECT count(*) FROM journal_runs WHERE ?1 IS NULL OR notebook = ?1"
        return int(self._one(query, (notebook,)))

    def runs_pushed_between(self, after: int, up_to: int) -> list[RunOutline]:
        """The runs in the commits with these numbers, `after` excluded."""
        found = self._connection.execute(
            "SELECT r.run_id, r.notebook, 'pushed' FROM journal_runs r JOIN journal_commits c ON c.id = r.commit_id"
            " WHERE c.number > ? AND c.number <= ? ORDER BY r.seq",
            (after, up_to),
        )
        return [RunOutline(*row) for row in found]

    def _runs(self, where: str, values: tuple[Any, ...]) -> Iterator[RunRow]:
        for row in self._connection.execute(f"SELECT {RUN_COLUMNS} FROM {RUNS} {where}", values):  # noqa: S608 - as below
            yield _run_row(row)

    # Environments

    def environment_hashes(self) -> dict[str, str]:
        """The object hash of every environment that a commit has stored, by the id that workloads use."""
        return dict(self._connection.execute("SELECT id, hash FROM journal_environments"))

    def environment_hash(self, environment_id: str) -> str | None:
        """The object hash of one environment, or None where no commit has stored it yet."""
        return self._text("SELECT hash FROM journal_environments WHERE id = ?", (environment_id,))

    def wanted_environments(self) -> set[str]:
        """The environments that pending runs name and no commit has stored."""
        found = self._connection.execute(
            "SELECT DISTINCT environment FROM journal_runs WHERE state = 'pending' AND environment IS NOT NULL"
            " AND environment NOT IN (SELECT id FROM journal_environments)"
        )
        return {environment for (environment,) in found}

    # Notebooks

    def notebook(self, path: str) -> NotebookRow | None:
        """What is known of one notebook."""
        row = self._connection.execute(
            "SELECT signature, saved_at, cells, baseline, covered, derived_since FROM journal_notebooks WHERE path = ?",
            (path,),
        ).fetchone()
        if row is None:
            return None
        from dotscience.notebook_cells import CellState, NotebookState  # commands that read no notebooks start sooner

        signature, saved_at, state, baseline, covered, since = row
        return NotebookRow(
            path=path,
            signature=signature,
            saved_at=datetime.fromisoformat(saved_at),
            state=msgspec.json.decode(state, type=NotebookState),
            baseline=msgspec.json.decode(baseline, type=list[CellState] | None),
            covered=bool(covered),
            derived_since=datetime.fromisoformat(since) if since else None,
        )

    def signatures(self) -> dict[str, str]:
        """The signature of each notebook's last readable state."""
        return dict(self._connection.execute("SELECT path, signature FROM journal_notebooks"))

    def open_derived(self) -> dict[str, datetime]:
        """The notebooks that wait to be quiet, and when each last changed."""
        found = self._connection.execute(
            "SELECT path, derived_since FROM journal_notebooks WHERE derived_since IS NOT NULL"
        )
        return {path: datetime.fromisoformat(since) for path, since in found}

    def save_notebook(self, row: NotebookRow) -> None:
        """Replace what is known of a notebook."""
        self._connection.execute(
            "INSERT OR REPLACE INTO journal_notebooks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                row.path,
                row.signature,
                row.saved_at.isoformat(),
                msgspec.json.encode(row.state),
                msgspec.json.encode(row.baseline),
                row.covered,
                row.derived_since.isoformat() if row.derived_since else None,
            ),
        )

    def remember(self, keys: Iterable[str]) -> None:
        """Note that what these keys stand for is accounted for, wherever it is seen again."""
        _remember(self._connection, keys)

    def is_remembered(self, key: str) -> bool:
        """Whether a key was remembered."""
        return self._one("SELECT 1 FROM journal_executions WHERE cell = ?", (key,)) is not None

    def last_run_of(self, notebook: str) -> RunRow | None:
        """The newest run of a notebook that happened here, published or derived."""
        where = "WHERE r.notebook = ? AND r.state != 'earlier' ORDER BY r.seq DESC LIMIT 1"
        return next(self._runs(where, (notebook,)), None)

    # Commits and push

    def head(self) -> CommitRow | None:
        """The newest commit."""
        return next(iter(self._commits("ORDER BY number DESC LIMIT 1")), None)

    def commits(self) -> list[CommitRow]:
        """All commits, oldest first."""
        return list(self._commits("ORDER BY number"))

    def commits_before(self, number: int | None, limit: int) -> list[CommitRow]:
        """At most `limit` commits, newest first, with numbers below `number` (default: from the newest on)."""
        below = number if number is not None else 1 << 62
        return list(self._commits("WHERE number < ? ORDER BY number DESC LIMIT ?", (below, limit)))

    def commit_back(self, number: int, steps: int) -> CommitRow | None:
        """The commit `steps` before the one with this number; None where the history does not reach so far back."""
        found = self._commits("WHERE number <= ? ORDER BY number DESC LIMIT 1 OFFSET ?", (number, steps))
        return next(iter(found), None)

    def commit(self, commit_id: str) -> CommitRow | None:
        """The commit of this id."""
        return next(iter(self._commits("WHERE id = ?", (commit_id,))), None)

    def commits_named(self, prefix: str, limit: int) -> list[CommitRow]:
        """The commits whose ids begin with `prefix`, which are lower-case hex digits."""
        return list(self._commits("WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", (prefix, f"{prefix}g", limit)))

    def runs_named(self, prefix: str, limit: int) -> list[tuple[str, str | None]]:
        """The runs whose ids begin with `prefix`, which are lower-case hex digits and dashes, and their commits."""
        query = "SELECT run_id, commit_id FROM journal_runs WHERE run_id >= ? AND run_id < ? ORDER BY run_id LIMIT ?"
        return list(self._connection.execute(query, (prefix, f"{prefix}g", limit)))

    def commit_of(self, run_id: str) -> str | None:
        """The commit that a run is in."""
        return self._text("SELECT commit_id FROM journal_runs WHERE run_id = ?", (run_id,))

    def committed_runs(self) -> list[str]:
        """The ids of the runs that are in a commit, oldest first."""
        query = "SELECT run_id FROM journal_runs WHERE commit_id IS NOT NULL ORDER BY seq"
        return [run_id for (run_id,) in self._connection.execute(query)]

    def head_at(self) -> datetime | None:
        """When the newest commit was made."""
        found = self._one("SELECT created_at FROM journal_commits ORDER BY number DESC LIMIT 1")
        return datetime.fromisoformat(found) if found else None

    def _commits(self, where: str, values: tuple[Any, ...] = ()) -> Iterator[CommitRow]:
        query = f"SELECT number, id, pushed FROM journal_commits {where}"  # noqa: S608 - constants of this class
        for number, commit, pushed in self._connection.execute(query, values):
            yield CommitRow(number=number, id=commit, pushed=bool(pushed))

    def newest_pushed(self) -> int:
        """The number of the newest commit that the hub has, 0 for none."""
        return int(self._one("SELECT coalesce(max(number), 0) FROM journal_commits WHERE pushed"))

    def mark_pushed_up_to(self, number: int) -> None:
        """Note that the hub has the commits up to `number`."""
        self._connection.execute("UPDATE journal_commits SET pushed = 1 WHERE number <= ? AND NOT pushed", (number,))

    def set_pushed_up_to(self, number: int) -> None:
        """Note that the hub has the commits up to `number`, and none after it."""
        self._connection.execute("UPDATE journal_commits SET pushed = (number <= ?)", (number,))

    def note_refused(self, reasons: Mapping[str, str]) -> None:
        """Note why the hub does not take these runs, by their ids; their commits it has."""
        self.put({f"{REFUSED}{run_id}": reason for run_id, reason in reasons.items()})

    def refused(self) -> dict[str, str]:
        """Why the hub does not take some runs, by their ids."""
        return self._notes(REFUSED)

    def note_lost(self, commit: str, files: str) -> None:
        """Note the files of a commit that the hub does not have, in words."""
        self.put({f"{LOST}{commit}": files})

    def lost(self) -> dict[str, str]:
        """The files that the hub does not have, in words, by commit."""
        return self._notes(LOST)

    def forget_notes(self) -> None:
        """Another hub may take what the last one did not."""
        self.put({f"{prefix}{name}": None for prefix in (REFUSED, LOST) for name in self._notes(prefix)})

    def _notes(self, prefix: str) -> dict[str, str]:
        found = self._connection.execute(
            "SELECT substr(key, ?1 + 1), value FROM journal_meta WHERE substr(key, 1, ?1) = ?2 ORDER BY key",
            (len(prefix), prefix),
        )
        return dict(found)

    def pushed_packs(self) -> set[str]:
        """The packs that the bound hub is known to have taken."""
        return {pack for (pack,) in self._connection.execute("SELECT pack FROM journal_pushed_packs")}

    def mark_pack_pushed(self, pack: str) -> None:
        """Note that the hub has all objects of a pack."""
        self._connection.execute("INSERT OR IGNORE INTO journal_pushed_packs VALUES (?)", (pack,))

    def forget_pushed_packs(self) -> None:
        """Ask the hub about every pack again."""
        self._connection.execute("DELETE FROM journal_pushed_packs")

    # The rest

    def counts(self) -> Counts:
        """The numbers that the status shows."""
        states = dict(self._connection.execute("SELECT state, count(*) FROM journal_runs GROUP BY state"))
        commits, pushed = self._connection.execute(
            "SELECT count(*), coalesce(sum(pushed), 0) FROM journal_commits"
        ).fetchone()
        return Counts(
            runs=sum(states.values()) - states.get("earlier", 0),
            pending=states.get("pending", 0),
            earlier=states.get("earlier", 0),
            commits=commits,
            pushed=pushed,
        )

    def get(self, key: str) -> str | None:
        """A value that was `put`, or None."""
        return self._text("SELECT value FROM journal_meta WHERE key = ?", (key,))

    def put(self, values: Mapping[str, str | None]) -> None:
        """Remember values by key; None forgets."""
        for key, value in values.items():
            if value is None:
                self._connection.execute("DELETE FROM journal_meta WHERE key = ?", (key,))
            else:
                self._connection.execute("INSERT OR REPLACE INTO journal_meta VALUES (?, ?)", (key, value))

    def _text(self, query: str, values: tuple[Any, ...] = ()) -> str | None:
        found = self._one(query, values)
        return None if found is None else str(found)

    def _one(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        row = self._connection.execute(query, values).fetchone()
        return row[0] if row else None


def record_commits(entries: Iterable[CommitEntry], connection: sqlite3.Connection) -> None:
    """Enter commits, oldest first, inside the store's transaction that makes their objects durable."""
    for entry in entries:
        record_commit(connection, entry)


def record_commit(connection: sqlite3.Connection, entry: CommitEntry) -> None:
    """Enter a commit, inside the store's transaction that makes its objects durable."""
    connection.execute(
        "INSERT INTO journal_commits (id, created_at) VALUES (?, ?)", (entry.id, entry.created_at.isoformat())
    )
    connection.execute("INSERT OR REPLACE INTO journal_meta VALUES ('consistency', ?)", (entry.consistency,))
    for record, source in entry.runs:
        _enter_committed(connection, record, source, entry.id)
    connection.executemany(
        "INSERT OR REPLACE INTO journal_environments VALUES (?, ?)", list(entry.environments.items())
    )
    connection.executemany(
        "UPDATE journal_notebooks SET baseline = :baseline, derived_since = iif(cells = :state, NULL, derived_since)"
        " WHERE path = :path",
        [
            {"path": path, "state": msgspec.json.encode(state), "baseline": msgspec.json.encode(state.cells)}
            for path, state in entry.accounted.items()
        ],
    )
    if entry.accounted:
        from committer.detect.evidence import keys_of
    for path, state in entry.accounted.items():
        _remember(connection, keys_of(state, path))
    connection.executemany(
        "UPDATE journal_notebooks SET covered = 1 WHERE path = ?", [(path,) for path in entry.uncovered]
    )


def record_history(connection: sqlite3.Connection, entries: Iterable[CommitEntry]) -> None:
    """Enter commits that the bound hub has, oldest first, into an empty journal, inside the store's transaction.

    All that the store holds by then, the hub has, too.
    """
    record_commits(entries, connection)
    connection.execute("UPDATE journal_commits SET pushed = 1")
    connection.execute(
        "UPDATE journal_runs SET in_notebook = 1, notebook = json_extract(CAST(record AS TEXT), '$.place.notebook'),"
        " noticed_at = (SELECT created_at FROM journal_commits WHERE id = commit_id)"
    )
    connection.execute("INSERT OR IGNORE INTO journal_pushed_packs SELECT lower(hex(hash)) FROM pack")


def _enter_committed(connection: sqlite3.Connection, record: RunRecord, source: Source, commit: str) -> None:
    """Update the pending row, or add one for a run that exists only since this commit, such as a correction."""
    connection.execute(
        "INSERT INTO journal_runs (run_id, state, source, record, digest, expects_notebook, in_notebook,"
        " noticed_at, commit_id)"
        " VALUES (?, 'committed', ?, ?, '', 0, 0, ?, ?) ON CONFLICT (run_id) DO UPDATE SET state = 'committed',"
        " record = excluded.record, commit_id = excluded.commit_id",
        (record.run_id, source, encode_json(record), _now(), commit),
    )


def _remember(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    rows = ((key,) for key in keys)
    connection.executemany("INSERT OR IGNORE INTO journal_executions VALUES (?)", rows)


def _run_row(row: tuple[Any, ...]) -> RunRow:
    seq, run_id, state, source, record, digest, notebook, expected, seen, *rest = row
    noticed_at, commit, environment, differs, pushed = rest
    decoded = decode_json(record, RunRecord)
    if differs:
        decoded = msgspec.structs.replace(decoded, warnings=[*decoded.warnings, DIFFERS_WARNING.format(differs)])
    return RunRow(
        seq=seq,
        run_id=run_id,
        state="pushed" if pushed else state,
        source=source,
        record=decoded,
        digest=digest,
        notebook=notebook,
        expects_notebook=bool(expected),
        in_notebook=bool(seen),
        noticed_at=datetime.fromisoformat(noticed_at),
        commit=commit,
        environment=environment,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
