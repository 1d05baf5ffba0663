"""Who may call what: every operation as nobody, as a stranger's committer, and with the right token."""

from __future__ import annotations

import pytest

from dotscience.record import ModelArtefact
from hub_server.domain.scopes import ANONYMOUS, SCOPES, SIGNED_IN
from hub_server.web.openapi import openapi_operation
from hub_server.web.operation import Media
from hub_server.web.operations import ALL

OPERATIONS = [*ALL, openapi_operation(ALL, "1")]
HTTP = [one for one in OPERATIONS if one.media is not Media.SOCKET]
CLOSED = [one for one in HTTP if one.scope != ANONYMOUS]
BODIES = {
    "create_token": {"name": "t", "scopes": ["tokens:write"]},
    "create_project": {"name": "p"},
    "create_login_code": {},
    "sign_in": {"code": "x"},
    "collect_garbage": {"dry_run": True},
    "scrub": {},
    "post_points": {"state": "running", "start": 0, "end": 0, "points": []},
    "set_password": {"password": "a long password"},
    "create_account": {"name": "UPPER"},
    "change_account": {"role": "member"},
    "invite_account": {},
    "change_project": {"is_public": False},
    "restore_project": {"project_id": "nope"},
    "put_collaborator": {"role": "viewer"},
    "change_run": {"name": "n"},
    "restore_run": {},
    "add_comment": {"text": "hello"},
    "change_comment": {"text": "hello"},
}
QUERIES = {
    "get_content": "?path=a.txt",
    "diff_file": "?path=a.txt",
    "trace_file": "?path=a.txt",
    "suggest_names": "?start=o",
    "compare_runs": "?runs={run},{run}",
}


def named(operations):
    return pytest.mark.parametrize("operation", operations, ids=lambda one: f"{one.method} {one.path}")


@pytest.fixture
def pushed(project, new_run):
    published = [ModelArtefact(name="iris", type="custom-model")]
    run = new_run(models=published)
    pushed = project.push(run, files={"a.txt": b"text"})
    assert project.report(run).status_code == 200
    return {
        "project": project.id,
        "dot": project.dot_id,
        "commit": pushed.commit,
        "run": pushed.run_ids[0],
        "pack": "00" * 32,
        "token": "0123456789abcdef",
        "model": "iris",
        "version": "1",
        "account": "nobody-has-this-name",
        "session": "0" * 16,
        "comment": "7",
    }


def call(hub, operation, values, token):
    path = (operation.path + QUERIES.get(operation.name, "")).format(**values)
    options = {"headers": {"X-Forwarded-For": "192.0.2.1"}}  # what is open on this machine is not to others
    if operation.media is Media.JSON:
        default = {"commit": values["commit"], "branch": "main", "expected_parent": None}
        options["json"] = BODIES.get(operation.name, default)
    elif operation.media is not Media.NONE:
        options["data"] = b""
        options["headers"]["Content-Type"] = "application/octet-stream"
    if operation.name == "stream_events":  # whose answer goes on for ten minutes
        with hub.request(operation.method, path, token=token, stream=True) as answer:
            if not answer.ok:
                assert answer.content
            return answer
    return hub.request(operation.method, path, token=token, **options)


def token_for(hub, scopes, project_id=None):
    wanted = {"name": "t", "scopes": scopes, "project_id": project_id}
    return hub.call("POST", "/api/v1/tokens", json=wanted)["token"]


@named(CLOSED)
def test_nobody_gets_a_challenge(hub, operation, pushed):
    answer = call(hub, operation, pushed, None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "/problems/unauthenticated"


@named([one for one in CLOSED if one.scope != SIGNED_IN])
def test_a_committer_of_another_project_sees_nothing(hub, operation, pushed):
    stranger = hub.new_project()
    answer = call(hub, operation, pushed, stranger.token)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@named([one for one in CLOSED if one.scope in SCOPES])
def test_a_token_without_the_scope_is_told_which_one(hub, operation, pushed):
    others = [scope for scope in SCOPES if scope != operation.scope]
    answer = call(hub, operation, pushed, token_for(hub, others))
    assert answer.status_code == 403
    assert operation.scope in answer.json()["detail"]


@named(HTTP)
def test_the_right_token_gets_through(hub, operation, pushed):
    scopes = [operation.scope] if operation.scope in SCOPES else ["runs:read"]
    answer = call(hub, operation, pushed, token_for(hub, scopes))
    expected = {
        "put_pack": {422},  # the empty body is no pack, but that is asked after the permission
        "get_zfs": {404},  # this hub takes no streams, and says so only to those who might send some
        "receive_zfs": {400},
        "delete_token": {404},
        "sign_in": {401},
        "set_password": {403},  # that takes a browser's session
        "end_session": {404},
        "create_account": {422},
        "change_account": {404},
        "invite_account": {404},
        "restore_project": {404},
        "put_collaborator": {404},
        "remove_collaborator": {404},
        "leave_project": {422},  # the only owner
        "compare_runs": {400},  # with itself
        "change_run": {428},
        "change_comment": {404},
        "delete_comment": {404},
    }.get(operation.name, set(operation.answers))
    assert answer.status_code in expected, answer.text


def test_what_is_not_there_looks_like_what_may_not_be_seen(hub, project):
    stranger = hub.new_project()
    hidden = hub.request("GET", project.base + "/runs", token=stranger.token).json()
    absent = hub.request("GET", "/api/v1/projects/nope/runs", token=stranger.token).json()
    for document in (hidden, absent):
        del document["request_id"]
        document["detail"] = document["detail"].replace(project.id, "X").replace("nope", "X")
    assert hidden == absent


def test_a_stranger_sees_no_commit_run_or_file_through_its_own_project(hub, pushed):
    stranger = hub.new_project()
    for rest in (
        f"commits/{pushed['commit']}",
        f"commits/{pushed['commit']}/tree",
        f"commits/{pushed['commit']}/content?path=a.txt",
        f"runs/{pushed['run']}",
    ):
        answer = hub.request("GET", f"{stranger.base}/{rest}", token=stranger.token)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer nonsense",
        "Bearer ds_0123456789abcdef_" + "A" * 43,
        "Basic YTpi",
        "Bearer ds_é",
        "Bearer " + "x" * 5000,
    ],
)
def test_a_wrong_token_is_a_clear_401(hub, authorization):
    answer = hub.request("GET", "/api/v1/session", headers={"Authorization": authorization.encode()})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "make a new one" in answer.json()["detail"]


