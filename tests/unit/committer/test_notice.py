"""Ownership and identity: ARCHITECTURE 4.4."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from support.notebooks import START, code, document, states

from committer.detect.sighting import NotebookSight
from committer.notice import close_derived, notice, notice_notebook
from committer.sync.journal import CommitEntry, record_commit
from dotscience.notebook_cells import read_state

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = datetime(2025, 12, 31, tzinfo=UTC)


def enter(journal, *sightings):
    with journal.transaction():
        return notice(journal, sightings, tracked_since=SINCE)


def commit(store, journal, *, uncovered=(), accounted=None):
    runs = [(row.record, row.source) for row in journal.pending_runs()]
    number = len(journal.commits())
    entry = CommitEntry(
        id=f"{number:064x}",
        created_at=SINCE,
        consistency="stable",
        runs=runs,
        accounted=accounted or {},
        uncovered=list(uncovered),
    )
    store.commit(lambda connection: record_commit(connection, entry))


@pytest.mark.parametrize(
    ("source", "ended_at", "state"),
    [
        ("sidecar", BEFORE, "pending"),
        ("sidecar", None, "pending"),
        ("mime", BEFORE, "earlier"),
        ("marker", SINCE, "earlier"),
        ("marker", None, "earlier"),
        ("mime", datetime(2026, 1, 2, tzinfo=UTC), "pending"),
    ],
)
def test_whose_a_run_is(journal, make_sighting, source, ended_at, state):
    seen = make_sighting(source, ended_at=ended_at, seen_in=None if source == "sidecar" else "a.ipynb")
    assert [one.action for one in enter(journal, seen)] == ["detected"]
    assert journal.run(seen.record.run_id).state == state


def test_seeing_the_same_again_changes_nothing(journal, make_sighting):
    seen = make_sighting("mime", seen_in="a.ipynb")
    enter(journal, seen)
    assert enter(journal, seen, seen) == []
    assert journal.counts().runs == 1


def test_the_better_carrier_wins_until_the_run_is_committed(store, journal, make_sighting):
    marker = make_sighting("marker", seen_in="a.ipynb", parameters={"a": "1"})
    run_id = marker.record.run_id
    sidecar = make_sighting("sidecar", run_id=run_id, parameters={"a": 1})
    enter(journal, marker)
    enter(journal, sidecar)
    row = journal.run(run_id)
    assert (row.source, row.record.parameters, row.notebook, row.in_notebook) == ("sidecar", {"a": 1}, "a.ipynb", True)
    enter(journal, marker)
    assert journal.run(run_id).record.parameters == {"a": 1}
    commit(store, journal)
    assert enter(journal, sidecar) == []


def test_an_earlier_run_becomes_ours_when_its_sidecar_is_here(journal, make_sighting):
    old = make_sighting("mime", seen_in="a.ipynb", ended_at=BEFORE)
    enter(journal, old)
    enter(journal, make_sighting("sidecar", run_id=old.record.run_id, ended_at=BEFORE))
    assert journal.run(old.record.run_id).state == "pending"


def test_other_content_under_a_known_id_is_kept_as_a_warning_that_names_the_fields(store, journal, make_sighting):
    first = make_sighting("sidecar", parameters={"lr": 0.1, "n": 1})
    enter(journal, first)
    commit(store, journal)
    other = msgspec.structs.replace(first.record, parameters={"lr": 0.2, "n": 1}, description="another")
    enter(journal, msgspec.structs.replace(first, source="mime", digest="other", seen_in="b.ipynb", record=other))
    row = journal.run(first.record.run_id)
    assert row.record.warnings == [
        "the same run id was seen again with other content (description, parameters.lr); the first content was kept"
    ]
    assert (row.state, row.record.parameters["lr"]) == ("committed", 0.1)


def test_text_and_typed_carriers_are_not_compared(journal, make_sighting):
    first = make_sighting("sidecar")
    enter(journal, first)
    enter(journal, msgspec.structs.replace(first, source="marker", digest="other", seen_in="a.ipynb"))
    assert journal.run(first.record.run_id).record.warnings == []


def save(journal, *cells, path="a.ipynb", sightings=(), derived_runs="executed", signature="s"):
    sight = NotebookSight(
        path=path,
        signature=signature,
        saved_at=datetime.now(UTC),
        state=states(*cells),
        sightings=list(sightings),
    )
    return notice_notebook(journal, sight, tracked_since=SINCE, derived_runs=derived_runs)


DOT = "6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0"


def test_the_first_sight_of_a_notebook_sets_the_baseline(journal):
    save(journal, "a:1:x")
    assert journal.open_derived() == {}
    assert close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE) == []


def test_an_execution_opens_a_derived_run_that_closes_once(journal):
    save(journal, "a:1:x")
    save(journal, "a:1:x", "b:2:y")
    assert list(journal.open_derived()) == ["a.ipynb"]
    (closed,) = close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE)
    assert journal.run(closed.run_id).record.authority == "derived"
    assert close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE) == []


def test_a_pending_published_run_accounts_for_the_execution(journal, make_sighting):
    save(journal, "a:1:x")
    save(journal, "a:1:x", "b:2:y", sightings=[make_sighting("mime", seen_in="a.ipynb")])
    assert close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE) == []


def test_the_save_after_a_stale_commit_belongs_to_it(store, journal, make_sighting):
    save(journal, "a:1:x")
    a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    enter(journal, make_sighting("sidecar", notebook="a.ipynb", ended_at=a_minute_ago))
    commit(store, journal, uncovered=["a.ipynb"], accounted={"a.ipynb": states("a:1:x")})
    save(journal, "a:1:x", "b:2:y")
    assert journal.open_derived() == {}
    save(journal, "a:1:x", "b:2:y", "c:3:z")
    assert list(journal.open_derived()) == ["a.ipynb"]


@pytest.fixture
def save_executed(journal):
    """Notice a notebook with these cells."""

    def save(*cells, saved_at=None, path="a.ipynb"):
        sight = NotebookSight(
            path=path,
            signature="s",
            saved_at=saved_at or datetime.now(UTC),
            state=read_state(document(*cells)),
            sightings=[],
        )
        notice_notebook(journal, sight, tracked_since=SINCE, derived_runs="executed")

    return save


def test_what_is_executed_again_at_once_is_another_execution_and_what_goes_on_is_not(store, journal, save_executed):
    first, last = code("a", count=1, cell_id="a", times=(0, 1)), code("b", count=2, cell_id="b", times=(2, 3))
    save_executed(first, code("b", cell_id="b"))
    assert len(close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE)) == 1
    commit(store, journal)
    save_executed(first, last)
    assert journal.open_derived() == {}
    save_executed(first | {"metadata": code(times=(5, 6))["metadata"]}, last)
    assert list(journal.open_derived()) == ["a.ipynb"]


def test_every_save_can_be_a_run_and_none(journal):
    save(journal, "a:1:x", derived_runs="every_save", signature="1")
    save(journal, "a:1:x", derived_runs="every_save", signature="2")
    assert list(journal.open_derived()) == ["a.ipynb"]
    save(journal, "a:1:x", "b:2:y", derived_runs="off", signature="3")
    assert journal.open_derived() == {}


def test_a_commit_accounts_for_the_cells_known_when_its_snapshot_started(store, journal):
    save(journal, "a:1:x")
    save(journal, "a:1:x", "b:2:y")
    close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE)
    save(journal, "a:1:x", "b:2:y", "c:3:z")
    commit(store, journal, accounted={"a.ipynb": states("a:1:x", "b:2:y")})
    assert list(journal.open_derived()) == ["a.ipynb"]


DAY_S = 86_400


@pytest.fixture
def set_clock(monkeypatch):
    """Set the committer's clock to so many seconds after `START`."""
    return lambda seconds: monkeypatch.setattr("committer.notice.utc_now", lambda: START + timedelta(seconds=seconds))


