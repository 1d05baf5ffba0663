"""The table of docs/design/executions.md: what is an execution, and what only looks like one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.notebooks import START, at, code, display, document, failure, stream, text

from committer.detect.derive import derived_run
from committer.detect.evidence import executions, is_trailing, keys_of, wait_s
from dotscience.notebook_cells import CellError, read_state

DOT = "6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0"
SINCE = START - timedelta(days=1)
CLOCK = START + timedelta(hours=1)


def executed(before, now, *others, path="a.ipynb", since=SINCE, clock=CLOCK):
    """The places of the cells that were executed; `before` and `others` are accounted for. None: never seen."""
    remembered = {key for one in (before, *others) if one is not None for key in keys_of(read_state(one), "a.ipynb")}
    known = None if before is None else read_state(before).cells
    found = executions(known, read_state(now), remembered.__contains__, path=path, tracked_since=since, clock=clock)
    return [execution.cell.index for execution in found]


ONE, TWO = code("1", stream("1\n"), count=1), code("2", stream("2\n"), count=2)
ONE_ID, TWO_ID = ONE | {"id": "a"}, TWO | {"id": "b"}
TIMED = code("t", stream("t"), count=3, cell_id="t", times=(0, 1))
PAPERMILL_RUNS = {"start_time": at(0), "end_time": None}
PENDING = code("p", cell_id="p", metadata={"papermill": {"status": "pending"}})
PNG = display(image__png="iVBO\n", text__plain="<Figure>")
CASES = {
    # nothing was executed
    "the same": ([ONE, TWO], [ONE, TWO], []),
    "a text cell on top": ([ONE, TWO], [text(), ONE, TWO], []),
    "a text cell on top, with ids": ([ONE_ID, TWO_ID], [text(), ONE_ID, TWO_ID], []),
    "a cell deleted": ([ONE, TWO], [TWO], []),
    "a cell moved": ([ONE, TWO], [TWO, ONE], []),
    "a cell moved, with ids": ([ONE_ID, TWO_ID], [TWO_ID, ONE_ID], []),
    "an unexecuted cell inserted": ([ONE, TWO], [ONE, code("new"), TWO], []),
    "ids given by an upgrade": ([ONE, TWO], [ONE_ID, TWO_ID], []),
    "duplicate ids repaired": ([ONE | {"id": "x"}, TWO | {"id": "x"}], [ONE_ID, TWO_ID], []),
    "ids changed at random": ([ONE_ID, TWO_ID], [ONE | {"id": "r1"}, TWO | {"id": "r2"}], []),
    "sources edited, outputs kept": ([ONE_ID, TWO_ID], [ONE_ID | {"source": "11"}, TWO_ID], []),
    "sources edited, no ids": ([ONE, TWO], [ONE | {"source": "11"}, TWO], []),
    "outputs cleared": ([ONE, TWO], [code("1"), code("2")], []),
    "outputs cleared, counts kept": ([ONE, TWO], [code("1", count=1), code("2", count=2)], []),
    "counts cleared": ([ONE, TWO], [ONE | {"execution_count": None}, TWO], []),
    "a cell copied": ([ONE, TWO], [ONE, ONE, TWO], []),
    "a cell copied, with a new id": ([ONE_ID, TWO_ID], [ONE_ID, TWO_ID, ONE | {"id": "c"}], []),
    "a cell pasted from elsewhere": ([ONE_ID, TWO_ID], [ONE_ID, TWO_ID, code("e", stream("e"), count=1)], []),
    "a timed cell copied": ([TIMED], [TIMED, TIMED | {"id": "copy"}], []),
    "an image without its last line end": (
        [code("p", PNG, count=1, cell_id="p")],
        [code("p", display(image__png="iVBO", text__plain="<Figure>"), count=1, cell_id="p")],
        [],
    ),
    "stream pieces joined": (
        [code("s", stream("a\n"), stream("b\n"), count=1, cell_id="s")],
        [code("s", stream("a\nb\n"), count=1, cell_id="s")],
        [],
    ),
    "the number comes later": ([ONE_ID | {"execution_count": None}], [ONE_ID], []),
    "a partial and a final output": (
        [code("t", stream("t"), count=3, cell_id="t", times=(0, 0))],
        [code("t", stream("tt"), count=3, cell_id="t", times=(0, 9))],
        [],
    ),
    # something was
    "the first execution": ([code("1")], [ONE], [0]),
    "executed again": ([ONE, TWO], [ONE, TWO | {"execution_count": 3}], [1]),
    "executed again, with ids": ([ONE_ID, TWO_ID], [ONE_ID | {"execution_count": 3}, TWO_ID], [0]),
    "restarted, another result": ([ONE, TWO], [code("1", stream("x"), count=1), TWO], [0]),
    "a new cell executed": ([ONE, TWO], [ONE, TWO, code("3", count=3)], [2]),
    "a new cell executed, no ids, in between": ([ONE, TWO], [ONE, code("3", stream("3"), count=3), TWO], [1]),
    "moved and executed": ([ONE_ID, TWO_ID], [TWO_ID | {"execution_count": 3}, ONE_ID], [0]),
    "edited and executed": ([ONE_ID, TWO_ID], [ONE_ID, code("22", stream("22"), count=3, cell_id="b")], [1]),
    "edited and executed, no ids": ([ONE, TWO], [ONE, code("22", stream("22"), count=3)], [1]),
    "null counts, new outputs": (
        [code("print(1)", stream("1\n"), cell_id="a")],
        [code("print(2)", stream("2\n"), cell_id="a")],
        [0],
    ),
    "null counts, the first outputs": ([code("1", cell_id="a")], [code("1", stream("1"), cell_id="a")], [0]),
    "counts that stay": ([code("1", stream("a"), count=0)], [code("1", stream("b"), count=0)], [0]),
    "equal results, newer time": ([TIMED], [code("t", stream("t"), count=3, cell_id="t", times=(60, 61))], [0]),
    "equal results, newer time, no id": (
        [code("t", stream("t"), count=1, times=(0, 1))],
        [code("t", stream("t"), count=1, times=(60, 61))],
        [0],
    ),
    "no execute_input": (
        [code("t", stream("t"), cell_id="t")],
        [
            code(
                "t",
                stream("t"),
                cell_id="t",
                metadata={"execution": {"iopub.status.busy": "2026-03-01T12:00:01Z"}},
            )
        ],
        [0],
    ),
    "executed by a writer that keeps another's times": (
        [TIMED],
        [code("t", stream("t"), count=9, cell_id="t", times=(0, 1))],
        [0],
    ),
    "cleared, then executed with the same result": ([code("1", cell_id="a")], [ONE_ID], [0]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_an_execution(case):
    before, now, places = CASES[case]
    assert executed(document(*before), document(*now)) == places


@pytest.mark.parametrize("case", [name for name, (_, _, places) in CASES.items() if not places])
def test_what_is_none_is_none_backwards_after_it_was_seen(case):
    """As with `git checkout` to and fro."""
    before, now, _ = CASES[case]
    assert executed(document(*now), document(*before), document(*before)) == []


def test_going_back_to_an_earlier_file_is_no_execution():
    first, second = document(ONE, TWO), document(ONE, TWO | {"execution_count": 3})
    assert executed(second, first, first) == []


def test_a_notebook_that_appears_is_executed_where_its_times_are_new():
    fresh = document(TIMED, ONE)
    assert executed(None, fresh) == [0]
    assert executed(None, fresh, since=START + timedelta(hours=1)) == []
    assert executed(None, fresh, fresh) == []  # a copy
    assert executed(None, document(TIMED | {"id": "z"}, text()), fresh) == []  # a copy that was edited
    assert executed(None, document(ONE, TWO)) == []


def test_a_cell_that_printed_nothing_is_an_execution_though_another_notebook_has_its_like():
    imports = code("import os", count=2, cell_id="b")
    before, now = document(ONE_ID), document(ONE_ID, imports)
    assert executed(before, now, document(imports), path="b.ipynb") == [1]
    assert executed(before, now, document(imports)) == []  # cut and pasted again


def test_an_older_time_is_an_execution_only_where_the_clock_was_set_back():
    newer, older = document(TIMED), document(code("t", stream("t"), count=3, cell_id="t", times=(-60, -59)))
    assert executed(newer, older) == []
    assert executed(newer, older, clock=START - timedelta(seconds=30)) == [0]


def test_a_clock_before_the_start_of_tracking_makes_no_run_of_an_old_copy():
    recent, old = (document(code("t", stream("t"), count=3, times=(start, start + 1))) for start in (-60, -90_000))
    assert executed(None, recent, since=CLOCK + timedelta(days=1)) == [0]
    assert executed(None, old, since=CLOCK + timedelta(days=1)) == []


def test_a_cell_that_began_after_the_clock_was_set_back_and_ended_later_than_before_was_executed():
    before, again = (document(code("t", stream("t"), count=3, times=times)) for times in ((0, 1), (-3_000, 3_000)))
    assert executed(before, again) == [0]


def test_a_cell_that_is_running_is_not_executed_yet():
    noted = {"papermill": {"status": "running"}, "execution": {"iopub.execute_input": at(0)}}
    before, running = document(code("x", cell_id="x")), code("x", stream("x"), cell_id="x", metadata=noted)
    assert executed(before, document(running, papermill=PAPERMILL_RUNS)) == []
    assert executed(before, document(running, papermill=PAPERMILL_RUNS | {"end_time": at(2)})) == [0]


def test_a_cell_that_papermill_never_came_to_can_be_executed_by_others():
    before = document(PENDING, papermill=PAPERMILL_RUNS)
    now = document(
        code("p", count=1, cell_id="p", times=(60, 61), metadata=PENDING["metadata"]), papermill=PAPERMILL_RUNS
    )
    assert executed(before, now) == [0]


@pytest.mark.parametrize(
    ("began", "error"), [(0, CellError("CellExecutionError", "no such name", "")), (60, None)], ids=["noted", "later"]
)
def test_a_failure_that_only_papermill_noted_is_an_error_until_the_cell_is_executed_again(began, error):
    noted = {"papermill": {"exception": True, "start_time": at(0), "end_time": at(1)}}
    cell = code("f", stream("no such name\n", "stderr"), times=(began, began + 0.5), metadata=noted)
    assert read_state(document(cell)).cells[0].error == error


def test_a_thousand_equal_cells_take_no_time_to_speak_of():
    many = [code("x", count=number) for number in range(3_000)]
    assert executed(document(*many), document(*many[1:], code("x", count=9_000))) == [2_999]


def found(*cells, **metadata):
    state = read_state(document(*cells, **metadata))
    return executions([], state, {""}.__contains__, path="a.ipynb", tracked_since=SINCE, clock=CLOCK), state


def test_cells_after_a_run_trail_it_until_there_is_a_pause():
    ended_at, saved_at = START + timedelta(seconds=5), START + timedelta(seconds=60)
    near, chained = code("a", count=1, times=(6, 30)), code("b", count=2, times=(35, 40))
    far = code("c", count=3, times=(55, 56))
    assert is_trailing(*found(near, chained), ended_at, ended_at, saved_at)
    assert not is_trailing(*found(near, chained, far), ended_at, ended_at, saved_at)
    assert not is_trailing(*found(chained), ended_at, ended_at, saved_at)
    untimed = found(code("a", count=1))
    assert is_trailing(*untimed, ended_at, ended_at, ended_at + timedelta(seconds=9))
    assert not is_trailing(*untimed, ended_at, ended_at, ended_at + timedelta(seconds=11))


def test_what_is_before_a_run_and_its_burst_does_not_trail_it():
    began_at = ended_at = START + timedelta(days=1)
    burst = [code("a", count=1, times=(86_380, 86_392)), code("b", count=2, times=(86_393, 86_401))]
    assert is_trailing(*found(*burst), began_at, ended_at, ended_at)
    assert not is_trailing(*found(code("c", count=3, times=(60, 61)), *burst), began_at, ended_at, ended_at)
    assert not is_trailing(*found(code("a", count=1)), began_at, ended_at, START)


@pytest.mark.parametrize(
    ("cells", "metadata", "seconds"),
    [
        ([code("a", count=1, times=(0, 13)), code("b")], {}, 39),
        ([code("a", count=1, times=(0, 13))], {}, 10),  # the last cell: it is over
        ([code("a", failure(), count=1, times=(0, 13)), code("b")], {}, 10),  # writers stop at exceptions
        ([code("a", count=1, times=(0, 1)), code("b")], {}, 10),
        ([code("a", count=1, times=(0, 9_000)), code("b")], {}, 3_600),
        ([code("a", count=1, times=(0, 1))], {"papermill": PAPERMILL_RUNS}, 300),
        # papermill ended at a failure, for which this kernel has no output
        ([code("a", count=1, times=(0, 1)), PENDING], {"papermill": PAPERMILL_RUNS | {"end_time": at(2)}}, 10),
    ],
)
def test_for_how_long_an_execution_is_waited_for(cells, metadata, seconds):
    assert wait_s(*found(*cells, **metadata), 10.0) == seconds


def test_a_derived_run_has_what_outputs_and_times_tell():
    executed_cells, _ = found(
        code("a", count=1, times=(1, 3)),
        code("b", failure("ZeroDivisionError", "division by zero"), count=2, times=(3, 8)),
    )
    run = derived_run(DOT, "a.ipynb", executed_cells, saved_at=START + timedelta(minutes=1))
    assert (run.error, run.traceback) == (
        "ZeroDivisionError: division by zero",
        "---------\nZeroDivisionError: division by zero",
    )
    assert (run.started_at, run.ended_at) == (START + timedelta(seconds=1), START + timedelta(seconds=8))
    assert run.description == "Executed 2 cells of a.ipynb"


def test_a_derived_run_has_the_same_id_for_the_same_execution():
    one, other = found(TIMED)[0], found(code("u", count=1))[0]
    now, later = datetime.now(UTC), datetime.now(UTC) + timedelta(seconds=1)
    assert derived_run(DOT, "a", one, saved_at=now).run_id == derived_run(DOT, "a", one, saved_at=later).run_id
    assert derived_run(DOT, "a", one, saved_at=now).run_id != derived_run(DOT, "b", one, saved_at=now).run_id
    assert derived_run(DOT, "a", other, saved_at=now).run_id != derived_run(DOT, "a", other, saved_at=later).run_id
