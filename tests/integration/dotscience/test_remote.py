"""Remote mode against a real HTTP server that speaks the original hub's `/v2`, records what it is sent, and refuses."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import sys
import tarfile
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from dotscience import Dotscience, DotscienceWarning
from dotscience.errors import (
    ConfigError,
    DotscienceError,
    HubError,
    HubUnavailable,
    Locked,
    NotConnected,
    NotOffered,
    Unauthenticated,
)
from dotscience.workspace import new_workspace, write_project

USER, SECRET = "alice", "ds_7_s3cr3t-token"
PROJECT_ID = "0123456789abcdef"
DOT = f"{USER}:project-01234567-default-workspace"
FILES = f"/v2/dotmesh/s3/{DOT}/"


class Asked:
    """One request, as it came."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.method} {self.path}"


class FakeHub:
    """The projects, files and commits of one user's hub; `refuse` makes it answer something else to some requests."""

    def __init__(self):
        self.requests, self.projects, self.files, self.commits = [], [], {}, []
        self.lock = threading.Lock()
        self.refusals = []

    def refuse(self, pattern, status, body=b"", headers=(), *, unread=False):
        self.refusals.append((re.compile(pattern), status, body, dict(headers), unread))

    def named(self, pattern):
        return [request for request in self.requests if re.search(pattern, repr(request))]

    def rpc(self, method):
        return [r.json for r in self.named("POST /v2/dotmesh/rpc") if r.json["method"] == f"DotmeshRPC.{method}"]

    def answer(self, request):
        expected = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return 401, {"title": "Unauthenticated", "detail": "the API token is not valid"}
        if request.method == "PUT":
            return self.store(unquote(request.path), request)
        if request.path == "/v2/projects":
            return self.list_or_create(request)
        call = request.json
        if call["method"] == "DotmeshRPC.Commit":
            self.commits.append(call["params"]["Metadata"])
        return 200, {"jsonrpc": "2.0", "id": call["id"], "result": True}

    def list_or_create(self, request):
        if request.method == "GET":
            return 200, self.projects
        self.projects.append({"id": PROJECT_ID, "name": request.json["name"]})
        return 201, self.projects[-1]

    def store(self, path, request):
        """A folder that is replaced by an archive loses what it had, as on the original hub."""
        name = path.removeprefix(FILES)
        if request.headers.get("Extract") != "true":
            self.files[name] = request.body
            return 200, {}
        self.files = {old: content for old, content in self.files.items() if not old.startswith(name + "/")}
        with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
            for entry in tar:
                assert entry.isfile()
                assert not entry.name.startswith(("/", ".."))
                self.files[f"{name}/{entry.name}"] = tar.extractfile(entry).read()
        return 200, {}


