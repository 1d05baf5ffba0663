"""Every run exactly once, however the notebook came to be written, and no run of somebody else's."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading

import nbformat
import psutil
import pytest
from support.stack import DS, ds, json_lines, publishing, write_notebook


def execute(path, root, *arguments):
    """`jupyter nbconvert --execute --inplace`, as a person would run it."""
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    subprocess.run([*command, *arguments, str(path)], cwd=root, check=True, capture_output=True, timeout=120)


def published_ids(path):
    return [json.loads(line)["run_id"] for line in ds("inspect", str(path), "--json").stdout.splitlines()]


def on_hub(hub, tracked, authority="workload"):
    return [run for run in hub.runs(tracked.project) if run["record"]["authority"] == authority]


def test_nbconvert_in_place_is_captured(hub, tracked):
    path = write_notebook(tracked.root / "a.ipynb", publishing(2))
    execute(path, tracked.root)
    tracked.wait_for_runs(2)
    runs = on_hub(hub, tracked)
    assert sorted(run["id"] for run in runs) == sorted(published_ids(path))
    assert {run["record"]["workload_file"] for run in runs} == {"a.ipynb"}
    saved = hub.content(tracked.project, runs[0]["commit"], "a.ipynb")
    assert runs[0]["id"].encode() in saved


def test_two_hundred_publishes_in_one_notebook(hub, tracked):
    path = write_notebook(tracked.root / "many.ipynb", publishing(200))
    execute(path, tracked.root)
    tracked.wait_for_runs(200)
    ids = [run["id"] for run in on_hub(hub, tracked)]
    assert len(ids) == len(set(ids)) == 200


def test_three_notebooks_saved_at_once(hub, tracked):
    paths = [write_notebook(tracked.root / f"n{i}.ipynb", publishing(3)) for i in range(3)]
    executions = [threading.Thread(target=execute, args=(path, tracked.root)) for path in paths]
    for execution in executions:
        execution.start()
    for execution in executions:
        execution.join()
    tracked.wait_for_runs(9)
    runs = on_hub(hub, tracked)
    assert len(runs) == 9
    assert {run["record"]["workload_file"] for run in runs} == {"n0.ipynb", "n1.ipynb", "n2.ipynb"}


def test_a_notebook_that_papermill_rewrites_while_it_is_watched(hub, tracked):
    source = write_notebook(tracked.root / "source.ipynb", "n = 1", publishing(1), "print(n)", publishing(1))
    command = [sys.executable, "-m", "papermill", "-p", "n", "5", str(source), str(tracked.root / "out.ipynb")]
    subprocess.run(command, cwd=tracked.root, check=True, capture_output=True, timeout=120)
    tracked.wait_for_runs(2)
    assert sorted(run["id"] for run in on_hub(hub, tracked)) == sorted(published_ids(tracked.root / "out.ipynb"))


def test_captured_and_cleared_outputs_keep_their_runs(hub, tracked):
    captured = "%%capture\nds.start('captured'); ds.publish()"
    cleared = "from IPython.display import clear_output\nds.start('cleared'); ds.publish(); clear_output()"
    path = write_notebook(tracked.root / "gone.ipynb", "import dotscience as ds", captured, cleared)
    execute(path, tracked.root)
    tracked.wait_for_runs(2)
    assert {run["record"]["description"] for run in on_hub(hub, tracked)} == {"captured", "cleared"}


def test_a_fifty_megabyte_notebook(hub, tracked):
    path = write_notebook(tracked.root / "big.ipynb", publishing(1))
    execute(path, tracked.root)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell("big", outputs=[nbformat.v4.new_output("stream", text="x" * 50_000_000)])
    )
    tracked.wait_for_runs(1)
    run_ids = published_ids(path)
    path.write_text(nbformat.writes(notebook))
    ds("commit", "-m", "with the big output", cwd=tracked.root)
    status = tracked.wait_for(lambda status: not status["unpushed"] and status["state"] in {"pushed", "watching"})
    assert [run["id"] for run in on_hub(hub, tracked)] == run_ids
    assert hub.content(tracked.project, status["head"], "big.ipynb") == path.read_bytes()


def test_a_copied_notebook_and_a_clone_full_of_old_runs_bring_no_run(hub, tracked, make_tracked, tmp_path):
    path = write_notebook(tracked.root / "original.ipynb", publishing(3))
    execute(path, tracked.root)
    tracked.wait_for_runs(3)
    shutil.copy(path, tracked.root / "copy.ipynb")
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copy(path, clone / "cloned.ipynb")
    other = make_tracked("clone")
    other.bind(hub)
    other.start()
    earlier = other.wait_for(lambda status: status["earlier_runs"] == 3 and status["head"] and not status["unpushed"])
    assert earlier["runs"] == 0
    assert on_hub(hub, other) == []
    ds("commit", "-m", "after the copy", cwd=tracked.root)
    tracked.wait_for(lambda status: not status["unpushed"])
    assert len(on_hub(hub, tracked)) == 3


def test_a_renamed_folder_goes_on(hub, tracked, tmp_path):
    write_notebook(tracked.root / "a.ipynb", publishing(1))
    execute(tracked.root / "a.ipynb", tracked.root)
    tracked.wait_for_runs(1)
    tracked.kill()
    tracked.root = tracked.root.rename(tmp_path / "renamed")
    tracked.start()
    execute(tracked.root / "a.ipynb", tracked.root)
    tracked.wait_for_runs(2)
    assert len(on_hub(hub, tracked)) == 2


def test_ds_run_keeps_a_failing_cell_and_its_run(hub, tracked):
    path = write_notebook(
        tracked.root / "fails.ipynb", "import dotscience as ds\nn = 1", publishing(1), "1 / 0", "never = 1"
    )
    finished = ds("run", str(path), "--param", "n=7", cwd=tracked.root, check=False)
    assert finished.returncode == 1
    assert "ZeroDivisionError" in finished.stderr
    saved = nbformat.read(path, as_version=4)
    assert any(output.get("ename") == "ZeroDivisionError" for cell in saved.cells for output in cell.get("outputs", []))
    assert "n = 7" in saved.cells[0].source
    states = [run["state"] for run in tracked.runs() if run["record"]["authority"] == "workload"]
    assert len(states) == 1
    assert states[0] in {"committed", "pushed"}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_ds_run_picks_runs_from_a_commands_output(hub, tracked, stream):
    script = tracked.root / "train.py"
    run_id = "4d1f8f0e-7d2d-4f57-a0d6-5a0d5c0c8f01"
    empty = {"version": "1", "input": [], "output": [], "labels": {}, "summary": {}}
    marker = f"[[DOTSCIENCE-RUN:{run_id}]]{json.dumps({**empty, 'parameters': {'p': '1'}})}[[/DOTSCIENCE-RUN:{run_id}]]"
    script.write_text(
        f"import sys\nprint('before', file=sys.{stream})\nprint({marker!r}, file=sys.{stream})\nsys.exit(3)\n"
    )
    finished = ds("run", "--", sys.executable, "train.py", cwd=tracked.root, check=False)
    assert finished.returncode == 3
    assert "before" in getattr(finished, stream)
    tracked.wait_for_runs(1)
    assert [run["record"]["parameters"] for run in on_hub(hub, tracked)] == [{"p": "1"}]


def test_a_notebook_that_published_nothing_is_a_derived_run(hub, tracked):
    path = write_notebook(tracked.root / "plain.ipynb", "x = 1", "open('made.txt', 'w').write('x')")
    finished = ds("run", str(path), cwd=tracked.root)
    assert "1 run recorded" in finished.stderr
    assert list((tracked.root / ".dotscience" / "runs").glob("*.execution.json")) == []
    tracked.wait_for_runs(1)
    (run,) = on_hub(hub, tracked, "derived")
    assert run["record"]["workload_file"] == "plain.ipynb"
    assert [output["path"] for output in run["record"]["outputs"]] == ["made.txt"]


def test_files_that_no_run_explains_make_one_correction_run(hub, tracked):
    (tracked.root / "stray.csv").write_text("1,2")
    path = write_notebook(tracked.root / "a.ipynb", publishing(1))
    execute(path, tracked.root)
    tracked.wait_for_runs(2)
    (run,) = on_hub(hub, tracked, "correction")
    assert [output["path"] for output in run["record"]["outputs"]] == ["stray.csv"]


def test_inspect_agrees_with_what_was_taken(hub, tracked):
    path = write_notebook(tracked.root / "a.ipynb", publishing(1))
    execute(path, tracked.root)
    tracked.wait_for_runs(1)
    (shown,) = json_lines(ds("inspect", str(path), "--json").stdout)
    (run,) = on_hub(hub, tracked)
    assert shown["run_id"] == run["id"]
    assert shown["metadata"]["parameters"] == {"i": "0"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_execution_keeps_its_runs_and_leaves_nothing_running(hub, make_tracked, number):
    tracked = make_tracked()
    path = write_notebook(tracked.root / "long.ipynb", publishing(1), "import time\nwhile True: time.sleep(1)")
    process = subprocess.Popen([*DS, "run", str(path)], cwd=tracked.root, stderr=subprocess.PIPE, text=True)
    said = "".join(iter(process.stderr.readline, "[2/2] import time\n"))
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "interrupted" in said
    # Whether the cell that was cut short makes a derived run depends on whether its kernel had said that it began.
    assert said.count("  run 0\n") == 1
    assert json.loads(ds("status", "--json", cwd=tracked.root).stdout)["pending_runs"] == 0
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=10)[1] == []
