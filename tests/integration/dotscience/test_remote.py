"""Remote mode against a real HTTP server that speaks the original hub's `/v2`: what is sent, and what is said."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
import threading
import types

import pytest
from support.legacy_hub import PROJECT_ID, SECRET, USER, WORKSPACE, legacy_hub

from dotscience import Dotscience, DotscienceWarning
from dotscience.errors import (
    ConfigError,
    HubError,
    HubUnavailable,
    Unauthenticated,
)
from dotscience.workspace import new_workspace, write_project

DOT = f"{USER}:{WORKSPACE}"
FILES = f"/v2/dotmesh/s3/{DOT}/"


@pytest.fixture
def other_hub():
    with legacy_hub() as hub:
        yield hub


def framework(name, version="1.0"):
    module = types.ModuleType(name)
    module.__version__ = version
    return module


# -- connecting


def test_connect_pings_and_says_so(hub, folder, capsys):
    Dotscience().connect(USER, SECRET, "mnist", hub.url + "/")
    assert capsys.readouterr().out == "Checking connection... connected!\n"
    (ping,) = hub.requests
    assert ping.line == "POST /v2/dotmesh/rpc"
    assert ping.json == {"jsonrpc": "2.0", "method": "DotmeshRPC.Ping", "id": 1}
    assert ping.headers["Authorization"] == "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()


def test_connect_takes_the_address_from_the_environment(hub, folder, monkeypatch):
    monkeypatch.setenv("DOTSCIENCE_URL", hub.url)
    Dotscience().connect(USER, SECRET, "mnist")
    assert len(hub.rpc("Ping")) == 1


def test_connect_without_an_address_sends_nothing_anywhere(folder):
    with pytest.raises(ConfigError, match="DOTSCIENCE_URL"):
        Dotscience().connect(USER, SECRET, "mnist")


@pytest.mark.parametrize("project", ["", None])
def test_connect_needs_a_project(hub, folder, project):
    with pytest.raises(Exception, match=r"^Please specify a project name as the third argument to ds.connect\(\)$"):
        Dotscience().connect(USER, SECRET, project, hub.url)
    assert hub.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "hub.example.com",
        "ftp://hub.example.com",
        "http://",
        f"http://alice:{SECRET}@hub",
        "http://hub:99999",
        "http://h?a",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(folder, address):
    with pytest.raises(ConfigError, match="must be an address like") as caught:
        Dotscience().connect(USER, SECRET, "mnist", address)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("username", ["", "a:b"])
def test_a_user_name_that_basic_authentication_cannot_carry_is_refused(hub, folder, username):
    with pytest.raises(ConfigError, match="user name"):
        Dotscience().connect(username, SECRET, "mnist", hub.url)
    assert hub.requests == []


def test_wrong_credentials_are_named_but_not_shown(hub, folder, capsys):
    library = Dotscience()
    with pytest.raises(Unauthenticated, match="check the user name and the API token") as caught:
        library.connect(USER, "wrong-" + SECRET, "mnist", hub.url)
    assert SECRET not in str(caught.value)
    assert "connected!" not in capsys.readouterr().out
    library.script("train.py")  # a connection that fails changes nothing


def test_a_dead_host_is_said_to_be_one(folder, unused_address):
    with pytest.raises(HubUnavailable, match="check its address and that it is running"):
        Dotscience().connect(USER, SECRET, "mnist", unused_address)


@pytest.fixture
def unused_address():
    with legacy_hub() as hub:
        pass
    return hub.url


def test_credentials_do_not_follow_a_redirect(hub, other_hub, folder):
    hub.refuse("rpc", 307, headers=[("Location", other_hub.url + "/v2/dotmesh/rpc")])
    with pytest.raises(HubError, match="redirects to another address"):
        Dotscience().connect(USER, SECRET, "mnist", hub.url)
    assert other_hub.requests == []


def test_an_answer_of_something_else_is_no_connection(hub, folder):
    hub.refuse("rpc", 200, b"<html>hello")
    with pytest.raises(HubUnavailable, match="does not answer like a Dotscience hub"):
        Dotscience().connect(USER, SECRET, "mnist", hub.url)


def test_an_error_of_the_rpc_is_an_error(hub, folder):
    hub.refuse("rpc", 200, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "etcd is away"}})
    with pytest.raises(HubError, match="refused the connection: etcd is away"):
        Dotscience().connect(USER, SECRET, "mnist", hub.url)


def test_the_environment_neither_diverts_requests_nor_replaces_credentials(hub, folder, monkeypatch, unused_address):
    (folder / ".netrc").write_text("machine 127.0.0.1 login mallory password other\n")
    monkeypatch.setenv("NETRC", str(folder / ".netrc"))
    monkeypatch.setenv("http_proxy", unused_address)
    monkeypatch.delenv("no_proxy", raising=False)
    Dotscience().connect(USER, SECRET, "mnist", hub.url)
    assert len(hub.rpc("Ping")) == 1


def test_connecting_ends_any_other_mode_and_connecting_again_goes_elsewhere(hub, other_hub, folder):
    library = Dotscience()
    library.interactive()
    library.parameter("kept", 1)
    library.connect(USER, SECRET, "one", hub.url)
    with pytest.raises(RuntimeError, match="it was in remote mode"):
        library.script()
    library.connect(USER, SECRET, "two", other_hub.url)
    assert library.publish().record.parameters == {"kept": 1}
    assert (hub.commits, len(other_hub.commits)) == ([], 1)
    assert other_hub.projects[0]["name"] == "two"


# -- publishing


def test_the_traffic_and_the_messages_are_the_originals(ds, hub, folder, capsys, monkeypatch, write):
    write("remote_script.py")
    monkeypatch.setattr("sys.argv", ["remote_script.py"])
    for name in ("classes.json", "saved_model.pb", "variables/v.index"):
        write(f"model/{name}", name)
    ds.start("trained mnist model")
    ds.label("stage", "dev")
    ds.parameter("epochs", 1)
    ds.metric("accuracy", 0.9)
    ds.model(framework("tensorflow", "2.1.0"), "mnist", "model", classes="model/classes.json")
    hub.requests.clear()
    run = ds.publish()

    assert [request.line for request in hub.requests] == [
        "GET /v2/projects",
        "POST /v2/projects",
        f"PUT {FILES}model",
        "POST /v2/dotmesh/rpc",
        "POST /v2/dotmesh/rpc",
    ]
    _, created, upload, lookup, commit = hub.requests
    assert created.json == {"name": "mnist"}
    assert upload.headers["Extract"] == "true"
    workspace = {"Namespace": USER, "Name": DOT.partition(":")[2], "Branch": ""}
    assert (lookup.json["method"], lookup.json["params"]) == ("DotmeshRPC.Lookup", workspace)
    assert commit.json["method"] == "DotmeshRPC.Commit"
    params = commit.json["params"]
    metadata = params.pop("Metadata")
    assert params == workspace | {"Message": "Remote dotscience run"}
    check_metadata(metadata, run.run_id)
    assert hub.files == {
        f"model/{name}": name.encode() for name in ("classes.json", "saved_model.pb", "variables/v.index")
    }
    assert (run.record.authority, run.record.mode) == ("remote", "remote")
    url = f"{hub.url}/project/{PROJECT_ID}/runs/metric/{run.run_id}"
    assert run.url == url
    assert capsys.readouterr().out == (
        "\n=== Dotscience remote publish ===\n\n"
        "Created new project mnist as it did not exist.\n\n*  Uploading output/model files\n.\n"
        f" done\n   -> Dotscience run: {url}\n\n=== Dotscience publish complete ===\n\n"
    )


def check_metadata(metadata, run_id):
    time = re.compile(r"\d{8}T\d{6}\.\d{6}")
    times = {"exec.start", "exec.end", f"run.{run_id}.start", f"run.{run_id}.end"}
    assert all(time.fullmatch(metadata.pop(key)) for key in times)
    assert all(metadata.pop(f"runner.{key}") for key in ("name", "platform", "platform_version"))
    model = '{"files":{"classes":"model/classes.json","model":"model"},"type":"tensorflow-model","version":"2.1.0"}'
    about = {
        "version": "1",
        "output-files": '["model/classes.json", "model/saved_model.pb", "model/variables/v.index"]',
        "label.stage": "dev",
        "label.artefact:mnist": model,
        "summary.accuracy": "0.9",
        "parameters.epochs": "1",
        "description": "trained mnist model",
        "authority": "remote",
        "workload-file": "remote_script.py",
    }
    commit = {"author": USER, "exec.logs": "[]", "runs": json.dumps([run_id])}
    commit |= {"workload.type": "remote", "type": "dotscience.run.v1"}
    assert metadata == commit | {f"run.{run_id}.{key}": value for key, value in about.items()}


def test_a_run_without_outputs_uploads_nothing(ds, hub, capsys):
    hub.projects.append({"id": PROJECT_ID, "name": "mnist"})
    ds.publish("empty")
    ds.publish("again")
    assert hub.named("PUT") == []
    assert [r.path for r in hub.named("GET|POST /v2/projects")] == ["/v2/projects"]
    assert len(hub.commits) == 2
    assert capsys.readouterr().out.count("Found project mnist.\n") == 1
    (run_id,) = json.loads(hub.commits[0]["runs"])
    assert hub.commits[0][f"run.{run_id}.output-files"] == "[]"


@pytest.mark.parametrize("content", [b"", b"\x00weights" * 100_000])
def test_one_output_is_sent_as_it_is(ds, hub, folder, content, write):
    ds.output(write("out/w.bin", content))
    ds.publish()
    (upload,) = hub.named("PUT")
    assert upload.path == FILES + "out/w.bin"
    assert int(upload.headers["Content-Length"]) == len(content)
    assert "Extract" not in upload.headers
    assert hub.files == {"out/w.bin": content}


def test_outputs_without_a_model_and_two_models_are_all_there(ds, hub, folder, write):
    hub.files = {"notebook.ipynb": b"theirs", "a/stale.txt": b"of an earlier run"}
    expected = {path: path.encode() for path in ("loose.csv", "x/loose.csv", "a/1", "a/sub/2", "b/1", "b/2", "one/1")}
    for path in expected:
        write(path, path)
    ds.add_outputs("loose.csv", "x/loose.csv", "one", "a/sub")
    ds.model(framework("sklearn"), "first", "a")
    ds.model(framework("sklearn"), "second", "b")
    run = ds.publish()
    assert hub.files == expected | {"notebook.ipynb": b"theirs"}
    (commit,) = hub.commits
    assert json.loads(commit[f"run.{run.run_id}.output-files"]) == sorted(expected)
    assert f"run.{run.run_id}.label.artefact:first" in commit
    assert f"run.{run.run_id}.label.artefact:second" in commit
    assert sorted(r.path.removeprefix(FILES) for r in hub.named("PUT") if "Extract" in r.headers) == ["a", "b"]


def test_the_root_as_an_output_removes_nothing_of_the_workspace(ds, hub, folder, write):
    hub.files = {"notebook.ipynb": b"theirs"}
    write_project(new_workspace(folder))
    write("a.csv")
    write("b/c.csv")
    ds.output(".")
    ds.publish()
    assert sorted(hub.files) == ["a.csv", "b/c.csv", "notebook.ipynb"]


def test_what_cannot_be_uploaded_is_warned_about_and_not_named(ds, hub, folder, tmp_path_factory, write):
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    outside.write_text("not ours")
    os.mkfifo(folder / "pipe")
    write("here.csv")
    write("in.csv")
    ds.add_input("in.csv")
    ds.add_outputs(outside, "missing.csv", "pipe", "here.csv")
    with pytest.warns(DotscienceWarning) as caught:
        run = ds.publish()
    texts = " ".join(str(warning.message) for warning in caught)
    for said in (
        "is outside of",
        "missing.csv does not exist",
        "pipe is not a regular file",
        "inputs are not recorded",
    ):
        assert said in texts
    assert hub.files == {"here.csv": b"x"}
    assert json.loads(hub.commits[0][f"run.{run.run_id}.output-files"]) == ["here.csv"]
    assert [file.path for file in run.record.inputs] == ["in.csv"]


def test_links_are_sent_as_what_they_name_and_no_owner_is(ds, hub, folder, write):
    write("m/a", "content")
    (folder / "m/b").symlink_to("a")
    os.link(folder / "m/a", folder / "m/c")
    ds.output("m")
    ds.publish()
    assert hub.files == {f"m/{name}": b"content" for name in "abc"}
    (upload,) = hub.named("PUT")
    with tarfile.open(fileobj=io.BytesIO(upload.body)) as tar:
        assert {(e.uid, e.gid, e.uname, e.gname) for e in tar} == {(0, 0, "", "")}


def test_unicode_and_hostile_names_arrive_as_they_are(ds, hub, folder, write):
    names = ["größe \U0001f680.csv", "a?b#c%41.csv", "x" * 200]
    for name in names:
        write(name, name)
        write(f"モデル/{name}", name)
    ds.add_outputs(*names, "モデル")
    ds.label("é.ü", "\U0001f680")
    run = ds.publish("„Ende“")
    assert hub.files == {f"{place}{name}": name.encode() for name in names for place in ("", "モデル/")}
    (commit,) = hub.commits
    assert commit[f"run.{run.run_id}.label.é.ü"] == "\U0001f680"
    assert commit[f"run.{run.run_id}.description"] == "„Ende“"


def test_users_projects_and_tokens_may_be_unicode(folder, write):
    with legacy_hub("алиса/../x") as hub:
        library = Dotscience()
        library.connect(hub.user, SECRET, "größe", hub.url)
        library.output(write("a"))
        library.publish()
    assert hub.files == {"a": b"x"}
    assert "/../" not in hub.named("PUT")[0].path
    assert hub.projects == [{"id": PROJECT_ID, "name": "größe"}]


def test_a_failed_run_says_why(ds, hub):
    with pytest.raises(ZeroDivisionError), ds.run("divide"):
        1 / 0  # noqa: B018 - raises
    (commit,) = hub.commits
    (run_id,) = json.loads(commit["runs"])
    assert commit[f"run.{run_id}.error"] == "ZeroDivisionError: division by zero"


def test_no_marker_and_no_sidecar(ds, hub, folder, capsys):
    write_project(new_workspace(folder))
    stream = io.StringIO()
    ds.publish(stream=stream)
    assert "DOTSCIENCE-RUN" not in capsys.readouterr().out
    assert stream.getvalue() == ""
    assert list((folder / ".dotscience/runs").iterdir()) == []


def test_threads_publish_their_own_runs_with_their_own_files(ds, hub, folder, write):
    numbers = range(8)
    for number in numbers:
        write(f"{number}.txt", str(number))
    barrier = threading.Barrier(len(numbers))
    runs = {}

    def work(number):
        ds.start(str(number))
        ds.output(f"{number}.txt")
        barrier.wait()
        runs[number] = ds.publish().run_id

    threads = [threading.Thread(target=work, args=[number]) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.projects) == 1
    assert len(set(runs.values())) == len(hub.commits) == len(numbers)
    commits = {run_id: commit for commit in hub.commits for run_id in json.loads(commit["runs"])}
    for number, run_id in runs.items():
        assert commits[run_id][f"run.{run_id}.description"] == str(number)
        assert json.loads(commits[run_id][f"run.{run_id}.output-files"]) == [f"{number}.txt"]
