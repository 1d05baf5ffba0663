"""Whose a run is, and what a sighting of it changes in the journal. See ARCHITECTURE 4.4.

A run is ours if its sidecar is here, or if nobody knows its id and it ended after this workspace began to be tracked.
Everything else came with a copied notebook or a clone: an *earlier run*, listed and imported only on request.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from committer.ages import utc_now
from committer.detect.derive import derived_run
from committer.detect.evidence import SKEW, Execution, executions, file_key, is_since, is_trailing, keys_of, wait_s
from committer.detect.run_content import differing_fields
from committer.detect.sighting import NotebookSight, Sighting
from committer.sync.journal import Journal, NewRun, NotebookRow, RunRow, Source

SOURCE_RANK: dict[Source, int] = {"sidecar": 3, "mime": 2, "marker": 1, "derived": 0, "correction": 0}
DerivedRuns = Literal["executed", "every_save", "off"]
TRAILED = "trailed:"
"""In the journal's values: until when cells of a notebook, whose path follows, went on after its last run."""
CLOCK = "clock:"
"""In the journal's values: the earliest that the clock showed since the derived run of a notebook, whose path follows,
is open. It may be set forward again before that is closed."""
RECORD_SOURCES = frozenset({"sidecar", "mime"})


class Noticed(Struct, frozen=True):
    """A run that a sighting made known or changed."""

    run_id: str
    action: Literal["detected", "updated"]


def notice(journal: Journal, sightings: Iterable[Sighting], *, tracked_since: datetime) -> list[Noticed]:
    """Enter what was seen, in the caller's transaction; each run once, whatever the number of its carriers.

    Idempotent: seeing the same again changes nothing.
    """
    noticed = []
    for seen in sightings:
        action = _notice_one(journal, seen, tracked_since)
        if action is not None:
            noticed.append(Noticed(seen.record.run_id, action))
    return noticed


def _notice_one(journal: Journal, seen: Sighting, tracked_since: datetime) -> Literal["detected", "updated"] | None:
    known = journal.run(seen.record.run_id)
    if known is None:
        journal.add_run(_new_run(seen, "pending" if _is_ours(seen, tracked_since) else "earlier"))
        return "detected"
    if _may_differ(seen, known) and (fields := differing_fields(seen.record, known.record)):
        journal.mark_differs(known.run_id, fields)
    if known.commit is None and SOURCE_RANK[seen.source] > SOURCE_RANK[known.source]:
        ours = known.state == "pending" or seen.source == "sidecar"
        journal.replace_run(_new_run(seen, "pending" if ours else "earlier"))
        return "updated"
    if _first_saved(seen, known) and seen.seen_in is not None:
        journal.mark_in_notebook(known.run_id, seen.seen_in)
        return "updated"
    return None


def _is_ours(seen: Sighting, tracked_since: datetime) -> bool:
    ended_at = seen.record.ended_at
    return seen.source == "sidecar" or (ended_at is not None and is_since(ended_at, tracked_since, utc_now()))


def _may_differ(seen: Sighting, known: RunRow) -> bool:
    """Text carriers hold values as strings, so only carriers of one kind can be compared."""
    alike = (seen.source in RECORD_SOURCES) == (known.source in RECORD_SOURCES)
    return alike and bool(known.digest) and known.digest != seen.digest


def _first_saved(seen: Sighting, known: RunRow) -> bool:
    return not known.in_notebook and seen.seen_in is not None and known.notebook in (None, seen.seen_in)


def _new_run(seen: Sighting, state: Literal["pending", "earlier"]) -> NewRun:
    return NewRun(
        record=seen.record,
        state=state,
        source=seen.source,
        digest=seen.digest,
        notebook=seen.notebook,
        expects_notebook=seen.notebook is not None or _is_interactive(seen),
        in_notebook=seen.seen_in is not None and seen.seen_in == seen.notebook,
    )


def _is_interactive(seen: Sighting) -> bool:
    """Whether it probably ran for a notebook, which a kernel under nbconvert or papermill does not know."""
    place = seen.record.place
    return seen.record.mode == "interactive" or (place is not None and place.kernel_id is not None)


def notice_notebook(
    journal: Journal, sight: NotebookSight, *, tracked_since: datetime, derived_runs: DerivedRuns
) -> list[Noticed]:
    """Enter a notebook's readable state and the runs in it, in one transaction.

    The first sight of a notebook sets its baseline, unless it was executed since the folder is tracked. A save that
    belongs to a run which was committed before the notebook was saved is accounted for by that run, and so is one with
    cells that went on without a pause after a run.
    """
    with journal.transaction():
        known = journal.notebook(sight.path)
        covered = known is not None and (known.covered or _shows_committed_run(journal, sight))
        noticed = notice(journal, sight.sightings, tracked_since=tracked_since)
        found = _executed(journal, sight, known, tracked_since)
        if derived_runs == "every_save":
            is_open = known is not None and not covered and known.signature != sight.signature
        else:
            is_open = derived_runs == "executed" and bool(found) and not covered
            is_open = is_open and not _goes_on(journal, sight, found)
        baseline = known.baseline if known is not None and is_open else None
        if not is_open:
            baseline = sight.state.cells
        journal.put({f"{CLOCK}{sight.path}": _clock(journal, known, sight.path).isoformat() if is_open else None})
        journal.remember([file_key(sight.state)] if is_open else keys_of(sight.state, sight.path))
        journal.save_notebook(
            NotebookRow(
                path=sight.path,
                signature=sight.signature,
                saved_at=sight.saved_at,
                state=sight.state,
                baseline=baseline,
                derived_since=sight.saved_at if is_open else None,
            )
        )
    return noticed