def serve(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            refusal = next((r for r in hub.refusals if r[0].search(f"{self.command} {self.path}")), None)
            unread = refusal is not None and refusal[4]
            body = b"" if unread else self.rfile.read(int(self.headers["Content-Length"] or 0))
            with hub.lock:
                request = Asked(self.command, self.path, dict(self.headers), body)
                hub.requests.append(request)
                status, answer = refusal[1:3] if refusal else hub.answer(request)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.close_connection = self.close_connection or unread
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **(refusal[3] if refusal else {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the names that BaseHTTPRequestHandler calls

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hub():
    yield from serve(FakeHub())


@pytest.fixture
def other_hub():
    yield from serve(FakeHub())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOTSCIENCE_PROJECT_DOT_ROOT", str(tmp_path))
    monkeypatch.delenv("DOTSCIENCE_URL", raising=False)
    monkeypatch.delenv("DOTSCIENCE_WORKLOAD_TYPE", raising=False)
    return tmp_path


@pytest.fixture
def ds(hub, folder):
    """A library of one's own, connected."""
    library = Dotscience()
    library.connect(USER, SECRET, "mnist", hub.url)
    return library


def write(folder, path, content="x"):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def framework(name, version="1.0"):
    module = types.ModuleType(name)
    module.__version__ = version
    return module


# -- connecting


def test_connect_pings_and_says_so(hub, folder, capsys):
    Dotscience().connect(USER, SECRET, "mnist", hub.url + "/")
    assert capsys.readouterr().out == "Checking connection... connected!\n"
    (ping,) = hub.requests
    assert repr(ping) == "POST /v2/dotmesh/rpc"
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
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}"


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


def test_the_traffic_and_the_messages_are_the_originals(ds, hub, folder, capsys, monkeypatch):
    write(folder, "remote_script.py")
    monkeypatch.setattr("sys.argv", ["remote_script.py"])
    for name in ("classes.json", "saved_model.pb", "variables/v.index"):
        write(folder, f"model/{name}", name)
    ds.start("trained mnist model")
    ds.label("stage", "dev")
    ds.parameter("epochs", 1)
    ds.metric("accuracy", 0.9)
    ds.model(framework("tensorflow", "2.1.0"), "mnist", "model", classes="model/classes.json")
    hub.requests.clear()
    run = ds.publish()

    assert list(map(repr, hub.requests)) == [
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
def test_one_output_is_sent_as_it_is(ds, hub, folder, content):
    ds.output(write(folder, "out/w.bin", content))
    ds.publish()
    (upload,) = hub.named("PUT")
    assert upload.path == FILES + "out/w.bin"
    assert int(upload.headers["Content-Length"]) == len(content)
    assert "Extract" not in upload.headers
    assert hub.files == {"out/w.bin": content}


def test_outputs_without_a_model_and_two_models_are_all_there(ds, hub, folder):
    hub.files = {"notebook.ipynb": b"theirs", "a/stale.txt": b"of an earlier run"}
    expected = {path: path.encode() for path in ("loose.csv", "x/loose.csv", "a/1", "a/sub/2", "b/1", "b/2", "one/1")}
    for path in expected:
        write(folder, path, path)
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


def test_the_root_as_an_output_removes_nothing_of_the_workspace(ds, hub, folder):
    hub.files = {"notebook.ipynb": b"theirs"}
    write_project(new_workspace(folder))
    write(folder, "a.csv")
    write(folder, "b/c.csv")
    ds.output(".")
    ds.publish()
    assert sorted(hub.files) == ["a.csv", "b/c.csv", "notebook.ipynb"]


def test_what_cannot_be_uploaded_is_warned_about_and_not_named(ds, hub, folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    outside.write_text("not ours")
    os.mkfifo(folder / "pipe")
    write(folder, "here.csv")
    write(folder, "in.csv")
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


def test_links_are_sent_as_what_they_name_and_no_owner_is(ds, hub, folder):
    write(folder, "m/a", "content")
    (folder / "m/b").symlink_to("a")
    os.link(folder / "m/a", folder / "m/c")
    ds.output("m")
    ds.publish()
    assert hub.files == {f"m/{name}": b"content" for name in "abc"}
    (upload,) = hub.named("PUT")
    with tarfile.open(fileobj=io.BytesIO(upload.body)) as tar:
        assert {(e.uid, e.gid, e.uname, e.gname) for e in tar} == {(0, 0, "", "")}


def test_unicode_and_hostile_names_arrive_as_they_are(ds, hub, folder):
    names = ["größe \U0001f680.csv", "a?b#c%41.csv", "x" * 200]
    for name in names:
        write(folder, name, name)
        write(folder, f"モデル/{name}", name)
    ds.add_outputs(*names, "モデル")
    ds.label("é.ü", "\U0001f680")
    run = ds.publish("„Ende“")
    assert hub.files == {f"{place}{name}": name.encode() for name in names for place in ("", "モデル/")}
    (commit,) = hub.commits
    assert commit[f"run.{run.run_id}.label.é.ü"] == "\U0001f680"
    assert commit[f"run.{run.run_id}.description"] == "„Ende“"


def test_users_projects_and_tokens_may_be_unicode(hub, folder, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "USER", "алиса/../x")
    monkeypatch.setattr(sys.modules[__name__], "FILES", "/v2/dotmesh/s3/алиса/../x:project-01234567-default-workspace/")
    library = Dotscience()
    library.connect(USER, SECRET, "größe", hub.url)
    library.output(write(folder, "a"))
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


def test_threads_publish_their_own_runs_with_their_own_files(ds, hub, folder):
    numbers = range(8)
    for number in numbers:
        write(folder, f"{number}.txt", str(number))
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


# -- refusals


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, Unauthenticated, "check the user name"),
        (423, Locked, "task 12 has the lock.*stop Jupyter"),
        (500, HubUnavailable, "try again later"),
        (507, HubError, "status 507"),
        (302, HubError, "redirects"),
    ],
)
@pytest.mark.parametrize("outputs", [["a"], ["m/a", "m/b"]])
def test_a_refused_upload_is_an_error_and_nothing_is_done(ds, hub, folder, capsys, outputs, status, error, said):
    problem = {"detail": "task 12 has the lock"} if status == 423 else b""
    hub.refuse("PUT", status, problem)
    for path in outputs:
        write(folder, path)
    ds.output("a" if outputs == ["a"] else "m")
    with pytest.raises(error, match=f"refused the upload of [am] with status {status}.*{said}"):
        ds.publish()
    assert hub.rpc("Commit") == []
    out = capsys.readouterr().out
    assert "done" not in out
    assert "complete" not in out

    hub.refusals.clear()
    run = ds.publish()
    assert json.loads(hub.commits[0][f"run.{run.run_id}.output-files"]) == outputs


def test_a_hub_that_refuses_before_it_has_read_is_an_error_too(ds, hub, folder):
    """The connection is reset while the client still sends; the answer may or may not get through."""
    hub.refuse("PUT", 423, unread=True)
    ds.output(write(folder, "big.bin", b"x" * 20_000_000))
    with pytest.raises(HubError, match=r"the upload of big\.bin"):
        ds.publish()
    assert hub.rpc("Commit") == []


@pytest.mark.parametrize("place", ["GET /v2/projects", "POST /v2/projects", "POST /v2/dotmesh/rpc"])
def test_any_other_refusal_is_an_error_too(ds, hub, place, capsys):
    hub.refuse(place, 500)
    with pytest.raises(HubUnavailable):
        ds.publish()
    assert "done" not in capsys.readouterr().out
    assert hub.commits == []


def test_projects_in_another_form_are_not_guessed_at(ds, hub):
    hub.refuse("GET /v2/projects", 200, [{"name": "mnist"}])
    with pytest.raises(HubUnavailable, match="does not answer like a Dotscience hub"):
        ds.publish()


def test_an_output_that_cannot_be_read_ends_the_publish(ds, hub, folder, monkeypatch):
    write(folder, "m/a")
    write(folder, "m/b")
    ds.output("m")
    monkeypatch.setattr("builtins.open", refuse_to_open(folder / "m/b"))
    with pytest.raises(PermissionError):
        ds.publish()
    assert hub.named("PUT") == []
    assert hub.commits == []


def refuse_to_open(path):
    """What a file of another user does; the tests may run as root, whom nothing is refused."""
    original = open

    def opened(file, *args, **kwargs):
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return original(file, *args, **kwargs)

    return opened


@pytest.mark.parametrize("asked", [{"build": True}, {"deploy": True}])
def test_builds_are_refused_before_anything_is_sent(ds, hub, folder, asked):
    ds.output(write(folder, "a"))
    hub.requests.clear()
    with pytest.raises(NotOffered, match="nothing was published"):
        ds.publish(**asked)
    assert hub.requests == []


def test_remote_without_connect_says_what_to_call(folder):
    library = Dotscience()
    library.remote()
    with pytest.raises(NotConnected, match=r"call ds\.connect\(username, apikey, project, hostname\)"):
        library.publish()
    with pytest.raises(NotConnected):
        library.publish()


def test_a_refusal_does_not_take_the_place_of_the_users_exception(ds, hub):
    hub.refuse("projects", 500)
    with (
        pytest.warns(DotscienceWarning, match="the failed run could not be published"),
        pytest.raises(ZeroDivisionError),
        ds.run(),
    ):
        1 / 0  # noqa: B018 - raises


def test_a_refusal_is_not_the_runs_failure(ds, hub):
    hub.refuse("projects", 500)
    with pytest.raises(HubUnavailable), ds.run():
        ds.publish()
    assert len(hub.named("projects")) == 1


def test_a_script_whose_publish_is_refused_tries_once_and_fails(hub, run_script):
    hub.refuse("projects", 503)
    finished = run_script(f"""
        import dotscience as ds
        ds.connect({USER!r}, {SECRET!r}, "mnist", {hub.url!r})
        ds.publish()
        """)
    assert finished.returncode == 1
    assert "HubUnavailable: the hub refused the list of projects with status 503" in finished.stderr
    assert len(hub.named("projects")) == 1
    assert SECRET not in finished.stderr + finished.stdout


def test_a_script_publishes_and_its_crash_too(hub, run_script):
    finished = run_script(f"""
        import dotscience as ds
        ds.connect({USER!r}, {SECRET!r}, "mnist", {hub.url!r})
        ds.start("first"); ds.publish()
        ds.start("second"); ds.parameter("p", 1)
        raise SystemError("boom")
        """)
    assert "SystemError: boom" in finished.stderr
    first, second = hub.commits
    errors = [commit.get(f"run.{run_id}.error") for commit in (first, second) for run_id in json.loads(commit["runs"])]
    assert errors == [None, "SystemError: boom"]
    (run_id,) = json.loads(first["runs"])
    assert first[f"run.{run_id}.workload-file"] == "script.py"


def test_the_module_still_has_the_originals_remote_after_connecting(hub, run_script):
    """A submodule of that name would take its place when it is imported."""
    finished = run_script(f"""
        import dotscience as ds
        ds.connect({USER!r}, {SECRET!r}, "mnist", {hub.url!r})
        ds.remote()
        """)
    assert finished.returncode == 0, finished.stderr


def test_credentials_show_nowhere(ds, hub, folder, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    ds.output(write(folder, "a"))
    run = ds.publish()
    hub.refuse("projects|PUT", 500, {"detail": "no"})
    with pytest.raises(DotscienceError) as caught:
        ds.publish()
    encoded = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
    hub_objects = [ds, ds._remote, ds._remote.open(), run, run.record, ds.current.get()]
    hub_objects[2].__exit__()
    seen = [*map(repr, hub_objects), *map(str, hub_objects), repr(caught.value), caplog.text, capsys.readouterr().out]
    seen += [json.dumps(commit) for commit in hub.commits]
    assert not [text for text in seen if SECRET in text or encoded in text]
    assert urlsplit(run.url).password is None
