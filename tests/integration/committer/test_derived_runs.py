"""Runs that nobody published: executions found in saved notebooks, and file changes that no run explains."""

from __future__ import annotations

import json
import os

from dotscience.record import FileRef
from dotscience.workspace import write_durably


def _derived(folder):
    return [run for run in folder.committed().values() if run["record"]["authority"] == "derived"]


def test_an_execution_without_a_publish_is_a_run_with_what_it_changed(folder):
    folder.save_notebook("a.ipynb", cells=1)
    folder.start()
    folder.until(lambda status: status["head"])
    folder.write("model.bin", b"weights")
    folder.save_notebook("a.ipynb", cells=3)
    folder.until(lambda _: _derived(folder))
    (run,) = _derived(folder)
    assert run["record"]["description"] == "Executed 2 cells of a.ipynb"
    assert run["record"]["workload_file"] == "a.ipynb"
    assert [(file["path"], file["observed"]) for file in run["record"]["outputs"]] == [("model.bin", True)]
    assert not [one for one in folder.runs() if one["record"]["authority"] == "correction"]


def test_cells_that_are_executed_again_with_equal_numbers_and_outputs_are_another_run(folder):
    folder.save_notebook("a.ipynb", cells=2, executed_at="2026-01-01T00:00:00Z")
    folder.start(derived_quiet_s="0.1")
    folder.until(lambda status: status["head"])
    folder.save_notebook("a.ipynb", cells=2, executed_at="2026-01-01T00:05:00Z")
    folder.until(lambda _: _derived(folder))
    (run,) = _derived(folder)
    assert run["record"]["description"] == "Executed 2 cells of a.ipynb"


def test_an_earlier_version_of_a_notebook_brings_no_run_of_its_own(folder):
    """Nor does a copy of it: an execution with a time is one execution, wherever it is seen."""
    folder.save_notebook("a.ipynb", cells=2, executed_at="2026-01-01T00:00:00Z")
    folder.save_notebook("c.ipynb", cells=1)
    folder.start(derived_quiet_s="0.1")
    first = folder.until(lambda status: status["head"])["head"]
    folder.save_notebook("a.ipynb", cells=3, executed_at="2026-01-01T00:05:00Z")
    folder.until(lambda _: len(_derived(folder)) == 1)
    assert folder.command("restore", "--from", first, "a.ipynb").returncode == 0
    folder.save_notebook("b.ipynb", cells=1, executed_at="2026-01-01T00:00:00Z")
    folder.save_notebook("c.ipynb", cells=2)
    folder.until(lambda _: len(_derived(folder)) == 2)
    assert [run["record"]["workload_file"] for run in _derived(folder)] == ["a.ipynb", "c.ipynb"]


def test_a_save_that_executed_nothing_is_no_run(folder, make_record):
    folder.save_notebook("a.ipynb", cells=2)
    folder.start()
    folder.until(lambda status: status["head"])
    folder.save_notebook("a.ipynb", cells=1)
    folder.save_notebook("a.ipynb", cells=2)
    run = folder.publish(make_record())
    assert set(folder.until_committed(run.run_id)) == {run.run_id}


def test_a_published_run_accounts_for_the_cells_of_its_notebook(folder, make_record):
    folder.save_notebook("a.ipynb")
    folder.start(derived_quiet_s="0.1")
    folder.until(lambda status: status["head"])
    run = make_record("a.ipynb")
    folder.save_notebook("a.ipynb", run, cells=3)
    folder.until_committed(run.run_id)
    other = folder.publish(make_record())
    folder.until_committed(other.run_id)
    assert _derived(folder) == []


def test_an_execution_that_a_kill_interrupted_is_still_a_run(folder):
    folder.save_notebook("a.ipynb", cells=1)
    process = folder.start(derived_quiet_s="600")
    folder.until(lambda status: status["head"])
    folder.save_notebook("a.ipynb", cells=2)
    folder.client.nudge("a.ipynb")
    folder.client.commit("makes sure that the notebook was read")
    assert process is not None
    folder.kill()
    folder.start()
    folder.until(lambda _: len(_derived(folder)) == 1)


def test_a_bracket_makes_one_run_of_many_saves(folder):
    folder.save_notebook("a.ipynb")
    folder.start(derived_quiet_s="0")
    folder.until(lambda status: status["head"])
    bracket = folder.workspace.runs_dir / "b.execution.json"
    write_durably(bracket, json.dumps({"notebook": "a.ipynb", "pid": os.getpid(), "started_at": ""}).encode())
    for cells in (1, 2, 3):
        folder.save_notebook("a.ipynb", cells=cells)
        folder.client.nudge("a.ipynb")
        folder.client.commit("nothing of the execution is in here")
    assert _derived(folder) == []
    bracket.unlink()
    folder.until(lambda _: _derived(folder))
    assert [run["record"]["description"] for run in _derived(folder)] == ["Executed 3 cells of a.ipynb"]


def test_derived_runs_can_be_switched_off(folder, make_record):
    folder.save_notebook("a.ipynb")
    folder.start(derived_runs="off", derived_quiet_s="0")
    folder.until(lambda status: status["head"])
    folder.save_notebook("a.ipynb", cells=2)
    folder.client.nudge("a.ipynb")
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    assert _derived(folder) == []


def test_changes_that_no_run_explains_are_a_correction_of_the_next_commit_with_a_run(folder, make_record):
    folder.write("data.csv", b"1\n")
    folder.start()
    folder.until(lambda status: status["head"])
    folder.write("data.csv", b"2\n")
    folder.write("code.py", b"pass\n")
    folder.write("claimed.csv", b"3\n")
    run = folder.publish(make_record(outputs=[FileRef(path="claimed.csv")]))
    folder.until_committed(run.run_id)
    (correction,) = [one for one in folder.runs() if one["record"]["authority"] == "correction"]
    assert [file["path"] for file in correction["record"]["outputs"]] == ["data.csv"]
    assert correction["commit"] == folder.committed()[run.run_id]["commit"]
    later = folder.publish(make_record())
    folder.until_committed(later.run_id)
    assert len([one for one in folder.runs() if one["record"]["authority"] == "correction"]) == 1


def test_a_file_that_changed_after_the_run_read_it_is_marked(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record(inputs=[FileRef(path="in.csv")])
    folder.write("in.csv", b"newer\n")
    os.utime(folder.root / "in.csv", (run.ended_at.timestamp() + 60,) * 2)
    folder.publish(run)
    found = folder.until_committed(run.run_id)[run.run_id]
    assert found["record"]["inputs"][0]["changed_after_read"] is True