def _executed(
    journal: Journal, seen: NotebookSight | NotebookRow, known: NotebookRow | None, tracked_since: datetime
) -> list[Execution]:
    """The executions in a state of a notebook that are not accounted for."""
    before = known.baseline if known is not None else None
    return executions(
        before,
        seen.state,
        journal.is_remembered,
        path=seen.path,
        is_open=known is not None and known.derived_since is not None,
        tracked_since=tracked_since,
        clock=_clock(journal, known, seen.path),
    )


def _clock(journal: Journal, known: NotebookRow | None, path: str) -> datetime:
    """What time it is, or the earliest that it was while the notebook's derived run is open."""
    earliest = journal.get(f"{CLOCK}{path}") if known is not None and known.derived_since is not None else None
    now = utc_now()
    return now if earliest is None else min(now, datetime.fromisoformat(earliest))


def _goes_on(journal: Journal, sight: NotebookSight, found: list[Execution]) -> bool:
    """Whether the executions follow the notebook's last run without a pause, so that they are its trailing cells.

    A cell that the run has executed already is executed again, which is another run. A derived run has no trailing
    cells that failed: the failure would be nowhere.
    """
    run = journal.last_run_of(sight.path)
    if run is None or run.state == "pending" or run.record.ended_at is None:
        return False
    began_at = run.record.started_at
    if run.record.ended_at > utc_now() + SKEW:
        return False  # it ended before the clock was set back, so nothing tells what follows it at once
    if began_at is not None and any(one.earlier_at is not None and one.earlier_at >= began_at for one in found):
        return False
    if run.source == "derived":
        goes_on = all(one.cell.started_at is not None and one.cell.error is None for one in found)
        began_at = began_at or run.record.ended_at
        return goes_on and is_trailing(found, sight.state, began_at, run.record.ended_at, sight.saved_at)
    trailed_until = journal.get(f"{TRAILED}{sight.path}")
    ended_at = max(run.record.ended_at, datetime.fromisoformat(trailed_until)) if trailed_until else run.record.ended_at
    goes_on = is_trailing(found, sight.state, began_at or run.record.ended_at, ended_at, sight.saved_at)
    if goes_on:
        journal.put({f"{TRAILED}{sight.path}": sight.saved_at.isoformat()})
    return goes_on


def _shows_committed_run(journal: Journal, sight: NotebookSight) -> bool:
    """Whether this is the first save with a run that was committed without waiting for it any longer."""
    rows = (journal.run(seen.record.run_id) for seen in sight.sightings)
    return any(
        row is not None and row.commit is not None and not row.in_notebook and row.notebook in (None, sight.path)
        for row in rows
    )


def close_derived(
    journal: Journal, path: str, *, dot_id: str, tracked_since: datetime, derived_runs: DerivedRuns = "executed"
) -> list[Noticed]:
    """Enter the derived run of a notebook whose execution is over, unless a published run accounts for it."""
    with journal.transaction():
        row = journal.notebook(path)
        if row is None or row.derived_since is None:
            return []
        if any(run.notebook == path and run.source != "derived" for run in journal.pending_runs()):
            return []
        found = _executed(journal, row, row, tracked_since)
        record = derived_run(dot_id, path, found, saved_at=row.saved_at)
        journal.save_notebook(msgspec.structs.replace(row, baseline=row.state.cells, derived_since=None))
        journal.put({f"{CLOCK}{path}": None})
        journal.remember(keys_of(row.state, row.path))
        is_known = journal.run(record.run_id) is not None  # or a copy of the notebook has accounted for the cells
        if is_known or not (found or derived_runs == "every_save"):
            return []
        journal.add_run(
            NewRun(
                record=record,
                state="pending",
                source="derived",
                digest="",
                notebook=path,
                expects_notebook=True,
                in_notebook=True,
            )
        )
    return [Noticed(record.run_id, "detected")]


def derived_wait_s(journal: Journal, path: str, *, quiet_s: float, tracked_since: datetime) -> float:
    """For how long after its last save an open derived run of a notebook waits, in case the execution goes on."""
    row = journal.notebook(path)
    if row is None:
        return quiet_s
    return wait_s(_executed(journal, row, row, tracked_since), row.state, quiet_s)
