"""Links to the hub: they sign in where the hub is this user's own, on this machine, and nowhere else."""

import os
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from support.http_server import Answer, serve

from dotscience.workspace import HubBinding, write_project

RUN = "0b8f3c0e-run"
VERSION = b'{"version": "1.0.0", "api": 1}'
CODE = (
    b'{"code": "the-code", "url": "http://elsewhere.example/login#code=the-code", "expires_at": "2026-01-01T00:00:00Z"}'
)


class OwnHub:
    """What a hub leaves in a data folder, and the requests that it got; `refused` is how it answers them instead."""

    def __init__(self, data):
        self.data = data
        self.requests = []
        self.refused = None

    def answer(self, request):
        self.requests.append((request.method, request.path, request.headers.get("Authorization")))
        if self.refused is not None and request.path.endswith("login-codes"):
            return self.refused
        return Answer(200, VERSION) if request.path.endswith("version") else Answer(201, CODE)

    def write_files(self, url, *, pid=None, token="ds_1_secret"):
        written = {"url": url, "pid": os.getpid() if pid is None else pid, "started_at": "2026-01-01T00:00:00Z"}
        (self.data / "hub.json").write_bytes(msgspec.json.encode(written))
        if token is not None:
            (self.data / "admin.token").write_text(token)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """This user's hub, running."""
    data = tmp_path / "hub-data"
    data.mkdir()
    monkeypatch.setenv("DS_HUB_DATA", str(data))
    hub = OwnHub(data)
    with serve(hub.answer) as url:
        hub.url = url
        hub.write_files(url)
        yield hub


@pytest.fixture
def bind(workspace):
    """Binds the workspace of the server's root folder to a hub."""

    def bind(url, project="p1"):
        write_project(msgspec.structs.replace(workspace, hub=HubBinding(url=url, project_id=project, project_name="x")))

    return bind


async def test_a_link_to_the_own_hub_signs_in_and_goes_on_to_the_run(hub, bind, api):
    bind(hub.url)
    status, answer = await api("POST", "hub-link", body={"run_id": RUN})
    address = urlsplit(answer["url"])
    assert (status, f"{address.scheme}://{address.netloc}{address.path}") == (200, f"{hub.url}/login")
    assert parse_qs(address.query) == {"next": [f"/p/p1/runs/{RUN}"]}
    assert address.fragment == "code=the-code"
    assert hub.requests[-1] == ("POST", "/api/v1/login-codes", "Bearer ds_1_secret")


async def test_without_a_run_it_goes_on_to_the_project(hub, bind, api):
    bind(hub.url)
    _, answer = await api("POST", "hub-link")
    assert parse_qs(urlsplit(answer["url"]).query) == {"next": ["/p/p1"]}


@pytest.mark.parametrize("odd", ["//evil.example", "/\\evil.example", "javascript:alert(1)", "..", "a?b#code=c", "é"])
async def test_odd_ids_lead_nowhere_else(hub, bind, api, odd):
    bind(hub.url, project=odd)
    _, answer = await api("POST", "hub-link", body={"run_id": odd})
    (following,) = parse_qs(urlsplit(answer["url"]).query)["next"]
    assert following.startswith("/p/")
    assert following.count("/") == 4
    assert not {"\\", ":", "?", "#"} & {*following}
    assert urlsplit(answer["url"]).fragment == "code=the-code"


@pytest.mark.parametrize(
    "url", ["https://hub.example.org", "http://127.0.0.1.example.org:8800", "http://10.0.0.7:8800"]
)
async def test_a_hub_elsewhere_gets_no_code_and_no_token(hub, bind, api, url):
    hub.write_files(url)  # not even where the data folder names it
    bind(url)
    _, answer = await api("POST", "hub-link", body={"run_id": RUN})
    assert answer == {"url": f"{url}/p/p1/runs/{RUN}"}
    assert hub.requests == []


async def test_another_program_on_this_machine_gets_no_code(hub, bind, api):
    """A folder's files may come from anywhere, and name any port."""
    bind("http://127.0.0.1:9")
    _, answer = await api("POST", "hub-link")
    assert answer == {"url": "http://127.0.0.1:9/p/p1"}
    assert [path for _, path, _ in hub.requests] == ["/api/v1/version"]


@pytest.mark.parametrize("missing", ["admin.token", "hub.json"])
async def test_whoever_cannot_read_the_hubs_files_gets_no_code(hub, bind, api, missing):
    bind(hub.url)
    (hub.data / missing).unlink()
    _, answer = await api("POST", "hub-link")
    assert answer == {"url": f"{hub.url}/p/p1"}
    assert hub.requests == []


async def test_whoever_may_not_execute_code_gets_no_code(hub, bind, api, jp_serverapp, monkeypatch):
    bind(hub.url)
    monkeypatch.setattr(
        jp_serverapp.authorizer, "is_authorized", lambda _handler, _user, _action, resource: resource == "dotscience"
    )
    monkeypatch.setitem(jp_serverapp.web_app.settings, "authorizer", jp_serverapp.authorizer)
    status, answer = await api("POST", "hub-link")
    assert (status, answer) == (200, {"url": f"{hub.url}/p/p1"})
    assert hub.requests == []


@pytest.mark.parametrize("refused", [Answer(403, b"{}"), Answer(500, b""), Answer(201, b"[]")])
async def test_a_hub_that_makes_no_code_is_linked_to_all_the_same(hub, bind, api, refused):
    bind(hub.url)
    hub.refused = refused
    status, answer = await api("POST", "hub-link")
    assert (status, answer) == (200, {"url": f"{hub.url}/p/p1"})


async def test_without_a_hub_there_is_no_link(workspace, api):
    status, answer = await api("POST", "hub-link")
    assert (status, answer["code"]) == (409, "not-bound")


@pytest.mark.parametrize("body", [{"run_id": ""}, {"run_id": 1}, {"run_id": "x" * 201}, {"page": "//evil.example"}])
async def test_bad_bodies_are_refused(hub, bind, api, body):
    bind(hub.url)
    status, answer = await api("POST", "hub-link", body=body)
    assert (status, answer["code"]) == (400, "bad-request")


async def test_a_signed_in_browser_needs_the_xsrf_token_too(hub, bind, api, cookie):
    bind(hub.url)
    signed_in = {"Authorization": "", "Cookie": await cookie()}
    assert (await api("POST", "hub-link", headers=dict(signed_in)))[0] == 403
    assert hub.requests == []


async def test_it_is_not_read_with_get(hub, bind, api):
    bind(hub.url)
    assert (await api("GET", "hub-link"))[0] == 405
    assert hub.requests == []
