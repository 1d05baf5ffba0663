"""Points of metrics on their way into a run's file."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading

import pytest

from committer.sync.points import PointsFile, points_files
from dotscience import Dotscience, DotscienceWarning, Run, series
from dotscience.notebook import read_sidecar


@pytest.fixture
def files(root):
    """Read the files of points by run id: the first line and the points."""

    def read():
        found = {}
        for path in points_files(root / ".dotscience/runs"):
            first, *lines = path.read_text().splitlines()
            found[path.name.removesuffix(".points")] = (json.loads(first), [json.loads(line) for line in lines])
        return found

    return read


def is_held(root, run_id):
    with PointsFile(root / f".dotscience/runs/{run_id}.points") as file:
        return file.is_held()


def record(ds, steps, names=("loss",)):
    for step in steps:
        for name in names:
            ds.metric(name, step, step=step)


def test_points_are_appended_as_they_come_and_the_last_is_the_final_value(ds, files):
    ds.start("train")
    ds.parameter("lr", 0.1)
    assert [ds.metric("loss", 1 / (step + 1), step=step) for step in range(3)] == [1.0, 0.5, 1 / 3]
    ((run_id, (first, points)),) = files().items()
    assert [(name, step, value) for name, step, _, value in points] == [
        ("loss", 0, 1.0),
        ("loss", 1, 0.5),
        ("loss", 2, 1 / 3),
    ]
    assert (first["run_id"], first["description"], first["parameters"]) == (run_id, "train", {"lr": 0.1})
    assert first["started_at"] is not None
    assert first["ended_at"] is None
    published = ds.publish()
    assert published.run_id == run_id
    assert published.record.summary == {"loss": 1 / 3}


def test_a_metric_without_a_step_has_no_file(ds, files):
    ds.metric("loss", 1)
    ds.publish()
    assert files() == {}


def test_the_file_is_held_until_the_sidecar_is_there(ds, root, files, monkeypatch):
    seen = []
    monkeypatch.setattr("dotscience.publishing._show", lambda *_, **__: seen.append(is_held(root, *files())))
    ds.metric("loss", 1, step=0)
    assert is_held(root, *files())
    run_id = ds.publish().run_id
    assert seen == [True]
    assert read_sidecar((root / f".dotscience/runs/{run_id}.json").read_bytes(), "").record.run_id == run_id
    assert not is_held(root, run_id)


def test_every_publish_has_an_id_and_a_file_of_its_own(ds, files):
    ids = []
    for value in range(3):
        ds.metric("loss", value, step=0)
        ids.append(ds.publish().run_id)
    ids.append(ds.publish().run_id)
    assert len(set(ids)) == 4
    assert set(files()) == set(ids[:3])


def test_a_publish_that_fails_gives_the_id_up(ds, files, monkeypatch):
    """Its sidecar may be there; the same id with other content would be a run that nobody sees."""
    ds.metric("loss", 1, step=0)
    with monkeypatch.context() as patch:
        patch.setattr("dotscience.publishing._show", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ds.publish()
    assert ds.publish().run_id not in files()


def test_a_run_that_is_dropped_lets_go_of_its_file(ds, root, files):
    ds.metric("loss", 1, step=0)
    (run_id,) = files()
    ds.start("another")
    assert not is_held(root, run_id)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (True, 1.0),
        (7, 7.0),
        (1e-300, 1e-300),
        ("0.25", 0.25),
    ],
)
def test_values_are_floats_or_the_words_for_those_that_are_not_finite(ds, files, value, written):
    ds.metric("loss", value, step=0)
    ((_, points),) = files().values()
    assert points[0][3] == written


@pytest.mark.parametrize("value", [None, "high", [1], object(), 10**400])
def test_what_is_no_number_is_no_point(ds, files, value):
    with pytest.warns(DotscienceWarning, match="no number"):
        ds.metric("loss", value, step=0)
    ds.metric("loss", value, step=1)
    ds.metric("loss", 2, step=2)
    ((_, points),) = files().values()
    assert [point[1] for point in points] == [2]


@pytest.mark.parametrize("step", [1.5, "1", [1]])
def test_a_step_is_a_whole_number(ds, step):
    with pytest.raises(TypeError, match="the step of a metric must be a whole number"):
        ds.metric("loss", 1, step=step)


@pytest.mark.parametrize("step", [2**53, -(2**53), 10**30])
def test_a_step_is_one_that_every_reader_has_exactly(ds, step):
    with pytest.raises(ValueError, match="the step of a metric must be between"):
        ds.metric("loss", 1, step=step)


def test_steps_and_values_of_numpy_are_numbers(ds, files):
    numpy = pytest.importorskip("numpy")
    ds.metric("loss", numpy.float32(0.5), step=numpy.int64(3))
    ((_, points),) = files().values()
    assert (points[0][1], points[0][3]) == (3, 0.5)


@pytest.mark.parametrize("name", ['a"b\\c', "new\nline", "NUL \0", "\udcff", "日本 🐍", "", "val/loss"])
def test_any_name_makes_one_line(ds, files, name):
    ds.metric(name, 1, step=0)
    ds.metric("next", 1, step=0)
    ((_, points),) = files().values()
    assert len(points) == 2
    assert points[0][0] == name.encode("utf-8", "backslashreplace").decode()


def test_a_name_that_is_too_long_has_no_points(ds, files):
    with pytest.warns(DotscienceWarning, match="more than 500 characters"):
        ds.metric("x" * 501, 1, step=0)
    ds.metric("x" * 501, 1, step=1)
    ds.metric("y" * 500, 1, step=0)
    ((_, points),) = files().values()
    assert len(points) == 1


def test_a_run_keeps_so_many_points_and_no_more(ds, files, monkeypatch):
    monkeypatch.setattr(series, "MAX_POINTS", 5)
    record(ds, range(4))
    with pytest.warns(DotscienceWarning, match="all that is kept") as caught:
        record(ds, range(4, 20))
    assert len(caught) == 1
    ((_, points),) = files().values()
    assert len(points) == 5
    assert ds.publish().record.summary == {"loss": 19}


def test_a_run_has_so_many_curves_and_no_more(ds, files, monkeypatch):
    monkeypatch.setattr(series, "MAX_NAMES", 3)
    with pytest.warns(DotscienceWarning, match="curves of 3 metrics") as caught:
        record(ds, range(2), names=[f"m{index}" for index in range(10)])
    assert len(caught) == 1
    ((_, points),) = files().values()
    assert {point[0] for point in points} == {"m0", "m1", "m2"}


def test_threads_write_whole_lines(root, files):
    run = Run()
    run.lazy_start()

    def work(number):
        for step in range(500):
            run.metric(f"thread {number}", step, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((_, points),) = files().values()
    assert len(points) == 8 * 500
    for number in range(8):
        assert [point[1] for point in points if point[0] == f"thread {number}"] == list(range(500))


def _in_child(ds):
    ds.metric("loss", 2, step=0)
    ds.publish()


def test_a_forked_child_has_a_run_of_its_own(ds, root, files):
    ds.metric("loss", 1, step=0)
    (parents,) = files()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(ds,))
    child.start()
    child.join()
    assert child.exitcode == 0
    ds.metric("loss", 3, step=1)
    found = files()
    (childs,) = set(found) - {parents}
    assert [point[3] for point in found[parents][1]] == [1.0, 3.0]
    assert [point[3] for point in found[childs][1]] == [2.0]
    assert is_held(root, parents)
    assert not is_held(root, childs)
    assert ds.publish().run_id == parents


def test_a_killed_process_loses_no_point(root, files):
    code = "import dotscience as ds, os\nfor i in range(1000): ds.metric('a', i, step=i)\nos.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=False, capture_output=True)
    ((run_id, (_, points)),) = files().items()
    assert len(points) == 1000
    assert not is_held(root, run_id)


def test_a_file_that_cannot_grow_ends_the_series_and_nothing_else(root, files):
    code = """
