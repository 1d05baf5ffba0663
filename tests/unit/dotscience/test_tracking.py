"""The library's functions: what the original promised, and where this one keeps more."""

import asyncio
import inspect
import io
import json
import re
import threading
from datetime import timedelta

import pytest

import dotscience
from dotscience import Dotscience, DotscienceWarning, Run
from dotscience.errors import NotConnected
from dotscience.notebook import find_runs_in_text, read_sidecar
from dotscience.surroundings import WORKLOAD_VARIABLE

ORIGINAL_PATTERN = re.compile(r"\[\[DOTSCIENCE-RUN:(.+)\]\](.*)\[\[/DOTSCIENCE-RUN:\1\]\]", re.MULTILINE | re.DOTALL)


def publish(ds, description=None):
    """Publish to a stream and read the marker as the original's tests did."""
    stream = io.StringIO()
    ds.publish(description, stream=stream)
    match = ORIGINAL_PATTERN.search(stream.getvalue())
    return json.loads(match[2])


# -- the surface


@pytest.mark.parametrize(
    ("name", "signature"),
    {
        "interactive": "()",
        "script": "(workload_file=None)",
        "remote": "()",
        "connect": "(username, apikey, project, hostname='')",
        "start": "(description=None)",
        "end": "()",
        "set_error": "(error)",
        "error": "(error)",
        "set_description": "(description)",
        "description": "(description)",
        "add_input": "(filename)",
        "input": "(filename)",
        "add_output": "(filename)",
        "output": "(filename)",
        "add_label": "(label, value)",
        "label": "(label, value)",
        "add_metric": "(label, value, step=None)",
        "metric": "(label, value, step=None)",
        "summary": "(label, value, step=None)",
        "add_parameter": "(label, value)",
        "parameter": "(label, value)",
        "param": "(label, value)",
        "model": "(kind, name, *args, **kwargs)",
        "debug": "()",
    }.items(),
)
def test_functions_have_the_originals_signatures(name, signature):
    actual = inspect.signature(getattr(dotscience, name))
    plain = [parameter.replace(annotation=parameter.empty) for parameter in actual.parameters.values()]
    assert str(inspect.Signature(plain)) == signature


def test_publish_takes_what_the_original_took():
    actual = inspect.signature(dotscience.publish).parameters.values()
    by_place = [parameter.name for parameter in actual if parameter.kind is not parameter.KEYWORD_ONLY]
    assert by_place == ["description", "stream", "build", "deploy"]


def test_aliases_are_the_same_functions():
    assert dotscience.summary == dotscience.metric
    assert dotscience.add_summary == dotscience.add_metric
    assert dotscience.add_summaries == dotscience.add_metrics
    assert dotscience.param == dotscience.parameter


def test_everything_public_is_exported_and_there():
    assert set(dotscience.__all__) <= set(dir(dotscience))


def test_inline_forms_return_their_argument(ds, root):
    (root / "a").write_text("x")
    value = [1]
    assert ds.parameter("p", value) is value
    assert ds.metric("m", value) is value
    assert ds.label("l", value) is value
    assert ds.input("a") == "a"
    assert ds.output(root / "b") == root / "b"
    assert ds.error(5) == 5
    assert ds.description(None) is None
    assert ds.model("torch", "m", "m.pt") == "m.pt"
    assert [ds.add_parameter("p", 1), ds.add_input("a"), ds.set_error("e"), ds.add_model("m", "m.bin")] == [None] * 4


def test_pairs_and_keywords(ds):
    ds.add_parameters("a", 1, "b", 2, c=3)
    ds.add_labels("self", 1, a=2)
    ds.add_metrics(self=0.5)
    metadata = publish(ds)
    assert metadata["parameters"] == {"a": "1", "b": "2", "c": "3"}
    assert metadata["labels"] == {"self": "1", "a": "2"}
    assert metadata["summary"] == {"self": "0.5"}
    with pytest.raises(ValueError, match=r"not enough values to unpack \(expected 2, got 1\)"):
        ds.add_labels("a", 1, "b")


def test_keys_are_strings(ds):
    ds.parameter(5, 1)
    assert publish(ds)["parameters"] == {"5": "1"}