def close(journal):
    return len(close_derived(journal, "a.ipynb", dot_id=DOT, tracked_since=SINCE))


@pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])
def test_an_execution_while_the_clock_was_wrong_is_a_run_also_when_it_is_right_again(
    journal, save_executed, set_clock, days
):
    set_clock(10)
    save_executed(code("a", count=1, cell_id="a", times=(0, 1)))
    assert close(journal) == 1
    for wrong_s, right_s in ((20 + days * DAY_S, 30), (40 + days * DAY_S, 50)):
        for set_to in (wrong_s, right_s):
            set_clock(set_to)
            save_executed(code("a", count=set_to, cell_id="a", times=(set_to - 5, set_to - 4)))
            set_clock(right_s)
            assert close(journal) == 1


@pytest.mark.parametrize("run", [(0, 5), (DAY_S, DAY_S + 5), (0, DAY_S)], ids=["right", "ahead", "set meanwhile"])
@pytest.mark.parametrize("is_timed", [True, False], ids=["timed", "untimed"])
def test_what_is_executed_after_a_run_is_none_of_its_cells_where_the_clock_was_set(
    store, journal, make_sighting, save_executed, set_clock, run, is_timed
):
    began_at, ended_at = (START + timedelta(seconds=at) for at in run)
    set_clock(run[1])
    save_executed(code("a", cell_id="a"))
    enter(journal, make_sighting("sidecar", notebook="a.ipynb", started_at=began_at, ended_at=ended_at))
    commit(store, journal)
    executed_s = 60 if run[1] >= DAY_S else 60 - DAY_S
    set_clock(executed_s + 2)
    times = {"times": (executed_s, executed_s + 1)} if is_timed else {}
    save_executed(code("a", count=1, cell_id="a", **times), saved_at=START + timedelta(seconds=executed_s + 1))
    assert close(journal) == 1


def test_runs_that_only_a_notebook_holds_are_ours_where_the_clock_was_set_back(journal, make_sighting, set_clock):
    set_clock((SINCE - START).total_seconds() - DAY_S / 2)
    for hours, state in ((13, "pending"), (48, "earlier")):
        seen = make_sighting("mime", ended_at=SINCE - timedelta(hours=hours), seen_in="a.ipynb")
        enter(journal, seen)
        assert journal.run(seen.record.run_id).state == state
