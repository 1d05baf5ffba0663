"""The unmodified original library, in a kernel and an interpreter of its own: each of its runs, exactly once."""

from __future__ import annotations

import subprocess
import sys

import blake3
import msgspec
import nbformat
import pytest
from support.original import KERNEL, install, printed_runs
from support.stack import ds, write_notebook

from dotscience.record import RunRecord
from dotscience.wire import to_wire

SETUP = """\
import json, os, types
import dotscience as ds
assert "site-packages" in ds.__file__, ds.__file__
sklearn = types.ModuleType("sklearn")
sklearn.__version__ = "0.22.1"
open("data.csv", "w").write("x,y\\n1,2\\n")
"""
TRAIN = """\
ds.start()
ds.add_input("data.csv")
ds.parameter("rate", 0.5); ds.add_parameters(optimizer="adam", shuffle=True)
ds.label("stage", "dev")
os.makedirs("model", exist_ok=True)
open(ds.output("predictions.csv"), "w").write("2\\n")
open("model/weights.bin", "w").write("w" * 1000); open("model/classes.json", "w").write("[]")
ds.model(sklearn, "digits", "model", classes="model/classes.json")
ds.metric("accuracy", 0.97); ds.summary("loss", 1e-05)
ds.publish("trained \\u2013 \\U0001f680")
"""
FAIL = 'ds.start("the second"); ds.set_error("diverged"); ds.parameter("rate", 5); ds.publish()\n'
FILES = ["data.csv", "predictions.csv", "model/weights.bin", "model/classes.json"]


@pytest.fixture(scope="session")
def original():
    return install()


@pytest.fixture
def execute(original, tracked, monkeypatch):
    """`jupyter nbconvert --execute --inplace` of ours with the original's kernel; the notebook as it was left."""
    monkeypatch.setenv("JUPYTER_PATH", str(original.jupyter_path))

    def execute(path, timeout_s=120):
        command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
        arguments = [f"--ExecutePreprocessor.kernel_name={KERNEL}", str(path)]
        subprocess.run([*command, *arguments], cwd=tracked.root, check=True, capture_output=True, timeout=timeout_s)
        return nbformat.read(path, as_version=4)

    return execute


def printed_in(notebook):
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    return printed_runs("".join(output.text for output in outputs if output.output_type == "stream"))


def wait_until_pushed(tracked, run_ids):
    tracked.wait_for(lambda _: {run["run_id"] for run in tracked.runs() if run["state"] == "pushed"} >= set(run_ids))


def workload_runs(hub, tracked):
    """The hub's runs of code by id; each is there once."""
    runs = [run for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]
    assert len({run["id"] for run in runs}) == len(runs)
    return {run["id"]: run for run in runs}


def wire_view(run):
    return to_wire(msgspec.convert(run["record"], RunRecord))


def check_training(hub, tracked, run):
    """Everything that TRAIN said, in the types and places that the hub gives it."""
    record = run["record"]
    assert record["parameters"] == {"rate": "0.5", "optimizer": "adam", "shuffle": "True"}
    assert record["summary"] == {"accuracy": "0.97", "loss": "1e-05"}
    assert record["labels"] == {"stage": "dev"}
    assert record["description"] == "trained \u2013 \U0001f680"
    files = {"model": "model", "classes": "model/classes.json"}
    assert record["models"] == [{"name": "digits", "type": "sklearn-model", "version": "0.22.1", "files": files}]
    references = {file["path"]: file for file in record["inputs"] + record["outputs"]}
    assert sorted(references) == sorted(FILES)
    for path in FILES:
        content = (tracked.root / path).read_bytes()
        assert references[path]["content_hash"] == blake3.blake3(content).hexdigest()
        assert hub.content(tracked.project, run["commit"], path) == content


def test_a_notebook_of_the_original_library(hub, tracked, execute):
    path = write_notebook(tracked.root / "train.ipynb", SETUP, TRAIN, FAIL)
    printed = printed_in(execute(path))
    assert len(printed) == 2
    wait_until_pushed(tracked, printed)
    runs = workload_runs(hub, tracked)
    assert {run_id: without_file(wire_view(run)) for run_id, run in runs.items()} == printed
    assert {run["record"]["workload_file"] for run in runs.values()} == {"train.ipynb"}
    trained = next(run for run in runs.values() if run["record"]["error"] is None)
    failed = next(run for run in runs.values() if run["record"]["error"] is not None)
    assert failed["record"]["error"] == "diverged"
    check_training(hub, tracked, trained)
    assert hub.content(tracked.project, trained["commit"], "train.ipynb") == path.read_bytes()


def without_file(metadata):
    """The committer knows the notebook; the original, in a notebook, never says it."""
    return {name: value for name, value in metadata.items() if name != "workload-file"}


def test_a_script_of_the_original_library(hub, tracked, original):
    (tracked.root / "train.py").write_text(SETUP + TRAIN + FAIL)
    finished = ds("run", "--", str(original.python), "train.py", cwd=tracked.root)
    printed = printed_runs(finished.stdout)
    assert len(printed) == 2
    wait_until_pushed(tracked, printed)
    runs = workload_runs(hub, tracked)
    assert {run_id: wire_view(run) for run_id, run in runs.items()} == printed
    assert {metadata["workload-file"] for metadata in printed.values()} == {"train.py"}
    check_training(hub, tracked, next(run for run in runs.values() if run["record"]["error"] is None))


def test_capture_does_not_hide_a_run_of_the_original_library(hub, tracked, execute):
    """Its marker goes to the stream bound at import, which `%%capture` does not replace."""
    path = write_notebook(tracked.root / "captured.ipynb", SETUP, "%%capture\nprint('hidden')\n" + TRAIN)
    notebook = execute(path)
    printed = printed_in(notebook)
    assert len(printed) == 1
    assert "hidden" not in nbformat.writes(notebook).replace("print('hidden')", "")
    wait_until_pushed(tracked, printed)
    runs = workload_runs(hub, tracked)
    assert {run_id: without_file(wire_view(run)) for run_id, run in runs.items()} == printed
    check_training(hub, tracked, next(iter(runs.values())))


def test_executing_again_makes_new_runs_and_keeps_the_old(hub, tracked, execute):
    path = write_notebook(tracked.root / "again.ipynb", SETUP, TRAIN)
    printed = set()
    for _ in range(2):
        printed |= set(printed_in(execute(path)))
        wait_until_pushed(tracked, printed)
    assert len(printed) == 2
    assert set(workload_runs(hub, tracked)) == printed