# -- modes


def test_modes_conflict(ds):
    ds.interactive()
    ds.interactive()
    with pytest.raises(
        RuntimeError, match="to select script mode for the Dotscience Python Library when it was in inter"
    ):
        ds.script()
    with pytest.raises(RuntimeError):
        ds.remote()


def test_the_mode_comes_from_the_environment(ds, monkeypatch):
    monkeypatch.setenv(WORKLOAD_VARIABLE, "jupyter")
    assert "workload-file" not in publish(ds)
    with pytest.raises(RuntimeError):
        ds.script()


def test_script_mode_names_the_script(ds, monkeypatch, root):
    monkeypatch.setenv(WORKLOAD_VARIABLE, "command")
    monkeypatch.setattr("sys.argv", [str(root / "sub" / "train.py")])
    assert publish(ds)["workload-file"] == "sub/train.py"
    other = Dotscience()
    other.script("explicit/script name.py")
    assert publish(other)["workload-file"] == "explicit/script name.py"


def test_the_script_is_resolved_when_the_mode_is_chosen(ds, root, monkeypatch):
    (root / "sub").mkdir()
    ds.script("train.py")
    monkeypatch.chdir(root / "sub")
    assert publish(ds)["workload-file"] == "train.py"


def test_without_a_mode_the_wire_names_no_script_but_the_record_does(ds, monkeypatch, root):
    (root / "train.py").write_text("")
    monkeypatch.setattr("sys.argv", ["train.py"])
    record = ds.publish(stream=io.StringIO()).record
    assert (record.mode, record.workload_file) == (None, "train.py")
    assert "workload-file" not in publish(ds)


def test_builds_without_a_hub_still_record(ds):
    with pytest.warns(DotscienceWarning, match="need a connection to a hub"):
        assert ds.publish(stream=io.StringIO(), deploy=True).record.mode is None


def test_remote_mode_without_a_hub_is_refused_and_loses_nothing(ds):
    ds.remote()
    ds.parameter("p", 1)
    with pytest.raises(NotConnected, match=r"call ds\.connect"):
        ds.publish(stream=io.StringIO())
    assert ds.unfinished().parameters == {"p": 1}


# -- the life of a run


def test_every_publish_is_a_run_of_its_own_and_all_but_times_and_error_carries_over(ds):
    ds.start("first")
    ds.parameter("p", 1)
    ds.set_error("boom")
    one = ds.publish(stream=io.StringIO()).record
    ds.parameter("q", 2)
    two = ds.publish(stream=io.StringIO()).record
    assert one.run_id != two.run_id
    assert (two.description, two.parameters) == ("first", {"p": 1, "q": 2})
    assert (one.error, two.error) == ("boom", None)
    assert two.started_at >= one.ended_at


def test_start_forgets_everything(ds):
    ds.start("first")
    ds.parameter("p", 1)
    ds.publish(stream=io.StringIO())
    ds.start()
    assert publish(ds)["parameters"] == {}
    assert "description" not in publish(ds)


def test_only_the_first_end_counts(ds):
    ds.start()
    ds.end()
    ended = ds._run().ended_at
    ds.end()
    assert ds.publish(stream=io.StringIO()).record.ended_at == ended


def test_publish_without_start(ds):
    record = ds.publish("nothing else", stream=io.StringIO()).record
    assert timedelta(0) <= record.ended_at - record.started_at < timedelta(minutes=1)


def test_a_run_starts_once(root):
    run = Run(root)
    run.start()
    with pytest.raises(RuntimeError, match="more than once"):
        run.start()


def test_str_of_a_run_is_the_originals_marker(root):
    run = Run(root)
    run.set_description("é")
    assert str(run) == (
        '[[DOTSCIENCE-RUN:None]]{\n    "description": "\\u00e9",\n    "input": [],\n    "labels": {},\n'
        '    "output": [],\n    "parameters": {},\n    "summary": {},\n    "version": "1"\n}[[/DOTSCIENCE-RUN:None]]'
    )


