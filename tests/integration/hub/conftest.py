"""A real hub on loopback, and what it takes to push to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import requests
import structlog
from msgspec import Struct
from support import postgres
from support.legacy_client import LegacyClient, Workspace
from support.pushing import START, Clock, ObjectsToPush

from committer.storage.objects import digest
from dotscience.record import Environment, RunRecord
from hub_server import app
from hub_server.settings import HubSettings


class RunningHub:
    """A hub in a thread of this process, and requests to it."""

    def __init__(
        self, url: str, data: Path, clock: Clock, services: Any = None, on_loop: Callable[[Any], Any] | None = None
    ) -> None:
        """`services`, and `on_loop` to run a coroutine on the hub's loop, are there where it runs in this process."""
        self.url = url
        self.data = data
        self.clock = clock
        self.services = services
        self.on_loop = on_loop
        self.admin = (data / "admin.token").read_text().strip()

    def request(
        self, method: str, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> requests.Response:
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        return requests.request(method, self.url + path, headers=sent, timeout=30, **options)

    def call(self, method: str, path: str, *, token: str | None = None, **options: Any) -> Any:
        """The JSON of a request that must succeed, as the administrator unless said otherwise."""
        answer = self.request(method, path, token=token or self.admin, **options)
        assert answer.ok, answer.text
        return answer.json()

    def new_project(self, name: str = "project", *, owner: str | None = None) -> Project:
        dot_id = str(uuid4())
        made = self.call("POST", "/api/v1/projects", token=owner, json={"name": name, "dot_id": dot_id})
        wanted = {"name": "committer", "scopes": ["commits:write", "runs:read"], "project_id": made["id"]}
        token = self.call("POST", "/api/v1/tokens", token=owner, json=wanted)["token"]
        return Project(self, made["id"], dot_id, token)

    def new_person(self, role: str = "member") -> Person:
        """A new account, signed in with its login link, with a token that can do all that the account can."""
        name = f"p{uuid4().hex[:12]}"
        made = self.call("POST", "/api/v1/accounts", json={"name": name, "role": role})
        signed_in = self.request("POST", "/api/v1/sessions", json={"code": made["link"]["code"]})
        cookies = dict(signed_in.cookies)
        scopes = self.request("GET", "/api/v1/session", cookies=cookies).json()["scopes"]
        wanted = {"name": "all", "scopes": scopes}
        token = self.request("POST", "/api/v1/tokens", cookies=cookies, json=wanted).json()["token"]
        return Person(name, cookies, token)


class Person(Struct):
    """Somebody with an account."""

    name: str
    cookies: dict[str, str]
    token: str


class Pushed(Struct):
    """A commit and what it takes to post it."""

    commit: str
    run_ids: list[str]
    answer: Any


class Project:
    """A project with a dot and a committer's token, and pushes into it."""

    def __init__(self, hub: RunningHub, project_id: str, dot_id: str, token: str) -> None:
        self.hub = hub
        self.id = project_id
        self.dot_id = dot_id
        self.token = token
        self.head: str | None = None

    @property
    def base(self) -> str:
        return f"/api/v1/projects/{self.id}"

    @property
    def dot(self) -> str:
        return f"/api/v1/dots/{self.dot_id}"

    def get(self, path: str) -> Any:
        return self.hub.call("GET", self.base + path, token=self.token)

    def put_pack(self, data: bytes, name: str | None = None) -> requests.Response:
        return self.hub.request(
            "PUT",
            f"{self.dot}/packs/{name or digest(data).hex()}",
            token=self.token,
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def have(self, question: bytes) -> requests.Response:
        return self.hub.request(
            "POST",
            f"{self.dot}/have",
            token=self.token,
            data=question,
            headers={"Content-Type": "application/octet-stream"},
        )

    def post_commit(
        self, commit: str, *, parent: str | None = None, branch: str = "main", **more: Any
    ) -> requests.Response:
        body = {"commit": commit, "branch": branch, "expected_parent": parent, **more}
        return self.hub.request("POST", f"{self.dot}/commits", token=self.token, json=body)

    def report(self, record: RunRecord, /, *points: Any, **changes: Any) -> requests.Response:
        """Report a run whose points end at position 10 each; `changes` are those of the body, without what is None."""
        body = {"state": "running", "start": 0, "end": 10 * len(points), "points": points, "record": record} | changes
        sent = {name: value for name, value in body.items() if value is not None}
        return self.hub.request(
            "POST",
            f"{self.dot}/runs/{record.run_id}/points",
            token=self.token,
            data=msgspec.json.encode(sent),
            headers={"Content-Type": "application/json"},
        )

    def push(self, *records: RunRecord, files: dict[str, bytes] | None = None, **changes: Any) -> Pushed:
        """Push a commit with these runs and files on top of the head."""
        pack = ObjectsToPush()
        commit = pack.add_commit(self, records, files or {}, **changes)
        answer = self.put_pack(pack.bytes())
        assert answer.status_code == 201, answer.text
        answer = self.post_commit(commit, parent=self.head)
        assert answer.status_code == 201, answer.text
        self.head = commit
        return Pushed(commit, [one.run_id for one in records], answer.json())


@contextmanager
def serve(data: Path, **settings: Any) -> Iterator[RunningHub]:
    """Run a hub on its own event loop, in a thread, as long as the block."""
    clock = Clock()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def on_loop(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    try:
        hub = on_loop(app.start(HubSettings(data=data, port=0, **settings), clock=clock, monotonic=clock.monotonic))
        try:
            yield RunningHub(hub.url, data, clock, hub.services, on_loop)
        finally:
            on_loop(hub.stop())
            on_loop(loop.shutdown_default_executor())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session", autouse=True)
def _logs_are_captured() -> Iterator[None]:
    """A hub here logs to the standard library, so that pytest shows its lines where a test fails and nowhere else."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    yield
    structlog.configure(**before)


ON_EVERY_DATABASE = frozenset(
    {
        "test_access",
        "test_content",
        "test_diffs",
        "test_file_traces",
        "test_legacy_access",
        "test_legacy_calls",
        "test_legacy_commits",
        "test_legacy_files",
        "test_legacy_projects",
        "test_live_runs",
        "test_models",
        "test_people",
        "test_push",
        "test_requests",
        "test_roles",
        "test_run_edits",
        "test_run_lists",
        "test_upkeep",
    }
)
"""Files whose tests run with each database that a hub can use."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give those files' hubs their databases."""
    if metafunc.module.__name__.rpartition(".")[2] not in ON_EVERY_DATABASE:
        return
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    given = {name for one in named for name in (one.split(",") if isinstance(one, str) else one)}
    for fixture, scope in (("hub", "module"), ("own_hub", "function")):
        if fixture in metafunc.fixturenames and fixture not in given:
            metafunc.parametrize(fixture, ["sqlite", "postgresql"], indirect=True, scope=scope)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        yield running


@contextmanager
def serve_on(request: pytest.FixtureRequest, data: Path) -> Iterator[RunningHub]:
    """A hub with the database that the test is given."""
    if getattr(request, "param", "sqlite") == "sqlite":
        with serve(data) as running:
            yield running
        return
    with request.getfixturevalue("postgres_server").database() as url, serve(data, database=url) as running:
        yield running


@pytest.fixture(scope="module")
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One hub for a file's tests; each takes a project of its own."""
    with serve_on(request, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def own_hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningHub]:
    """A hub for one test alone, which may move its clock."""
    with serve_on(request, tmp_path / "hub") as running:
        yield running


@pytest.fixture(scope="session")
def serve_hub() -> Callable[..., Any]:
    """Start hubs with other settings."""
    return serve


@pytest.fixture
def connect() -> Callable[[str, Path], RunningHub]:
    """Requests to a hub that runs in another process."""
    return lambda url, data: RunningHub(url, data, Clock())


@pytest.fixture
def project(hub: RunningHub) -> Project:
    return hub.new_project()


@pytest.fixture
def person(hub: RunningHub) -> Person:
    return hub.new_person()


@pytest.fixture
def token(hub: RunningHub) -> Callable[..., str]:
    """Make a token of the administrator's with these scopes, bound to a project if one is given."""

    def make(*scopes: str, project: str | None = None) -> str:
        bound = {"project_id": project} if project else {}
        return hub.call("POST", "/api/v1/tokens", json={"name": "t", "scopes": scopes, **bound})["token"]

    return make


@pytest.fixture
def legacy(hub: RunningHub) -> LegacyClient:
    """The hub's `/v2`, as the administrator."""
    return LegacyClient(hub)


@pytest.fixture
def workspace(legacy: LegacyClient) -> Workspace:
    """That of a new project, as `/v2` has it."""
    return legacy.new_workspace()


@pytest.fixture
def new_pack() -> Callable[[], ObjectsToPush]:
    return ObjectsToPush


def make_record(**fields: Any) -> RunRecord:
    return RunRecord(**{"run_id": str(uuid4()), "started_at": START, "ended_at": START, **fields})


@pytest.fixture
def new_run() -> Callable[..., RunRecord]:
    """Make run records; they differ in their id at least."""
    return make_record


@pytest.fixture(scope="module")
def new_record() -> Callable[..., RunRecord]:
    """The same, for fixtures that last as long as a file's tests."""
    return make_record


@pytest.fixture
def environment() -> Environment:
    return Environment(
        captured_at=START,
        python="3.11.7",
        implementation="CPython",
        platform="Linux",
        hostname="box",
        executable="/usr/bin/python",
    )
