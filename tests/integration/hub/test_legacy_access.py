"""Who may do what on `/v2`: callers, scopes, other people's projects, and what is not there."""

from __future__ import annotations

from base64 import b64encode
from uuid import uuid4

import pytest
from support.legacy_client import OWNER, LegacyClient, run_metadata

from dotscience.record import FileRef, ModelArtefact
from hub_server.domain.scopes import ANONYMOUS, SCOPES, SIGNED_IN
from hub_server.legacy.api import OPERATIONS
from hub_server.legacy.rpc import METHODS

SCOPED = [one for one in OPERATIONS if one.scope not in (ANONYMOUS, SIGNED_IN)]


def test_the_version_is_for_everybody(hub):
    assert hub.request("GET", "/v2/version").json()["version"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer {token}",
        "Basic",
        "Basic ???",
        "Basic " + b64encode(b"owner").decode(),
        "Basic " + b64encode(b"owner:").decode(),
        "Basic " + b64encode(b"\xff:\xff").decode(),
        "Basic " + b64encode(b"alice:{token}").decode(),
        "Basic " + b64encode(b"owner:password").decode(),
    ],
)
def test_only_basic_with_the_accounts_name_and_its_token_will_do(hub, header):
    if header is not None and "Basic" in header and len(header) > 12:
        plain = (
            b64encode(b"alice:" + hub.admin.encode()).decode()
            if header.endswith(b64encode(b"alice:{token}").decode())
            else None
        )
        header = f"Basic {plain}" if plain else header
    headers = {} if header is None else {"Authorization": header.format(token=hub.admin)}
    answer = hub.request("GET", "/v2/projects", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert hub.admin not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"},
        {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},  # over plain http browsers send no fetch metadata
        {"Origin": "http://hub.example"},
        {"Referer": "http://hub.example/"},
    ],
)
def test_a_browser_gets_no_challenge_for_basic(hub, headers):
    answer = hub.request("GET", "/v2/projects", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="dotscience"')


def test_a_session_does_not_count(hub):
    code = hub.call("POST", "/api/v1/login-codes", json={})["url"].rpartition("=")[2]
    signed_in = hub.request("POST", "/api/v1/sessions", json={"code": code})
    answer = hub.request("GET", "/v2/projects", headers={"Cookie": signed_in.headers["Set-Cookie"].partition(";")[0]})
    assert answer.status_code == 401


def test_a_page_of_another_site_cannot_use_what_a_browser_kept(legacy):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = legacy.request("POST", "/v2/projects", json={"name": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cross-site")


def address(operation, workspace):
    path = operation.path.replace("{volume}", f"{OWNER}:{workspace.name}").replace("{key}", "a.txt")
    return path.replace("{snapshot}", "latest").replace("{model}", "1-1").replace("{build}", "1")


@pytest.mark.parametrize("operation", SCOPED, ids=lambda one: f"{one.method} {one.path}")
def test_every_request_needs_its_scope(hub, workspace, token, operation):
    others = [scope for scope in SCOPES if scope != operation.scope]
    body = {"json": {"name": "p"}} if operation.media.value == "application/json" else {}
    without = LegacyClient(hub, token(*others)).request(operation.method, address(operation, workspace), **body)
    assert (without.status_code, without.json()["type"]) == (403, "/problems/forbidden")
    assert operation.scope in without.json()["detail"]
    with_it = LegacyClient(hub, token(operation.scope)).request(operation.method, address(operation, workspace), **body)
    assert with_it.status_code in {200, 201, 404}


PARAMETERS = {"Commit": {"Message": "m", "Metadata": {}}, "Create": {"Name": "another"}}


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.scope != SIGNED_IN])
def test_every_method_needs_its_scope(hub, workspace, token, name):
    params = workspace.params | {"FilesystemId": workspace.dot_id} | PARAMETERS.get(name, {})
    without = LegacyClient(hub, token(*(set(SCOPES) - {METHODS[name].scope}))).rpc(name, params)
    assert without["error"]["data"] == {"type": "/problems/forbidden", "status": 403}
    assert METHODS[name].scope in without["error"]["message"]
    LegacyClient(hub, token(METHODS[name].scope)).result(name, params)


def test_a_token_of_another_project_sees_nothing(hub, workspace, token):
    other = hub.new_project("other")
    workspace.put("a.txt", b"a")
    stranger = workspace.as_user(token("runs:read", "commits:write", "projects:read", project=other.id))
    assert stranger.get("a.txt").status_code == 404
    assert stranger.put("a.txt", b"b").status_code == 404
    assert stranger.client.request("DELETE", stranger.key("a.txt")).status_code == 404
    assert stranger.client.rpc("Lookup", stranger.params)["error"]["data"]["status"] == 404
    assert stranger.client.rpc("Get", workspace.dot_id)["error"]["data"]["status"] == 404
    assert stranger.commit({})["error"]["data"]["status"] == 404
    assert [one["id"] for one in stranger.client.request("GET", "/v2/projects").json()] == [other.id]
    assert workspace.get("a.txt").content == b"a"


def test_models_of_another_project_are_not_listed(hub, legacy, workspace, token, new_run):
    project = hub.new_project("with-model")
    made = [ModelArtefact(name="iris", type="sklearn-model", files={"model": "m"})]
    pushed = project.push(new_run(models=made, outputs=[FileRef(path="m", overwritten=True)]))
    (listed,) = [one for one in legacy.request("GET", "/v2/models").json() if one["project_id"] == project.id]
    assert (listed["run_id"], listed["name"], listed["version"]) == (pushed.run_ids[0], "iris", 1)
    assert listed["overwritten"] == ["m"]
    stranger = LegacyClient(hub, token("runs:read", "commits:write", project=workspace.id))
    assert stranger.request("GET", "/v2/models").json() == []
    assert stranger.request("POST", f"/v2/models/{listed['id']}/builds", json={}).status_code == 404
    build = legacy.request("POST", f"/v2/models/{listed['id']}/builds", json={"builder": ""})
    assert (build.status_code, build.json()["type"]) == (501, "/problems/not-implemented")
    assert build.content.isascii()
    assert legacy.request("GET", f"/v2/models/{listed['id']}/builds/1").status_code == 404


@pytest.mark.parametrize("model_id", ["x", "1", "1-x", "-", "9999999999-1", "1-1-1", "%00", "1-²"])
def test_a_model_that_is_none(legacy, model_id):
    assert legacy.request("POST", f"/v2/models/{model_id}/builds", json={}).status_code == 404


@pytest.mark.parametrize("namespace", ["alice", "admin", "", "owner:owner", "OWNER"])
def test_another_namespace_has_nothing(legacy, workspace, namespace):
    answer = legacy.request("GET", f"/v2/dotmesh/s3/{namespace}:{workspace.name}")
    assert answer.status_code == 404
    assert legacy.result("Exists", workspace.params | {"Namespace": namespace}) == ""


def test_what_is_not_there_is_a_problem_document(legacy):
    for path in ("/v2", "/v2/nothing", "/v2/dotmesh", "/v2/deployers/1/deployments"):
        answer = legacy.request("GET", path)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert legacy.request("GET", "/v2/deployers").json() == []


def test_somebody_elses_project_does_not_exist(workspace, person):
    workspace.put("a.txt", b"1")
    stranger = workspace.as_user(person.token, person.name)
    assert workspace.id not in {one["id"] for one in stranger.client.request("GET", "/v2/projects").json()}
    assert stranger.get("a.txt").status_code == stranger.put("a.txt", b"2").status_code == 404
    assert stranger.client.result("Exists", stranger.params) == ""
    assert workspace.name not in stranger.client.result("List")[person.name]
    for method in ("Lookup", "Commits", "Branches", "Commit"):
        params = {**stranger.params, "Metadata": {}}
        assert stranger.client.rpc(method, params)["error"]["data"]["status"] == 404
    assert stranger.client.rpc("Get", workspace.dot_id)["error"]["data"]["status"] == 404
    assert stranger.client.rpc("CommitsById", workspace.dot_id)["error"]["data"]["status"] == 404


def test_a_viewer_reads(workspace, person):
    workspace.put("a.txt", b"1")
    viewer = workspace.let_in(person, "viewer")
    assert workspace.id in {one["id"] for one in viewer.client.request("GET", "/v2/projects").json()}
    assert viewer.get("a.txt").content == b"1"
    assert len(viewer.client.result("Commits", viewer.params)) == 1
    for answer in (viewer.put("a.txt", b"2"), viewer.client.request("DELETE", viewer.key("a.txt"))):
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert viewer.commit({})["error"]["data"]["status"] == 403
    assert workspace.get("a.txt").content == b"1"


def test_an_editor_publishes_in_the_namespace_of_their_own_name(workspace, person):
    editor = workspace.let_in(person, "editor")
    editor.put("a.txt", b"1")
    run_id = str(uuid4())
    commit = editor.commit(run_metadata(run_id, ["a.txt"]))["result"]
    assert workspace.api(f"/commits/{commit}")["author"] == person.name
    assert workspace.get("a.txt").content == b"1"


def test_a_public_project_can_be_read_with_credentials_of_ones_own(hub, workspace, person):
    workspace.put("a.txt", b"1")
    workspace.change(is_public=True)
    visitor = workspace.as_user(person.token, person.name)
    assert visitor.get("a.txt").content == b"1"
    assert visitor.put("a.txt", b"2").status_code == 403
    assert hub.request("GET", workspace.key("a.txt")).status_code == 401
