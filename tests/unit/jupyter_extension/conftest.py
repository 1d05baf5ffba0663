"""A real Jupyter server with the extension, and a real fake committer: a Tornado server on a unix socket."""

import asyncio
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403 - the plugin can only be loaded whole
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_unix_socket

from dotscience.workspace import ROOT_VARIABLE, STATE_DIR, new_workspace, write_project


class FakeCommitter:
    """The committer's local API over a run list that tests fill; remembers what it was asked."""

    def __init__(self, root):
        self.root = root
        self.folder = Path(tempfile.mkdtemp(prefix="ds-"))
        self.runs = []
        self.nudges = asyncio.Queue()
        self.commits = []
        self.pushes = 0
        self.refuse_commit = None
        self.state = "watching"
        self.listeners = []
        self.connected = asyncio.Event()
        handler = {"fake": self}
        app = web.Application(
            [
                (r"/v1/status", Status, handler),
                (r"/v1/runs", Runs, handler),
                (r"/v1/runs/([^/]+)", Run, handler),
                (r"/v1/nudge", Nudge, handler),
                (r"/v1/commits", Commits, handler),
                (r"/v1/push", Push, handler),
                (r"/v1/events", Events, handler),
            ]
        )
        self.server = HTTPServer(app)

    def listen(self):
        path = self.folder / f"{uuid4().hex[:8]}.sock"
        self.server.add_socket(bind_unix_socket(str(path)))
        endpoint = {"pid": 1, "socket": str(path), "started_at": datetime.now(UTC).isoformat()}
        (self.root / STATE_DIR / "committer.json").write_text(json.dumps(endpoint))

    async def close(self):
        for listener in self.listeners:
            listener.finished.set()
        self.server.stop()
        await self.server.close_all_connections()
        shutil.rmtree(self.folder)

    def status(self):
        return {
            "root": str(self.root),
            "dot_id": "d",
            "state": self.state,
            "message": f"It is {self.state}",
            "error": None,
            "hub": None,
            "head": None,
            "head_at": None,
            "pushed": 1,
            "unpushed": 2,
            "push_total": 3,
            "runs": len(self.runs),
            "pending_runs": 0,
            "earlier_runs": 0,
            "consistency": "stable",
            "version": "1.0.0",
        }

    def add_run(self, notebook="a.ipynb", state="pending"):
        run_id = str(uuid4())
        record = {"schema": "dotscience.run.v1", "run_id": run_id, "summary": {"accuracy": 0.5}}
        entry = {"seq": len(self.runs) + 1, "run_id": run_id, "state": state, "record": record, "notebook": notebook}
        self.runs.insert(0, {**entry, "commit": None, "noticed_at": "2026-01-01T00:00:00Z", "hub_url": None})
        return run_id

    def say(self, event):
        for listener in self.listeners:
            listener.write(json.dumps(event) + "\n")
            listener.flush()


class Handler(web.RequestHandler):
    def initialize(self, fake):
        self.fake = fake

    def refuse(self, status, kind, detail):
        self.set_status(status)
        self.finish({"type": f"/problems/{kind}", "title": kind, "status": status, "detail": detail})


class Status(Handler):
    def get(self):
        self.finish(self.fake.status())


class Runs(Handler):
    def get(self):
        notebook = self.get_query_argument("notebook", None)
        runs = [run for run in self.fake.runs if notebook in (None, run["notebook"])]
        limit = int(self.get_query_argument("limit"))
        self.finish({"runs": runs[:limit], "next_before": None, "total": len(runs)})


class Run(Handler):
    def get(self, run_id):
        found = [run for run in self.fake.runs if run["run_id"] == run_id]
        if not found:
            return self.refuse(404, "not-found", f"no run {run_id}")
        return self.finish({**found[0], "environment": None})


class Nudge(Handler):
    def post(self):
        self.fake.nudges.put_nowait(json.loads(self.request.body)["path"])
        self.set_status(202)
        self.finish({})


class Commits(Handler):
    def post(self):
        if self.fake.refuse_commit:
            return self.refuse(*self.fake.refuse_commit)
        self.fake.commits.append(json.loads(self.request.body)["description"])
        self.set_status(201)
        return self.finish({"commit": "c" * 64, "files": 3, "new_bytes": 10, "consistency": "stable", "runs": []})


class Push(Handler):
    def post(self):
        self.fake.pushes += 1
        self.set_status(202)
        self.finish({})


class Events(Handler):
    async def get(self):
        self.finished = asyncio.Event()
        self.fake.listeners.append(self)
        self.set_header("Content-Type", "application/x-ndjson")
        try:
            self.write(json.dumps({"type": "status", "status": self.fake.status()}) + "\n")
            await self.flush()
            self.fake.connected.set()
            await self.finished.wait()
        except StreamClosedError:
            pass

    def on_connection_close(self):
        self.finished.set()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """What the extension sets for kernels must not outlive the test, nor come from outside."""
    monkeypatch.setenv(ROOT_VARIABLE, "")
    monkeypatch.delenv(ROOT_VARIABLE)


@pytest.fixture
def jp_server_config():
    return {
        "ServerApp": {
            "jpserver_extensions": {"jupyter_extension": True, "jupyter_server_terminals": False},
            "allow_unauthenticated_access": False,  # makes a route of ours without authentication an error
        },
        "DotscienceApp": {"autostart_committer": False},
    }


@pytest.fixture
def workspace(jp_root_dir):
    """The server's root folder, tracked."""
    found = new_workspace(jp_root_dir)
    write_project(found)
    return found


@pytest.fixture
def committer(workspace, jp_asyncio_loop):
    """A fake committer that listens for the server's root folder."""

    async def make():
        fake = FakeCommitter(workspace.root)
        fake.listen()
        return fake

    fake = jp_asyncio_loop.run_until_complete(make())
    yield fake
    jp_asyncio_loop.run_until_complete(fake.close())


@pytest.fixture
def api(jp_fetch):
    """Calls the extension's API: `await api("GET", "status", path="")` gives (status, document)."""

    async def call(method, path, /, *, body=None, headers=None, **params):
        text = None if body is None and method == "GET" else json.dumps(body or {})
        answer = await jp_fetch(
            "dotscience", "api", *path.split("/"), method=method, body=text, params=params, headers=headers or {},
            raise_error=False,
        )  # fmt: skip
        return answer.code, json.loads(answer.body)

    return call


@pytest.fixture
def cookie(jp_serverapp, jp_fetch):
    """Signs in as a browser does: `await cookie()` gives the Cookie header's value."""

    async def sign_in():
        token = jp_serverapp.identity_provider.token
        answer = await jp_fetch("api", "me", params={"token": token}, headers={"Authorization": ""})
        return "; ".join(value.split(";")[0] for value in answer.headers.get_list("Set-Cookie"))

    return sign_in


@pytest.fixture
def events(jp_serverapp):
    """Every Dotscience event that the server emits, as a queue of (schema id, data)."""
    queue = asyncio.Queue()

    async def listener(logger, schema_id, data):
        queue.put_nowait((schema_id.rsplit("/", 2)[-2], data))

    for schema in ("run", "committer"):
        jp_serverapp.event_logger.add_listener(
            schema_id=f"https://events.dotscience.dev/{schema}/v1", listener=listener
        )
    return queue
