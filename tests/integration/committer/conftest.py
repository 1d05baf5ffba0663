"""A committer as a real process on a real folder, and a hub that is fake behind a real HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import blake3
import msgspec
import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web
from support.committer import DS, PATIENCE_S, Process

from committer.initialise import initialise
from committer.storage.compression import Encoding
from committer.storage.objects import Kind, decode_commit, references
from committer.storage.pack import PackEntry, iterate_records
from dotscience.client import credentials
from dotscience.client.committer import CommitterClient
from dotscience.record import Environment, FileRef, Place, RunRecord, encode_json
from dotscience.wire import mime_bundle
from dotscience.workspace import HubBinding, Workspace, read_project, write_durably, write_project

TOKEN = "ds_test_secret"
QUICK = {
    "DS_COMMITTER_DEBOUNCE_S": "0.05",
    "DS_COMMITTER_PUBLISH_GRACE_S": "0.4",
    "DS_COMMITTER_DERIVED_QUIET_S": "0.3",
    "DS_COMMITTER_ENVIRONMENT_WAIT_S": "0.3",
    "DS_COMMITTER_UNREADABLE_AFTER_S": "0.2",
    "DS_COMMITTER_RETRY_MAX_S": "0.2",
    "DS_COMMITTER_HUB_CHECK_S": "0.5",
    "DS_COMMITTER_MIN_FREE_BYTES": "1",
}


# ---------------------------------------------------------------------------------- the hub


@dataclass
class FakeHub:
    """What a hub keeps, and the ways in which it can be unwell."""

    token: str = TOKEN
    epoch: str = "1"
    objects: dict[bytes, tuple[Kind, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    damaged: set[bytes] = field(default_factory=set)
    refuse_commits: bool = False
    is_full: bool = False
    refused_runs: dict[str, str] = field(default_factory=dict)
    put_packs: int = 0
    asked_for: list[int] = field(default_factory=list)
    may_take_packs: asyncio.Event = field(default_factory=asyncio.Event)

    def accept(self, commit_id: str) -> None:
        """Store a commit's runs, each once."""
        commit = decode_commit(self.objects[bytes.fromhex(commit_id)][1])
        if commit_id not in self.commits:
            self.commits.append(commit_id)
            self.runs += [run_id for run_id, _ in commit.runs if run_id not in self.runs]

    def missing(self, kind: Kind, name: bytes) -> list[str]:
        """The objects that a commit needs and that are not here; a parent that was taken needs nothing any more."""
        if kind is Kind.COMMIT and name.hex() in self.commits:
            return []
        if name not in self.objects:
            return [name.hex()]
        data = self.objects[name][1]
        return [gap for child_kind, child in references(kind, data) for gap in self.missing(child_kind, child)]

    def forget(self) -> tuple[dict[bytes, tuple[Kind, bytes]], dict[str, str], list[str], list[str]]:
        """A backup of everything, to restore later."""
        return dict(self.objects), dict(self.branches), list(self.commits), list(self.runs)

    def restore(self, backup: tuple[Any, ...]) -> None:
        """Go back to a backup."""
        self.objects, self.branches, self.commits, self.runs = (type(part)(part) for part in backup)


class HubHandler(tornado.web.RequestHandler):
    hub: FakeHub

    def initialize(self, hub: FakeHub) -> None:
        self.hub = hub

    def prepare(self) -> None:
        if self.request.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self.problem(401, "the token is wrong or expired")

    def problem(self, status: int, detail: str, **more: Any) -> None:
        self.set_status(status)
        self.finish({"title": "refused", "status": status, "detail": detail, **more})


class DotHandler(HubHandler):
    def get(self, dot: str) -> None:
        self.finish({"dot_id": dot, "project_id": "p1", "gc_epoch": self.hub.epoch, "branches": self.hub.branches})


