"""`/v2` by hand: projects, dotmesh's calls, and the files of workspaces; who may do what, and what is refused."""

from __future__ import annotations

import io
import json
import socket
import tarfile
from base64 import b64encode
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from support.legacy_client import OWNER, LegacyClient, call, entry, run_metadata, tar

from dotscience.record import ModelArtefact
from hub_server.domain.scopes import ANONYMOUS, SCOPES, SIGNED_IN
from hub_server.legacy.api import OPERATIONS
from hub_server.legacy.rpc import METHODS

SCOPED = [one for one in OPERATIONS if one.scope not in (ANONYMOUS, SIGNED_IN)]


@pytest.fixture
def legacy(hub):
    return LegacyClient(hub)


@pytest.fixture
def workspace(legacy):
    return legacy.new_workspace()


@pytest.fixture
def token(hub):
    """Make a token of the owner's."""

    def make(*scopes, project=None):
        body = {"name": "t", "scopes": list(scopes)} | ({"project_id": project} if project else {})
        return hub.call("POST", "/api/v1/tokens", json=body)["token"]

    return make


def detail(answer):
    return answer.json()["detail"]


# -- who calls


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


def test_a_browser_gets_no_challenge_for_basic(hub):
    answer = hub.request("GET", "/v2/projects", headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
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
    assert operation.scope in detail(without)
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
    pushed = project.push(new_run(models=[ModelArtefact(name="iris", type="sklearn-model", files={"model": "m"})]))
    (listed,) = [one for one in legacy.request("GET", "/v2/models").json() if one["project_id"] == project.id]
    assert (listed["run_id"], listed["name"], listed["version"]) == (pushed.run_ids[0], "iris", 1)
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


# -- people


@pytest.fixture
def person(hub):
    return hub.new_person()


def let_in(workspace, person, role):
    path = f"/api/v1/projects/{workspace.id}/collaborators/{person.name}"
    workspace.hub.call("PUT", path, json={"role": role})
    return workspace.as_user(person.token, person.name)


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
    viewer = let_in(workspace, person, "viewer")
    assert workspace.id in {one["id"] for one in viewer.client.request("GET", "/v2/projects").json()}
    assert viewer.get("a.txt").content == b"1"
    assert len(viewer.client.result("Commits", viewer.params)) == 1
    for answer in (viewer.put("a.txt", b"2"), viewer.client.request("DELETE", viewer.key("a.txt"))):
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert viewer.commit({})["error"]["data"]["status"] == 403
    assert workspace.get("a.txt").content == b"1"


def test_an_editor_publishes_in_the_namespace_of_their_own_name(workspace, person):
    editor = let_in(workspace, person, "editor")
    editor.put("a.txt", b"1")
    run_id = str(uuid4())
    commit = editor.commit(run_metadata(run_id, ["a.txt"]))["result"]
    assert workspace.api(f"/commits/{commit}")["author"] == person.name
    assert workspace.get("a.txt").content == b"1"


def test_a_public_project_can_be_read_with_credentials_of_ones_own(hub, workspace, person):
    workspace.put("a.txt", b"1")
    etag = hub.request("GET", f"/api/v1/projects/{workspace.id}", token=hub.admin).headers["ETag"]
    hub.call("PATCH", f"/api/v1/projects/{workspace.id}", json={"is_public": True}, headers={"If-Match": etag})
    visitor = workspace.as_user(person.token, person.name)
    assert visitor.get("a.txt").content == b"1"
    assert visitor.put("a.txt", b"2").status_code == 403
    assert hub.request("GET", workspace.key("a.txt")).status_code == 401


def test_the_name_of_a_project_that_one_does_not_see(workspace, person, legacy):
    """The hub would number it, and the client, which looks for its name, would make another with every run."""
    name = workspace.api("")["name"]
    stranger = LegacyClient(workspace.hub, person.token, person.name)
    made = stranger.request("POST", "/v2/projects", json={"name": name})
    assert (made.status_code, made.json()["type"]) == (409, "/problems/path-taken")
    params = {"Namespace": person.name, "Name": f"project-{made.json()['id'][:8]}-default-workspace", "Branch": ""}
    assert "a project that you cannot see has this name" in stranger.rpc("Lookup", params)["error"]["message"]
    assert stranger.rpc("Create", params | {"Name": name})["error"]["data"]["status"] == 409
    assert legacy.request("POST", "/v2/projects", json={"name": name}).status_code == 201


def test_a_project_in_the_trash_is_gone(hub, legacy):
    workspace = legacy.new_workspace("trashed")  # a name that no other test asks for
    workspace.put("a.txt", b"1")
    etag = hub.request("GET", f"/api/v1/projects/{workspace.id}", token=hub.admin).headers["ETag"]
    gone = hub.request("DELETE", f"/api/v1/projects/{workspace.id}", token=hub.admin, headers={"If-Match": etag})
    assert gone.ok
    assert workspace.get("a.txt").status_code == 404
    assert workspace.id not in {one["id"] for one in workspace.client.request("GET", "/v2/projects").json()}


def test_the_name_of_a_project_in_the_trash(hub, workspace, person, legacy):
    name = workspace.api("")["name"]
    etag = hub.request("GET", f"/api/v1/projects/{workspace.id}", token=hub.admin).headers["ETag"]
    assert hub.request("DELETE", f"/api/v1/projects/{workspace.id}", token=hub.admin, headers={"If-Match": etag}).ok
    made = legacy.request("POST", "/v2/projects", json={"name": name})
    assert (made.status_code, made.json()["type"]) == (409, "/problems/path-taken")
    assert "your project of this name is in the trash" in detail(made)
    params = {"Namespace": OWNER, "Name": f"project-{made.json()['id'][:8]}-default-workspace", "Branch": ""}
    assert legacy.rpc("Lookup", params)["error"]["message"] == detail(made)
    stranger = LegacyClient(hub, person.token, person.name)
    assert "that you cannot see" in detail(stranger.request("POST", "/v2/projects", json={"name": name}))
    hub.call("POST", "/api/v1/trash/restore", json={"project_id": workspace.id})
    assert legacy.request("POST", "/v2/projects", json={"name": name}).status_code == 201


# -- projects and volumes


def test_a_new_project_has_a_workspace_under_its_own_name_too(legacy, workspace):
    project = workspace.api("")
    assert workspace.dot_id == project["dot_id"]
    assert legacy.result("Lookup", workspace.params | {"Name": project["name"]}) == project["dot_id"]
    assert {"id": project["id"], "name": project["name"], "dot": workspace.name} in legacy.request(
        "GET", "/v2/projects"
    ).json()


def test_more_projects_than_a_page_of_the_hubs_own_list_are_all_listed(own_hub):
    for number in range(201):
        own_hub.call("POST", "/api/v1/projects", json={"name": f"p{number}"})
    assert len(LegacyClient(own_hub).request("GET", "/v2/projects").json()) == 201


def test_a_project_without_a_workspace_gets_one(hub, legacy):
    made = hub.call("POST", "/api/v1/projects", json={"name": "bare"})
    params = {"Namespace": OWNER, "Name": f"project-{made['id'][:8]}-default-workspace", "Branch": ""}
    dot = legacy.result("Lookup", params)
    assert legacy.result("Lookup", params) == dot == hub.call("GET", f"/api/v1/projects/{made['id']}")["dot_id"]


def test_create_makes_a_project(legacy):
    name = f"dot-{uuid4()}"
    params = {"Namespace": OWNER, "Name": name}
    assert legacy.result("Exists", params) == ""
    assert legacy.result("Create", params) is True
    assert legacy.result("Exists", params)
    assert legacy.rpc("Create", params)["error"]["data"]["status"] == 409
    assert legacy.rpc("Create", params | {"Namespace": "alice"})["error"]["data"]["status"] == 404


def test_volumes(legacy, workspace):
    workspace.put("a.txt", b"12345")
    volume = legacy.result("Get", [workspace.dot_id])
    assert (volume["Name"], volume["Branch"]) == ({"Namespace": OWNER, "Name": workspace.name}, "")
    assert (volume["SizeBytes"], volume["CommitCount"]) == (5, 1)
    listed = legacy.result("List")[OWNER][workspace.name]
    assert (listed["Id"], listed["CommitCount"]) == (workspace.dot_id, 1)
    assert legacy.result("Branches", workspace.params) == []


def test_calls_without_parameters(legacy):
    assert legacy.result("Ping") == "pong"
    assert legacy.result("Version")["InstalledVersion"]
    assert legacy.result("CurrentUser")["Name"] == legacy.result("AuthenticatedUser", {})["Name"] == OWNER


@pytest.mark.parametrize(
    "method", ["DotmeshRPC.Rollback", "DotmeshRPC.", "Ping", "DotmeshRPC.ping", "DotmeshRPC.__class__"]
)
def test_another_method_is_named(legacy, method):
    answer = legacy.request("POST", "/v2/dotmesh/rpc", json={"jsonrpc": "2.0", "method": method, "id": "a"})
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["error"]["code"]) == ("a", -32601)
    assert method in answer.json()["error"]["message"]


