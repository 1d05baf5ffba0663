"""The unmodified original client, `dotscience` 0.8.7 in its own venv, against a real hub."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap

import pytest
from support.legacy_client import OWNER, LegacyClient
from support.original import install

SETUP = """
    import os, sys, time, types
    import dotscience as ds

    def framework(name, version):
        module = types.ModuleType(name)
        module.__version__ = version
        return module

    def write(path, content):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w") as file:
            file.write(content)

    time.sleep = lambda seconds: None  # the client retries for two minutes
    ds.connect(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[1])
"""
RUN_LINE = re.compile(
    r"-> Dotscience run: (?P<url>\S+/project/(?P<project>[0-9a-f-]{36})/runs/metric/(?P<run>[0-9a-f-]{36}))"
)


@pytest.fixture(scope="module")
def original():
    return install()


@pytest.fixture
def publish(original, own_hub, tmp_path):
    """Run a script of a user of the original; it is connected already."""
    work = tmp_path / "work"
    work.mkdir()

    def run(code, *, token=None, user=OWNER, project="mnist"):
        (work / "train.py").write_text(textwrap.dedent(SETUP) + textwrap.dedent(code))
        command = [str(original.python), "train.py", own_hub.url, user, token or own_hub.admin, project]
        return subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=90, check=False)

    return run


@pytest.fixture
def published(publish, own_hub):
    """As `publish`, of a script that must succeed: the runs on the hub, oldest first, and what was printed."""

    def run(code, **options):
        finished = publish(code, **options)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        found = list(RUN_LINE.finditer(finished.stdout))
        (project,) = {match["project"] for match in found}
        runs = [own_hub.call("GET", f"/api/v1/projects/{project}/runs/{match['run']}") for match in found]
        return runs, finished.stdout

    return run


def content(hub, run, path):
    base = f"/api/v1/projects/{run['project_id']}/commits/{run['commit']}/content"
    answer = hub.request("GET", base, params={"path": path}, token=hub.admin)
    assert answer.ok, answer.text
    return answer.text


def outputs(run):
    return {file["path"]: file.get("size") for file in run["record"]["outputs"]}


def test_a_run_without_outputs(published, own_hub):
    (run,), said = published("""
        ds.start("first")
        ds.parameter("epochs", 3)
        ds.metric("accuracy", 0.5)
        ds.label("stage", "dev")
        ds.publish()
    """)
    record = run["record"]
    assert (record["authority"], record["mode"], record["description"]) == ("remote", "remote", "first")
    assert (record["parameters"], record["summary"], record["labels"]) == (
        {"epochs": "3"},
        {"accuracy": "0.5"},
        {"stage": "dev"},
    )
    assert record["workload_file"] == "train.py"
    assert record["warnings"] == []
    assert run["environment"]["hostname"] == record["place"]["host"]
    assert said.startswith("Checking connection... connected!\n")
    assert "Created new project mnist as it did not exist." in said
    (project,) = own_hub.call("GET", "/api/v1/projects")["items"]
    assert (project["name"], project["runs"], project["head"]) == ("mnist", 1, run["commit"])


def test_a_run_with_one_output_whose_upload_the_client_does_not_wait_for(published, own_hub):
    (run,), _ = published("""
        write("out/data.csv", "a,b\\n" * 300_000)
        ds.start()
        ds.output("out/data.csv")
        ds.publish("one output")
    """)
    assert outputs(run) == {"out/data.csv": 1_200_000}
    assert content(own_hub, run, "out/data.csv") == "a,b\n" * 300_000


def test_an_empty_output(published, own_hub):
    (run,), _ = published('write("empty.txt", "")\nds.start()\nds.output("empty.txt")\nds.publish()')
    assert outputs(run) == {"empty.txt": 0}
    assert content(own_hub, run, "empty.txt") == ""


def test_a_tensorflow_model_and_a_file_beside_it(published, own_hub):
    (run,), _ = published("""
        for name in ("classes.json", "saved_model.pb", "variables/v.index"):
            write("model/" + name, name)
        write("report.csv", "a,b")
        ds.start()
        ds.model(framework("tensorflow", "2.1.0"), "mnist", "model", classes="model/classes.json")
        ds.output("report.csv")
        ds.publish()
    """)
    assert outputs(run) == {
        "model/classes.json": 12,
        "model/saved_model.pb": 14,
        "model/variables/v.index": 17,
        "report.csv": 3,
    }
    assert all(content(own_hub, run, path) for path in outputs(run))
    assert run["record"]["models"] == [
        {
            "name": "mnist",
            "type": "tensorflow-model",
            "version": "2.1.0",
            "files": {"classes": "model/classes.json", "model": "model"},
        }
    ]
    versions = own_hub.call("GET", f"/api/v1/projects/{run['project_id']}/models/mnist/versions")["items"]
    assert [(one["number"], one["run_id"], one["commit"]) for one in versions] == [(1, run["id"], run["commit"])]


def test_a_scikit_learn_model_whose_classes_lie_beside_it_again_and_again(published, own_hub):
    runs, _ = published("""
        for number in range(3):
            write("model.joblib", "model %d" % number)
            write("classes.json", "classes %d" % number)
            ds.start()
            ds.model(framework("sklearn", "0.22"), "iris", "model.joblib", classes="classes.json")
            ds.publish(str(number))
    """)
    for number, run in enumerate(runs):
        assert content(own_hub, run, "model.joblib") == f"model {number}"
        assert content(own_hub, run, "classes.json") == f"classes {number}"
        assert run["record"]["warnings"] == []
    tree = own_hub.call("GET", f"/api/v1/projects/{runs[-1]['project_id']}/commits/{runs[-1]['commit']}/tree")
    assert [one["name"] for one in tree["entries"]] == ["classes.json", "model.joblib"]


def test_a_model_in_a_folder_with_a_slash_after_it(published, own_hub):
    (run,), _ = published("""
        write("model/a", "a")
        write("model/b", "b")
        ds.start()
        ds.model(framework("sklearn", "0.22"), "iris", "model/")
        ds.publish()
    """)
    assert content(own_hub, run, "model/a") + content(own_hub, run, "model/b") == "ab"


def test_a_project_that_is_there_is_found(published, own_hub):
    own_hub.new_project("mnist")
    _, said = published('ds.publish("x")')
    assert "Found project mnist." in said
    assert len(own_hub.call("GET", "/api/v1/projects")["items"]) == 1


def test_the_address_that_is_printed_leads_to_the_run(published, own_hub):
    (run,), said = published('ds.publish("x")')
    answer = own_hub.request("GET", RUN_LINE.search(said)["url"].removeprefix(own_hub.url), allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/p/{run['project_id']}/runs/{run['id']}")


def test_build_shows_what_is_missing_and_the_run_is_there(publish, own_hub):
    finished = publish("""
        write("model/a", "a")
        write("model/b", "b")
        ds.start()
        ds.model(framework("sklearn", "0.22"), "iris", "model")
        ds.publish(build=True)
    """)
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert "Error 501 on POST to /v2/models/" in last
    assert "this hub has no image builder yet" in last
    assert "publish without build=True" in last
    (project,) = own_hub.call("GET", "/api/v1/projects")["items"]
    assert project["runs"] == 1


def test_deploy_ends_at_the_build(publish):
    finished = publish("""
        write("model", "a")
        ds.start()
        ds.model(framework("sklearn", "0.22"), "iris", "model")
        ds.publish(deploy=True)
    """)
    assert "this hub has no image builder yet" in finished.stderr


@pytest.mark.parametrize("options", [{"token": "ds_0123456789abcdef_" + "x" * 43}, {"user": "alice"}])
def test_wrong_credentials_do_not_connect(publish, options):
    finished = publish('ds.publish("x")', **options)
    assert finished.returncode == 1
    assert "401" in finished.stderr.splitlines()[-1]
    assert "connected!" not in finished.stdout


def test_a_lock_is_shown_though_the_client_ignores_the_answer_to_its_upload(publish, own_hub):
    workspace = LegacyClient(own_hub).new_workspace()
    code = 'write("a.txt", "a")\nds.start()\nds.output("a.txt")\nds.publish("x")'
    with workspace.locked():
        finished = publish(code)
    assert finished.returncode == 1
    assert "the workspace is locked by Jupyter (task 4abc9799) since" in finished.stderr.splitlines()[-1]
    assert workspace.api("")["runs"] == 0
    assert publish(code).returncode == 0
    assert workspace.api("")["runs"] == 1


def test_an_upload_that_is_locked_out_early_is_shown_with_its_status(publish, own_hub):
    """What the client does when it cannot send all: it looks at the answer, and says what 423 means."""
    workspace = LegacyClient(own_hub).new_workspace()
    with workspace.locked():
        own_hub.clock.advance(minutes=1)
        finished = publish("""
            with open("large.bin", "wb") as file:
                file.truncate(200 * 2**20)
            ds.start()
            ds.output("large.bin")
            ds.publish()
        """)
    assert finished.returncode == 1
    assert "Response code: 423" in finished.stdout
    assert "Try stopping Jupyter within Dotscience" in finished.stdout
    assert "the workspace is locked by Jupyter (task 4abc9799)" in finished.stdout


def test_an_archive_that_is_refused_fails_the_publish(publish, own_hub):
    finished = publish("""
        write("model/a", "a")
        os.symlink("/etc/passwd", "model/passwords")
        ds.start()
        ds.model(framework("sklearn", "0.22"), "iris", "model")
        ds.publish()
    """)
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert "nothing was recorded, as an upload was refused: the archive for 'model'" in last
    assert "'model/passwords' links to '/etc/passwd'" in last
    (project,) = own_hub.call("GET", "/api/v1/projects")["items"]
    assert (project["runs"], project["head"]) == (0, None)


def test_a_connection_of_the_original_lists_its_commits(published, own_hub):
    (run,), said = published("""
        ds.start()
        ds.label("a.b", "c")
        ds.publish("x")
        import json
        from dotscience import _defaultDS
        name = "project-%s-default-workspace" % _defaultDS._cached_project["id"][:8]
        dot = _defaultDS._dotmesh_client.getDot(name, ns=sys.argv[2])
        print("LOG", json.dumps(dot.getBranch("master").log()))
    """)
    (line,) = [line for line in said.splitlines() if line.startswith("LOG ")]
    (commit,) = json.loads(line.removeprefix("LOG "))
    assert commit["Id"] == run["commit"]
    assert commit["Metadata"]["message"] == "Remote dotscience run"
    assert commit["Metadata"][f"run.{run['id']}.label.a.b"] == "c"
    assert commit["Metadata"][f"run.{run['id']}.authority"] == "remote"