def test_a_token_is_not_found_by_its_id_alone(hub, project):
    prefix, token_id, secret = project.token.split("_", 2)
    forged = f"{prefix}_{token_id}_{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}"
    assert hub.request("GET", "/api/v1/session", token=forged).status_code == 401


def test_an_expired_token_says_when_it_ended(own_hub):
    made = own_hub.call("POST", "/api/v1/tokens", json={"name": "t", "scopes": ["runs:read"], "expires_in_s": 60})
    assert own_hub.request("GET", "/api/v1/session", token=made["token"]).ok
    own_hub.clock.advance(seconds=60)
    answer = own_hub.request("GET", "/api/v1/session", token=made["token"])
    assert answer.status_code == 401
    assert "expired at 2026-01-02T03:05:05" in answer.json()["detail"]


def test_a_revoked_token_stops_at_once(hub):
    token = token_for(hub, ["runs:read"])
    assert hub.request("DELETE", f"/api/v1/tokens/{token.split('_')[1]}", token=hub.admin).status_code == 204
    assert hub.request("GET", "/api/v1/session", token=token).status_code == 401


def test_nobody_hands_out_more_than_they_have(hub, project):
    maker = token_for(hub, ["tokens:write", "runs:read"])
    answer = hub.request("POST", "/api/v1/tokens", token=maker, json={"name": "t", "scopes": ["admin"]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/scopes")
    bound = token_for(hub, ["tokens:write", "runs:read"], project.id)
    made = hub.request("POST", "/api/v1/tokens", token=bound, json={"name": "t", "scopes": ["runs:read"]})
    assert made.json()["project_id"] == project.id, "a token of one project makes tokens of that project only"
    other = hub.new_project()
    wanted = {"name": "t", "scopes": ["runs:read"], "project_id": other.id}
    assert hub.request("POST", "/api/v1/tokens", token=bound, json=wanted).status_code == 404


@pytest.mark.parametrize("scope", ["admin", "projects:write"])
def test_a_token_of_one_project_cannot_reach_beyond_it(hub, project, scope):
    wanted = {"name": "t", "scopes": [scope, "runs:read"], "project_id": project.id}
    answer = hub.request("POST", "/api/v1/tokens", token=hub.admin, json=wanted)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/scopes")


def test_a_token_of_one_project_manages_that_projects_tokens_only(hub, project):
    bound = token_for(hub, ["tokens:write", "runs:read"], project.id)
    listed = hub.call("GET", "/api/v1/tokens", token=bound)
    assert {one["project_id"] for one in listed["items"]} == {project.id}
    assert listed["total"] == len(listed["items"]) == 2
    for foreign in (hub.admin, hub.new_project().token):
        path = f"/api/v1/tokens/{foreign.split('_')[1]}"
        assert hub.request("DELETE", path, token=bound).status_code == 404
        assert hub.request("GET", "/api/v1/session", token=foreign).ok
    assert hub.request("DELETE", f"/api/v1/tokens/{project.token.split('_')[1]}", token=bound).status_code == 204


def test_a_token_makes_none_that_outlives_it(own_hub):
    wanted = {"name": "t", "scopes": ["tokens:write"], "expires_in_s": 60}
    maker = own_hub.call("POST", "/api/v1/tokens", json=wanted)
    for lifetime, expected in ((None, maker["expires_at"]), (3600, maker["expires_at"]), (30, "2026-01-02T03:04:35Z")):
        made = own_hub.call("POST", "/api/v1/tokens", token=maker["token"], json=wanted | {"expires_in_s": lifetime})
        assert made["expires_at"] == expected


def test_tokens_are_listed_without_secrets_page_by_page(own_hub):
    made = [token_for(own_hub, ["runs:read"]) for _ in range(3)]
    listed, cursor = [], None
    while True:
        page = own_hub.call("GET", "/api/v1/tokens?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        listed += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(listed) == page["total"] == 4
    assert {token.split("_")[1] for token in made} < {one["id"] for one in listed}
    assert not any(token.split("_", 2)[2] in str(listed) for token in made)


def test_a_token_of_one_project_lists_that_project_only(hub, project):
    hub.new_project()
    reader = token_for(hub, ["projects:read"], project.id)
    listed = hub.call("GET", "/api/v1/projects", token=reader)
    assert ([one["id"] for one in listed["items"]], listed["total"]) == ([project.id], 1)


def test_nothing_secret_is_stored_in_the_clear(own_hub):
    project = own_hub.new_project()
    code = own_hub.call("POST", "/api/v1/login-codes", json={})["code"]
    secrets = [project.token.split("_", 2)[2], own_hub.admin.split("_", 2)[2], code]
    for path in own_hub.data.rglob("hub.db*"):
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets)