@pytest.mark.parametrize("params", [None, [], {}, "x", 3, {"Namespace": 1, "Name": "x"}, [{"Namespace": "a"}]])
def test_parameters_that_do_not_fit(legacy, params):
    assert legacy.rpc("Lookup", params)["error"]["code"] == -32602


@pytest.mark.parametrize("metadata", [["a"], {"a": 1}, {"a": {"b": "c"}}, "x"])
def test_metadata_that_is_no_map_of_strings(workspace, metadata):
    assert workspace.commit(metadata)["error"]["code"] == -32602


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"method": "' + b"x" * 300 + b'"}',
        b"\xff\xfe",
        b'{"method": "\\ud800"}',
        b'{"method": "a", "id": {}}',
    ],
)
def test_calls_that_are_none(legacy, body):
    answer = legacy.request("POST", "/v2/dotmesh/rpc", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_call_that_is_too_large(legacy):
    body = json.dumps(call("Commit", {"Metadata": {"a": "x" * 17 * 2**20}})).encode()
    answer = legacy.request("POST", "/v2/dotmesh/rpc", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_metadata_that_are_too_large(workspace):
    error = workspace.commit({"a": "x" * 4 * 2**20})["error"]
    assert error["data"]["status"] == 413
    assert workspace.api("")["head"] is None


# -- files


def test_a_file_comes_back_and_its_upload_is_a_commit(workspace):
    answer = workspace.put("data/a.txt", b"text")
    assert answer.status_code == 200
    commit = answer.headers["Snapshot"]
    assert answer.json() == {"commit": commit}
    got = workspace.get("data/a.txt")
    assert (got.content, got.headers["Snapshot"], got.headers["Content-Length"]) == (b"text", commit, "4")
    assert got.headers["Content-Disposition"].startswith("attachment")
    listed = workspace.api(f"/commits/{commit}")
    assert (listed["message"], listed["author"], listed["branch"]) == ("Uploaded data/a.txt (4 bytes)", OWNER, "main")
    assert (listed["files"], listed["size"], listed["runs"]) == (1, 4, [])
    assert workspace.api("")["head"] == commit
    assert workspace.content(commit, "data/a.txt") == b"text"


def test_head_and_ranges(workspace):
    workspace.put("a.txt", b"0123456789")
    head = workspace.client.request("HEAD", workspace.key("a.txt"))
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")
    part = workspace.get("a.txt", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert workspace.get("a.txt", headers={"If-None-Match": head.headers["ETag"]}).status_code == 304
    assert workspace.client.request("HEAD", workspace.key("none")).status_code == 404


def test_a_file_at_a_snapshot(workspace):
    first = workspace.put("a.txt", b"1").headers["Snapshot"]
    workspace.put("a.txt", b"2")
    assert workspace.get(f"snapshot/{first}/a.txt").content == b"1"
    assert workspace.get("snapshot/latest/a.txt").content == b"2"
    assert workspace.get(f"snapshot/{'0' * 64}/a.txt").status_code == 404
    assert workspace.get("snapshot/xyz").status_code == 404
    (one,) = workspace.get(f"snapshot/{first}", params={"Format": "json"}).json()["Items"]
    assert (one["key"], one["size"], one["directory"]) == ("a.txt", 1, False)


def test_a_snapshot_of_another_project_is_none_of_this_one(legacy, workspace):
    other = legacy.new_workspace("other")
    commit = other.put("a.txt", b"secret").headers["Snapshot"]
    assert workspace.get(f"snapshot/{commit}/a.txt").status_code == 404


def test_branches_that_are_named(workspace):
    workspace.put("a.txt", b"1")
    assert workspace.client.request("GET", workspace.key("a.txt", at="@main")).content == b"1"
    assert workspace.client.request("GET", workspace.key("a.txt", at="@master")).content == b"1"
    assert workspace.client.request("GET", workspace.key("a.txt", at="@other")).status_code == 404
    assert workspace.client.request("PUT", workspace.key("a.txt", at="@other"), data=b"x").status_code == 404
    assert workspace.client.request("PUT", workspace.key("a.txt", at="@.."), data=b"x").status_code == 422


def test_lists(workspace):
    names = ["b/2.txt", "b/1.txt", "a.txt", "b/c/3.txt", ".hidden", "b/.hidden/x"]
    workspace.unpack("w", tar(*((name, b"x" * number) for number, name in enumerate(names))))
    workspace.put("z.txt", b"")
    assert workspace.keys() == ["w/a.txt", "w/b/1.txt", "w/b/2.txt", "w/b/c/3.txt", "z.txt"]
    assert workspace.keys(Prefix="w/b") == workspace.keys(Prefix="w/b/") == ["w/b/1.txt", "w/b/2.txt", "w/b/c/3.txt"]
    assert workspace.keys(Prefix="w/b", NonRecursive="true") == ["w/b/1.txt", "w/b/2.txt"]
    assert workspace.keys(NonRecursive="true", IncludeDirectories="true") == ["w", "z.txt"]
    assert (
        workspace.keys(MaxKeys=2) + workspace.keys(MaxKeys=2, Page=1) + workspace.keys(MaxKeys=2, Page=2)
        == workspace.keys()
    )
    assert workspace.get(params={"Format": "json", "MaxKeys": 1}).json()["TotalCount"] == 5
    assert workspace.keys(Prefix="none") == []
    assert workspace.keys(Prefix="z.txt") == ["z.txt"]


def test_a_list_as_xml(workspace):
    workspace.put("a<&>%01.txt", b"1")
    answer = workspace.get()
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert "<Key>a&lt;&amp;&gt;\ufffd.txt</Key>" in answer.text
    assert "<Size>1</Size>" in answer.text


@pytest.mark.parametrize("query", [{"MaxKeys": 0}, {"MaxKeys": 10_001}, {"Page": -1}, {"Format": "yaml"}, {"x": 1}])
def test_lists_that_are_asked_for_wrongly(workspace, query):
    assert workspace.get(params=query).status_code == 400


@pytest.mark.parametrize("prefix", ["../x", "a/../b", "a//b", "."])
def test_a_prefix_that_is_no_path(workspace, prefix):
    assert workspace.get(params={"Prefix": prefix}).status_code == 422


def test_a_workspace_without_commits(workspace):
    assert workspace.keys() == []
    assert workspace.get("a.txt").status_code == 404
    assert workspace.client.result("Commits", workspace.params) == []


def test_a_folder_comes_as_an_archive(workspace):
    link = entry("sub/link", tarfile.SYMTYPE, "../a.txt")
    workspace.unpack("w", tar(("a.txt", b"a" * 1000), ("sub/" + "n" * 200, b""), link))
    answer = workspace.get("w")
    assert answer.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["a.txt", "sub", "sub/link", "sub/" + "n" * 200]
        assert archive.extractfile("a.txt").read() == b"a" * 1000
        assert archive.getmember("sub/link").linkname == "../a.txt"
    assert workspace.unpack("again", answer.content).status_code == 200
    assert workspace.get("again").content == answer.content


def test_an_archive_replaces_what_it_names_and_nothing_else(workspace):
    workspace.unpack("model", tar(("old", b"1"), ("both", b"1")))
    workspace.put("beside", b"1")
    workspace.unpack("model", tar(("new", b"2"), ("both", b"2")))
    assert workspace.keys() == ["beside", "model/both", "model/new", "model/old"]
    assert [workspace.get(f"model/{name}").content for name in ("both", "new", "old")] == [b"2", b"2", b"1"]


def test_an_archive_in_the_place_of_a_file(workspace):
    first = workspace.put("model", b"file").headers["Snapshot"]
    assert workspace.unpack("model", tar(("a", b"1"))).status_code == 200
    assert workspace.keys() == ["model/a"]
    assert workspace.content(first, "model") == b"file"


@pytest.mark.parametrize(("key", "extract"), [("model", None), ("model/a/b", None), ("model/a/b", "true")])
def test_what_is_of_another_kind_is_not_replaced(workspace, key, extract):
    workspace.unpack("model", tar(("a", b"1")))
    body = tar(("x", b"")) if extract else b"x"
    answer = workspace.put(key, body, **({"Extract": extract} if extract else {}))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/path-taken")
    assert workspace.keys() == ["model/a"]


def test_deleting(workspace):
    workspace.unpack("model", tar(("a", b"1"), ("b/c", b"22")))
    before = workspace.put("kept", b"333").headers["Snapshot"]
    answer = workspace.client.request("DELETE", workspace.key("model"))
    commit = workspace.api(f"/commits/{answer.headers['Snapshot']}")
    assert (commit["message"], commit["files"], commit["size"], commit["parents"]) == ("Deleted model", 1, 3, [before])
    assert workspace.keys() == ["kept"]
    assert workspace.client.request("DELETE", workspace.key("model")).status_code == 404
    assert workspace.content(before, "model/b/c") == b"22"


KEYS = [
    "..",
    "../x",
    "a/../../x",
    "a//b",
    "/etc/passwd",
    "a/./b",
    "a/",
    "a%00b",
    ".dotscience/x",
    "a/.DOTSCIENCE",
    "n" * 256,
    "/".join(["d"] * 200),
    "/".join(["d" * 200] * 25),
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_no_workspace_has(hub, workspace, key):
    """Sent as they are, as clients of HTTP tidy them up."""
    parts = urlsplit(hub.url)
    basic = b64encode(f"{OWNER}:{hub.admin}".encode()).decode()
    target = workspace.key() + "/" + key
    head = f"PUT {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {basic}\r\nContent-Length: 1\r\n"
    answer = exchange(parts, f"{head}Connection: close\r\n\r\nx".encode())
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert workspace.api("")["head"] is None


@pytest.mark.parametrize("quoted", ["caf%C3%A9%20%F0%9F%9A%80", "latin%E9", "a%0Ab", "100%25", "a:b@c", "%2525"])
def test_keys_that_are_unusual(hub, workspace, quoted):
    assert workspace.put(quoted, b"x").status_code == 200
    assert workspace.get(quoted).content == b"x"
    assert workspace.client.request("DELETE", workspace.key(quoted)).status_code == 200


def test_a_whole_url_as_the_target(hub, workspace):
    """As the original's client sends uploads; what it names counts, and not the Host header."""
    parts = urlsplit(hub.url)
    basic = b64encode(f"{OWNER}:{hub.admin}".encode()).decode()

    def put(target, host):
        head = f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n"
        body = "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        return exchange(parts, (head + body).encode())

    assert put(hub.url + workspace.key("a.txt"), "evil.example").startswith(b"HTTP/1.1 200 ")
    assert workspace.get("a.txt").content == b"abc"
    assert put("http://evil.example" + workspace.key("b.txt"), parts.netloc).startswith(b"HTTP/1.1 421 ")
    assert put("HTTP://" + parts.netloc, parts.netloc).startswith(b"HTTP/1.1 405 ")


def exchange(parts, request):
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as file:
            return file.read()


# -- runs


def test_a_commit_with_a_run(workspace):
    run_id = str(uuid4())
    workspace.put("out.txt", b"result")
    metadata = run_metadata(
        run_id,
        ["out.txt", "gone.txt"],
        **{
            "description": "d",
            "error": "e",
            "start": "20191123T050921.005238",
            "end": "20191123T050922.5",
            "workload-file": "train.py",
            "parameters.lr.decay": "0.1",
            "summary.f1": "nan",
            "label.stage": "dev",
            "label.artefact:m": '{"files":{"model":"out.txt"},"type":"sklearn-model","version":"0.22"}',
            "input-files": '["in@1.csv@125f91d5-9d5d-4123-95f3-c97448bfcfb0", "plain.csv"]',
            "dataset-input-files.d": "[]",
        },
    )
    metadata |= {
        "runner.name": "box",
        "runner.platform": "Linux",
        "runner.platform_version": "#1 SMP",
        "workload.image": "i",
    }
    commit = workspace.commit(metadata)["result"]
    run = workspace.api(f"/runs/{run_id}")
    record = run["record"]
    assert run["commit"] == commit
    assert (record["authority"], record["description"], record["error"]) == ("remote", "d", "e")
    assert (record["started_at"], record["ended_at"]) == ("2019-11-23T05:09:21.005238Z", "2019-11-23T05:09:22.500000Z")
    assert (record["parameters"], record["summary"]) == ({"lr.decay": "0.1"}, {"f1": "nan"})
    assert record["labels"] == {"stage": "dev"}
    assert record["models"][0]["name"] == "m"
    assert record["inputs"] == [
        {"path": "in@1.csv", "commit": "125f91d5-9d5d-4123-95f3-c97448bfcfb0"},
        {"path": "plain.csv"},
    ]
    assert [(one["path"], one.get("size"), one.get("missing", False)) for one in record["outputs"]] == [
        ("gone.txt", None, True),
        ("out.txt", 6, False),
    ]
    assert record["warnings"] == [
        "the run's 'dataset-input-files.d' is not kept",
        "the commit's 'workload.image' is not kept",
    ]
    assert (run["environment"]["platform"], run["environment"]["hostname"]) == ("Linux #1 SMP", "box")
    assert workspace.content(commit, "out.txt") == b"result"
    (found,) = workspace.api("/runs?filter=summary.f1%20%3D%20%22nan%22")["items"]
    assert found["id"] == run_id


def test_the_log_says_again_what_was_committed(workspace):
    run_id = str(uuid4())
    workspace.put("out.txt", b"result")
    about = {
        "label.stage": "dev",
        "label.artefact:m": '{"files":{"model":"out.txt"},"type":"sklearn-model","version":"1"}',
    }
    metadata = run_metadata(run_id, ["out.txt"], **about)
    commit = workspace.commit(metadata, "hello")["result"]
    upload, last = workspace.client.result("Commits", workspace.params)
    assert upload["Metadata"]["message"] == "Uploaded out.txt (6 bytes)"
    assert (last["Id"], last["Metadata"]["message"]) == (commit, "hello")
    told = {key: value for key, value in metadata.items() if key.startswith("run")}
    assert told.items() <= last["Metadata"].items()
    assert last["Metadata"]["timestamp"].isdigit()
    assert workspace.client.result("CommitsById", workspace.dot_id) == [upload, last]


def test_several_runs_and_ids_that_are_none(workspace):
    first = str(uuid4())
    metadata = run_metadata(first) | run_metadata("None") | {"runs": json.dumps([first, "None", first])}
    assert "result" in workspace.commit(metadata)
    runs = workspace.api("/runs")["items"]
    assert {one["record"]["wire_id"] for one in runs} == {None, "None"}
    assert len(runs) == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"runs": "x"},
        {"runs": "[1]"},
        {"runs": json.dumps([str(number) for number in range(1001)])},
        {"runs": '["a"]', "run.a.version": "2"},
        {"runs": "[" * 10_000},
    ],
)
def test_metadata_that_cannot_be_read_are_refused(workspace, metadata):
    error = workspace.commit(metadata)["error"]
    assert error["data"]["status"] == 422
    assert error["message"].startswith("nothing was recorded, as the metadata cannot be read")
    assert workspace.api("")["head"] is None


@pytest.mark.parametrize("text", ["\0", "\u202e", "x" * 100_000, "'; drop table run; --", "{}", "é" * 1000])
def test_hostile_words_in_metadata(workspace, text):
    run_id = str(uuid4())
    keys = {"description": text, f"label.{text}": text, f"parameters.{text}": text, text or "x": text}
    answer = workspace.commit(run_metadata(run_id, [text, "../out", "/abs"], **keys))
    assert "result" in answer, answer
    run = workspace.api(f"/runs/{run_id}")
    assert len(run["record"]["labels"]) == 1
    assert all(one.get("missing") or one.get("outside") for one in run["record"]["outputs"])


def test_the_same_run_again_is_stored_once(workspace):
    run_id = str(uuid4())
    first = workspace.commit(run_metadata(run_id))["result"]
    second = workspace.commit(run_metadata(run_id, description="another"))["result"]
    assert first != second
    run = workspace.api(f"/runs/{run_id}")
    assert (run["commit"], run["record"]["description"]) == (first, None)
    assert len(run["warnings"]) == 1


def test_an_upload_of_somebody_elses_does_not_become_the_runs(workspace, token):
    """Each of two scripts commits what it uploaded itself, whoever came last."""
    other = workspace.as_user(token("commits:write", "projects:read"))
    workspace.put("model.pkl", b"mine")
    other.put("model.pkl", b"theirs")
    runs = {str(uuid4()): workspace, str(uuid4()): other}
    commits = {run_id: who.commit(run_metadata(run_id, ["model.pkl"]))["result"] for run_id, who in runs.items()}
    assert [workspace.content(commit, "model.pkl") for commit in commits.values()] == [b"mine", b"theirs"]
    sizes = [workspace.api(f"/runs/{run_id}")["record"]["outputs"][0]["size"] for run_id in runs]
    assert sizes == [4, 6]


def test_a_workspace_of_a_committer_is_left_to_it(hub, legacy, new_run):
    project = hub.new_project("tracked")
    main = project.push(new_run(), files={"notebook.ipynb": b"{}"}).commit
    name = f"project-{project.id[:8]}-default-workspace"
    params = {"Namespace": OWNER, "Name": name, "Branch": ""}
    put = legacy.request("PUT", f"/v2/dotmesh/s3/{OWNER}:{name}/model.pkl", data=b"m")
    commit = hub.call("GET", f"{project.base}/commits/{put.headers['Snapshot']}")
    assert (commit["branch"], commit["parents"]) == ("remote", [main])
    tree = hub.call("GET", f"{project.base}/commits/{commit['id']}/tree")
    assert [one["name"] for one in tree["entries"]] == ["model.pkl", "notebook.ipynb"]
    run_id = str(uuid4())
    made = legacy.result("Commit", {**params, "Message": "m", "Metadata": run_metadata(run_id, ["model.pkl"])})
    heads = hub.call("GET", project.dot, token=project.token)["branches"]
    assert heads == {"main": main, "remote": made}
    assert legacy.result("Branches", params) == ["main"]
    project.push(new_run())
    assert hub.call("GET", f"{project.base}/runs/{run_id}")["commit"] == made


# -- locks and refusals


def test_a_locked_workspace_says_by_what(hub, workspace):
    workspace.put("a.txt", b"1")
    with workspace.locked("Jupyter (task 4abc9799)"):
        answers = [
            workspace.put("a.txt", b"2"),
            workspace.unpack("m", tar(("a", b""))),
            workspace.client.request("DELETE", workspace.key("a.txt")),
        ]
        assert workspace.commit({})["error"]["data"] == {"type": "/problems/locked", "status": 423}
        assert workspace.get("a.txt").content == b"1"
    for answer in answers:
        assert answer.status_code == 423
        assert answer.json()["holder"] == "Jupyter (task 4abc9799)"
        assert "Retry-After" in answer.headers
    assert workspace.put("a.txt", b"2").status_code == 200


def test_a_commit_whose_upload_was_locked_out_fails_once(workspace):
    run_id = str(uuid4())
    with workspace.locked():
        workspace.put("a.txt", b"2")
    error = workspace.commit(run_metadata(run_id, ["a.txt"]))["error"]
    assert error["data"] == {"type": "/problems/upload-refused", "status": 409}
    assert "the file 'a.txt': 423 Workspace is locked: the workspace is locked by Jupyter" in error["message"]
    assert workspace.api("")["runs"] == 0
    workspace.put("a.txt", b"2")
    assert "result" in workspace.commit(run_metadata(run_id, ["a.txt"]))


def test_a_refusal_that_is_over_does_not_count(workspace):
    with workspace.locked():
        workspace.put("a.txt", b"1")
        workspace.put("b.txt", b"1")
    workspace.put("a.txt", b"2")
    workspace.put("c.txt", b"2")
    assert "result" in workspace.commit(run_metadata(str(uuid4()), ["a.txt", "c.txt"]))


def test_a_refusal_is_that_of_one_token(workspace, token):
    other = workspace.as_user(token("commits:write", "projects:read"))
    with workspace.locked():
        workspace.put("a.txt", b"1")
    assert "result" in other.commit(run_metadata(str(uuid4()), ["a.txt"]))


def test_an_archive_that_was_refused_counts_for_whatever_is_missing(workspace):
    assert workspace.unpack("/abs", tar(("a", b""))).status_code == 422
    error = workspace.commit(run_metadata(str(uuid4()), ["model/a"]))["error"]
    assert "the archive for '/abs': 422" in error["message"]