def test_a_run_that_begins_by_itself_is_announced_once(ds, capsys):
    ds.parameter("a", 1)
    publish(ds)
    ds.metric("b", 2)
    ds.start()
    thread = threading.Thread(target=ds.parameter, args=("c", 3))
    thread.start()
    thread.join()
    assert capsys.readouterr().out == "You have not called ds.start() yet, so I'm doing it for you!\n"


def test_a_run_that_was_started_is_not_announced(ds, capsys):
    ds.start()
    ds.parameter("a", 1)
    with ds.run():
        ds.parameter("b", 2)
    assert "ds.start()" not in capsys.readouterr().out


def test_debug_prints_the_metadata(ds, capsys):
    ds.start()
    ds.parameter("a", 1)
    ds.debug()
    assert json.loads(capsys.readouterr().out)["parameters"] == {"a": "1"}


def test_publish_returns_the_run_and_is_quiet_about_it(ds):
    published = ds.publish("x", stream=io.StringIO())
    assert published.run_id == published.record.run_id
    assert repr(published) == f"<dotscience run {published.run_id}>"
    assert published.metadata["description"] == "x"
    assert published._ipython_display_() is None


# -- blocks and decorators


def sidecars(root):
    files = sorted((root / ".dotscience/runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    runs = [path for path in files if not path.name.endswith(".environment.json")]
    return [read_sidecar(path.read_bytes(), path.name).record for path in runs]


def test_a_block_publishes_and_gives_the_run_before_back(ds, root):
    ds.start("outer")
    with ds.run("inner") as run:
        run.metric("a", 1)
        ds.metric("b", 2)
        with ds.run("innermost"):
            ds.metric("c", 3)
    ds.metric("d", 4)
    ds.publish()
    assert {record.description: record.summary for record in sidecars(root)} == {
        "innermost": {"c": 3},
        "inner": {"a": 1, "b": 2},
        "outer": {"d": 4},
    }


def test_a_block_that_fails_is_published_with_the_exception(ds, root):
    def fail():
        with ds.run("fails"):
            ds.metric("a", 1)
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    [record] = sidecars(root)
    assert record.error == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in record.traceback
    assert record.summary == {"a": 1}


@pytest.mark.parametrize(
    ("code", "error"), [(None, None), (0, None), (3, "SystemExit: 3"), ("no data", "SystemExit: no data")]
)
def test_leaving_a_block_by_exit_fails_only_with_a_status(ds, root, code, error):
    with pytest.raises(SystemExit), ds.run():
        raise SystemExit(code)
    assert [record.error for record in sidecars(root)] == [error]


def test_a_block_that_published_itself_is_not_published_again(ds, root):
    with ds.run("once"):
        ds.publish()
    assert len(sidecars(root)) == 1


def test_an_error_that_was_set_is_kept(ds, root):
    def fail():
        with ds.run():
            ds.set_error("out of memory")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    [record] = sidecars(root)
    assert record.error == "out of memory"
    assert record.traceback.endswith("ValueError: x\n")


def test_tracked_functions(ds, root):
    @ds.track
    def plain(a):
        """Doc."""
        return a + 1

    @ds.track("fit it", parameters=True)
    def fit(self, lr, *rest, layers=(1, 2), **options):
        ds.metric("loss", lr)

    class Trainer:
        go = fit

    assert (plain(1), plain.__name__, plain.__doc__) == (2, "plain", "Doc.")
    Trainer().go(0.5, 7, seed=1, self_=2)
    one, two = sidecars(root)
    assert (one.description, one.parameters) == ("plain", {})
    assert (two.description, two.summary) == ("fit it", {"loss": 0.5})
    assert two.parameters == {"lr": 0.5, "rest": "(7,)", "layers": "(1, 2)", "seed": 1, "self_": 2}


def test_a_tracked_function_that_fails(ds, root):
    @ds.track(parameters=True)
    def fail(x):
        raise KeyError(x)

    with pytest.raises(KeyError):
        fail("k")
    with pytest.raises(TypeError):
        fail()
    assert [record.error[:8] for record in sidecars(root)] == ["KeyError", "TypeErro"]


def test_tracked_coroutines_run_side_by_side(ds, root):
    @ds.track(parameters=True)
    async def fit(lr):
        await asyncio.sleep(0)
        ds.metric("lr", lr)
        await asyncio.sleep(0)
        return lr

    async def main():
        return await asyncio.gather(*(fit(lr) for lr in range(20)))

    assert asyncio.run(main()) == list(range(20))
    assert all(record.summary == record.parameters for record in sidecars(root))
    assert sorted(record.summary["lr"] for record in sidecars(root)) == list(range(20))


def test_generators_cannot_be_tracked(ds):
    with pytest.raises(TypeError, match="generator"):

        @ds.track
        def steps():
            yield 1


# -- threads and tasks


def test_every_thread_has_its_own_run(ds, root):
    ds.start("main")
    barrier = threading.Barrier(8)

    def work(number):
        ds.parameter("n", number)
        barrier.wait()
        ds.metric("n", number)
        barrier.wait()
        ds.publish(f"thread {number}", stream=io.StringIO())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publish(ds)["description"] == "main"
    records = [record for record in sidecars(root) if record.description != "main"]
    assert sorted(record.parameters["n"] for record in records) == list(range(8))
    assert all(record.parameters == record.summary for record in records)


def test_a_task_adds_to_its_creators_run_until_it_starts_its_own(ds, root):
    async def helper():
        ds.metric("from helper", 1)

    async def own(number):
        ds.start(f"task {number}")
        await asyncio.sleep(0)
        ds.metric("n", number)
        ds.publish(stream=io.StringIO())

    async def main():
        ds.start("main")
        await asyncio.gather(helper(), own(1), own(2))
        ds.metric("from main", 2)

    asyncio.run(main())
    ds.publish(stream=io.StringIO())
    found = {record.description: record.summary for record in sidecars(root)}
    assert found == {"task 1": {"n": 1}, "task 2": {"n": 2}, "main": {"from helper": 1, "from main": 2}}


# -- models


class Framework:
    __version__ = "2.1.0"

    def __init__(self, name):
        self.__name__ = name


def test_models_on_the_wire_are_the_originals(ds, root):
    assert ds.model(Framework("tensorflow"), "roadsigns", "model/1", classes="model/classes.json") == "model/1"
    metadata = publish(ds)
    assert metadata["labels"] == {
        "artefact:roadsigns": '{"files":{"classes":"model/classes.json","model":"model/1"},'
        '"type":"tensorflow-model","version":"2.1.0"}'
    }
    assert metadata["output"] == ["model/1", "model/classes.json"]


def test_models_of_any_framework(ds):
    ds.model(Framework("xgboost.sklearn"), "a", "a.ubj")
    ds.model("onnx", "b", "b.onnx")
    ds.model("onnx-model", "c", "c.onnx")
    ds.model("plain", "d.bin")
    estimator = type("Estimator", (), {"__module__": "sklearn.linear_model"})()
    ds.model(estimator, "e", "e.joblib")
    models = ds.publish(stream=io.StringIO()).record.models
    assert [(model.name, model.type, model.version) for model in models] == [
        ("a", "xgboost-model", "2.1.0"),
        ("b", "onnx-model", None),
        ("c", "onnx-model", None),
        ("plain", "file-model", None),
        ("e", "sklearn-model", None),
    ]


def test_what_is_no_model(ds):
    with pytest.raises(RuntimeError, match="Unknown model type None"):
        ds.model(5, "a", "a.bin")
    with pytest.raises(TypeError, match="path"):
        ds.model(Framework("torch"), "a")
    with pytest.warns(DotscienceWarning, match="ignores them: 'extra', flavour"):
        ds.model("torch", "a", "a.pt", "extra", flavour=1)


# -- files


def test_paths_are_relative_to_the_root_wherever_the_code_is(ds, root, monkeypatch):
    (root / "tree").mkdir()
    (root / "sub").mkdir()
    (root / "tree/one.txt").write_text("1")
    monkeypatch.chdir(root / "sub")
    ds.add_input("../tree/one.txt")
    ds.add_outputs("rel.csv", str(root / "sub" / "abs.csv"), "./a/../b.csv", "does/not/exist/")
    metadata = publish(ds)
    assert metadata["input"] == ["tree/one.txt"]
    assert metadata["output"] == ["sub/abs.csv", "sub/b.csv", "sub/does/not/exist", "sub/rel.csv"]


def test_input_folders_are_walked_at_once_and_output_folders_at_publish(ds, root):
    (root / "in/deep").mkdir(parents=True)
    (root / "in/deep/a").write_text("")
    ds.add_inputs("in")
    ds.add_output("out")
    (root / "in/b").write_text("")
    (root / "out/deep").mkdir(parents=True)
    (root / "out/empty").mkdir()
    (root / "out/deep/c").write_text("")
    metadata = publish(ds)
    assert (metadata["input"], metadata["output"]) == (["in/deep/a"], ["out/deep/c"])


def test_an_input_that_is_not_there_is_said_so(ds):
    with pytest.warns(DotscienceWarning, match=r"'no\.csv' does not exist") as caught:
        ds.input("no.csv")
    assert caught[0].filename == __file__
    record = ds.publish(stream=io.StringIO()).record
    assert [(file.path, file.missing) for file in record.inputs] == [("no.csv", True)]
    assert record.warnings == ["the input no.csv does not exist"]


def test_a_file_outside_of_the_workspace_is_said_so(ds, root):
    (root.parent / "data.csv").write_text("x")
    ds.add_input("../data.csv")
    with pytest.warns(DotscienceWarning, match="outside of the workspace"):
        record = ds.publish(stream=io.StringIO()).record
    [file] = record.inputs
    assert (file.path, file.outside, file.missing) == ((root.parent / "data.csv").as_posix(), True, False)
    assert "outside of the workspace" in record.warnings[0]


def test_a_root_behind_a_symbolic_link(root, monkeypatch):
    link = root.parent / "link"
    link.symlink_to(root)
    (root / "a").write_text("")
    monkeypatch.setenv("DOTSCIENCE_PROJECT_DOT_ROOT", str(link))
    ds = Dotscience()
    ds.add_input("a")
    assert publish(ds)["input"] == ["a"]


# -- carriers


def test_the_marker_goes_to_the_stream_and_the_sidecar_to_the_workspace(ds, root):
    stream = io.StringIO()
    ds.parameter("lr", 0.5)
    record = ds.publish("x", stream).record
    [found] = find_runs_in_text(stream.getvalue(), path="log")
    [sidecar] = sidecars(root)
    assert sidecar == record
    assert found.metadata == dotscience.publishing.to_wire(record)
    assert record.place.pid
    assert (root / f".dotscience/runs/{record.run_id}.json").stat().st_mode & 0o777 == 0o600


def test_an_untracked_folder_gets_the_marker_only_and_one_warning(tmp_path, monkeypatch):
    monkeypatch.delenv("DOTSCIENCE_PROJECT_DOT_ROOT", raising=False)
    monkeypatch.setattr("dotscience.surroundings._LAUNCH_FOLDER", str(tmp_path))
    ds = Dotscience()
    with pytest.warns(DotscienceWarning, match="not in a tracked folder"):
        ds.publish(stream=io.StringIO())
    assert publish(ds)["version"] == "1"
    assert list(tmp_path.iterdir()) == []


def test_the_nearest_tracked_folder_is_found(root, monkeypatch):
    (root / "deep/er").mkdir(parents=True)
    monkeypatch.delenv("DOTSCIENCE_PROJECT_DOT_ROOT")
    monkeypatch.setattr("dotscience.surroundings._LAUNCH_FOLDER", str(root / "deep/er"))
    Dotscience().publish(stream=io.StringIO())
    assert len(sidecars(root)) == 1


def test_a_sidecar_that_cannot_be_written_leaves_the_marker(ds, root):
    runs = root / ".dotscience/runs"
    runs.rmdir()
    runs.write_text("in the way")
    with pytest.warns(DotscienceWarning, match="could not be written"):
        assert publish(ds)["version"] == "1"
    runs.unlink()


def test_surrogates_in_names_and_values_reach_every_carrier(ds, root):
    ds.parameter("\udcff", "\ud800")
    ds.add_output("caf\udce9.csv")
    ds.set_description("\udcff")
    publish(ds)
    [record] = sidecars(root)
    assert record.parameters == {"\\udcff": "\\ud800"}