class HaveHandler(HubHandler):
    def post(self, dot: str) -> None:
        body = self.request.body
        names = [body[start : start + 32] for start in range(0, len(body), 32)]
        bitmap = bytearray((len(names) + 7) // 8)
        for index, name in enumerate(names):
            bitmap[index // 8] |= (name in self.hub.objects) << index % 8
        self.set_header("X-Dotscience-Gc-Epoch", self.hub.epoch)
        self.finish(bytes(bitmap))


class DamagedHandler(HubHandler):
    def get(self, dot: str) -> None:
        self.finish({"objects": sorted(name.hex() for name in self.hub.damaged)})


class PackHandler(HubHandler):
    async def put(self, dot: str, name: str) -> None:
        await self.hub.may_take_packs.wait()
        if blake3.blake3(self.request.body).hexdigest() != name:
            self.problem(422, "the pack's name is not its hash")
            return
        self.hub.put_packs += 1
        for record in iterate_records(io.BytesIO(self.request.body)):
            self.hub.objects[record.entry.hash] = (record.entry.kind, record.data)
            self.hub.damaged.discard(record.entry.hash)
        self.set_status(201)
        self.finish({})


class ObjectsHandler(HubHandler):
    def post(self, dot: str) -> None:
        body = self.request.body
        names = [body[start : start + 32] for start in range(0, len(body), 32)]
        self.hub.asked_for.append(len(names))
        records = [_record(name, *self.hub.objects[name]) for name in names if name in self.hub.objects]
        self.set_header("X-Dotscience-Answered", str(len(names)))
        self.finish(b"".join(records))


def _record(name: bytes, kind: Kind, data: bytes) -> bytes:
    return PackEntry(name, kind, 0, len(data), len(data), Encoding.RAW).header + data


class CommitHandler(HubHandler):
    def post(self, dot: str) -> None:
        if self.hub.refuse_commits:
            self.problem(503, "down for maintenance")
            return
        if self.hub.is_full:
            self.problem(503, "the hub's disk is full; its operator must make room", type="/problems/storage-full")
            return
        body = json.loads(self.request.body)
        commit, branch, expected = body["commit"], body["branch"], body["expected_parent"]
        head = self.hub.branches.get(branch)
        gaps = [one for one in self.hub.missing(Kind.COMMIT, bytes.fromhex(commit)) if one not in body.get("lost", ())]
        if gaps:
            self.problem(422, "objects are missing", missing=gaps[:1000])
        elif head == commit:
            self.finish({"commit": commit, "branch": branch, "runs": 0})
        elif head != expected:
            self.problem(409, "the head has moved", head=head)
        else:
            self.hub.accept(commit)
            self.hub.branches[branch] = commit
            self.set_status(201)
            refused = [{"run_id": run_id, "reason": reason} for run_id, reason in self.hub.refused_runs.items()]
            self.finish({"commit": commit, "branch": branch, "runs": 1, "refused": refused})


class HubServer:
    """Serves a `FakeHub` on one port, which it keeps while it is down."""

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server: tornado.httpserver.HTTPServer | None = None
        self.port = 0
        self.hub.may_take_packs.set()
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def holding_packs(self) -> Iterator[None]:
        """Packs arrive meanwhile, but are answered only when this is left."""
        self._loop.call_soon_threadsafe(self.hub.may_take_packs.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self.hub.may_take_packs.set)

    def up(self) -> None:
        self._call(self._up())

    def down(self) -> None:
        self._call(self._down())

    def close(self) -> None:
        self._call(self._down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _up(self) -> None:
        dot = r"/api/v1/dots/([^/]+)"
        routes: list[tuple[str, type[HubHandler]]] = [
            (dot, DotHandler),
            (f"{dot}/have", HaveHandler),
            (f"{dot}/damaged", DamagedHandler),
            (f"{dot}/packs/([0-9a-f]+)", PackHandler),
            (f"{dot}/objects", ObjectsHandler),
            (f"{dot}/commits", CommitHandler),
        ]
        application = tornado.web.Application(
            [(route, handler, {"hub": self.hub}) for route, handler in routes], log_function=lambda _: None
        )
        self._server = tornado.httpserver.HTTPServer(application)
        sockets = tornado.netutil.bind_sockets(self.port, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self._server.add_sockets(sockets)

    async def _down(self) -> None:
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)


# ---------------------------------------------------------------------------------- the committer


class Folder:
    """A tracked folder with its committer, and everything that tests do to them."""

    def __init__(self, root: Path, environment: dict[str, str], hub: HubServer | None) -> None:
        self.root = root
        self.environment = environment
        self.hub = hub
        self.process: Process | None = None
        self._ended: list[Process] = []

    @property
    def workspace(self) -> Workspace:
        return read_project(self.root)

    @property
    def client(self) -> CommitterClient:
        return CommitterClient(self.root, timeout_s=PATIENCE_S)

    def bind(self, server: HubServer, *, project_id: str = "p1", token: str = TOKEN) -> None:
        binding = HubBinding(url=server.url, project_id=project_id, project_name="demo")
        credentials.save(server.url, project_id, token)
        write_project(msgspec.structs.replace(self.workspace, hub=binding))

    def start(self, **settings: str) -> Process:
        environment = self.environment | {f"DS_COMMITTER_{name.upper()}": value for name, value in settings.items()}
        self.process = Process(self.root, environment)
        self.process.wait_for_log("committer.started")
        return self.process

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process = None

    def stop(self) -> int:
        assert self.process is not None
        status = self.process.stop()
        self.process = None
        return status

    def command(
        self, *arguments: str, cwd: Path | None = None, stdin: str = "", under: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `ds` with these arguments, by the command `under` if there is one."""
        return subprocess.run(
            [*under, *DS, *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The status as soon as the condition holds of it; looked at after every event of the feed."""
        events = self.client.events(timeout_s=PATIENCE_S)
        deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
        seen = []
        try:
            for event in events:
                seen.append(event)
                status = self.client.status()
                if condition(status):
                    return status
                assert datetime.now(UTC) < deadline, f"it did not happen: {status} after {seen}"
        finally:
            events.close()
        raise AssertionError(f"the committer ended; it said {seen}")

    def until_committed(self, *run_ids: str) -> dict[str, dict[str, Any]]:
        """The runs, as soon as each is in a commit and nothing is pending."""
        self.until(lambda status: status["pending_runs"] == 0 and set(run_ids) <= set(self.committed()))
        return self.committed()

    def until_pushed(self, runs: int = 0) -> dict[str, Any]:
        """The status, as soon as there are so many runs and all are on the hub."""
        return self.until(
            lambda status: (
                (status["state"], status["unpushed"], status["pending_runs"]) == ("pushed", 0, 0)
                and status["runs"] >= runs
            )
        )

    def runs(self) -> list[dict[str, Any]]:
        """The runs that were there when the first page was asked for, oldest first, through all pages."""
        page = self.client.runs(limit=50)
        found, total = page["runs"], page["total"]
        while page["next_before"] is not None:
            page = self.client.runs(limit=50, before=page["next_before"])
            found += page["runs"]
        assert len(found) == total
        return list(reversed(found))

    def committed(self) -> dict[str, dict[str, Any]]:
        runs = [run for run in self.runs() if run["state"] in ("committed", "pushed")]
        return {run["run_id"]: run for run in runs}

    # What kernels and people do

    def publish(self, run: RunRecord) -> RunRecord:
        """Leave a sidecar, as the library does."""
        write_durably(self.workspace.runs_dir / f"{run.run_id}.json", encode_json(run))
        return run

    def save_notebook(self, path: str, *runs: RunRecord, cells: int = 0, executed_at: str | None = None) -> None:
        """Save a notebook with a cell for each run, and more cells that were executed."""
        self.write(path, notebook(*runs, cells=cells, executed_at=executed_at))

    def write(self, path: str, data: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()


def record(notebook_path: str | None = None, *, ended_at: datetime | None = None, **fields: Any) -> RunRecord:
    """A run that ended just now."""
    now = datetime.now(UTC)
    return RunRecord(
        run_id=fields.pop("run_id", str(uuid.uuid4())),
        started_at=(ended_at or now) - timedelta(seconds=1),
        ended_at=ended_at or now,
        mode="interactive" if notebook_path else "script",
        place=Place(notebook=notebook_path) if notebook_path else None,
        **fields,
    )


def notebook(*runs: RunRecord, cells: int = 0, executed_at: str | None = None) -> bytes:
    """A notebook's bytes; `cells` sets how many cells without a run were executed, at the time noted in each."""
    outputs = [{"output_type": "display_data", "data": mime_bundle(run), "metadata": {}} for run in runs]
    made = [_cell(f"run{index}", index + 1, [output]) for index, output in enumerate(outputs)]
    made += [_cell(f"cell{index}", index + 1, [], executed_at) for index in range(cells)]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1).encode()


def _cell(name: str, count: int, outputs: list[Any], executed_at: str | None = None) -> dict[str, Any]:
    timing = {"iopub.execute_input": executed_at}
    return {
        "cell_type": "code",
        "id": name,
        "execution_count": count,
        "metadata": {"execution": timing} if executed_at else {},
        "source": "1",
        "outputs": outputs,
    }


def environment_document() -> Environment:
    return Environment(
        captured_at=datetime.now(UTC),
        python="3.11",
        implementation="CPython",
        platform="Linux",
        hostname="here",
        executable="/usr/bin/python",
    )


def output(path: str) -> FileRef:
    return FileRef(path=path)


@pytest.fixture
def make_record() -> Callable[..., RunRecord]:
    return record


@pytest.fixture
def make_notebook() -> Callable[..., bytes]:
    return notebook


@pytest.fixture
def make_environment() -> Callable[[], Environment]:
    return environment_document


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The committer's environment: nothing of this user's, and a short path for sockets."""
    runtime = tempfile.mkdtemp(prefix="ds-")
    config = tmp_path / "config"
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", str(config))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DS_COMMITTER_")}
    # IPython would leave a folder in /tmp, as there is no home.
    folders = {"XDG_RUNTIME_DIR": runtime, "HOME": str(tmp_path / "home"), "IPYTHONDIR": str(tmp_path / "ipython")}
    yield kept | QUICK | folders
    shutil.rmtree(runtime)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer(FakeHub())
    yield server
    server.close()


@pytest.fixture
def make_hub() -> Iterator[Callable[[], HubServer]]:
    servers: list[HubServer] = []

    def make() -> HubServer:
        servers.append(HubServer(FakeHub()))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def make_folder(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Folder]]:
    made: list[Folder] = []

    def make(name: str = "work", *, within: Path = tmp_path, hub: HubServer | None = None, init: bool = True) -> Folder:
        root = within / name
        root.mkdir(exist_ok=True)
        folder = Folder(root, environment, hub)
        made.append(folder)
        if init:
            initialise(root)
        if hub is not None:
            folder.bind(hub)
        return folder

    yield make
    for folder in made:
        folder.close()


@pytest.fixture
def folder(make_folder: Callable[..., Folder]) -> Folder:
    """A tracked folder that is bound to no hub."""
    return make_folder()