import resource, signal, sys, warnings
import dotscience as ds
sys.dont_write_bytecode = True  # it would be cut at the limit, and stay so for whoever imports the module next
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ds.metric("a", 0, step=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for i in range(1, 1000):
        ds.metric("a", i, step=i)
assert len(caught) == 1 and "only the last value" in str(caught[0].message), caught
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False, capture_output=True, text=True)
    assert done.stdout.endswith("done\n"), done.stderr
    (path,) = points_files(root / ".dotscience/runs")
    with PointsFile(path) as file:
        piece = file.read(0, to_the_end=True)
    assert len(piece.points) > 1
    assert piece.end == path.stat().st_size


def test_a_folder_that_cannot_be_written_costs_only_the_points(ds, root, files):
    if os.geteuid() == 0:
        (root / ".dotscience/runs").rmdir()
        (root / ".dotscience/runs").write_text("in the way")
    else:
        (root / ".dotscience/runs").chmod(0o500)
    with pytest.warns(DotscienceWarning, match="cannot be written") as caught:
        record(ds, range(3))
    assert len(caught) == 1


def test_outside_of_a_tracked_folder_points_go_nowhere_and_that_is_said_once(tmp_path, root, monkeypatch):
    monkeypatch.setenv("DOTSCIENCE_PROJECT_DOT_ROOT", str(tmp_path))
    ds = Dotscience()
    with pytest.warns(DotscienceWarning, match="not in a tracked folder") as caught:
        record(ds, range(3))
    assert len(caught) == 1


def test_in_remote_mode_points_go_nowhere(ds, files):
    ds.remote()
    with pytest.warns(DotscienceWarning, match="remote mode"):
        ds.metric("loss", 1, step=0)
    assert files() == {}
