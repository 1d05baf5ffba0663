"""Every operation as everybody: nobody, a stranger, a committer, viewer, editor, owner, administrator."""

from __future__ import annotations

import pytest

from hub_server.domain.scopes import ANONYMOUS, SIGNED_IN
from tests.integration.hub.test_access import HTTP, call, named, pushed  # noqa: F401 - a fixture

VIEWERS_MAY = {
    *("get_project", "list_collaborators", "leave_project"),
    *(
        "list_runs",
        "list_columns",
        "get_run",
        "trace_run",
        "trace_file",
        "trace_model",
        "compare_runs",
        "list_trash",
        "list_comments",
    ),
    *("add_comment", "change_comment", "delete_comment"),
    *("list_live_runs", "get_live_run", "get_run_metrics"),
    *("list_models", "list_model_versions", "get_model_version"),
    *(
        "list_commits",
        "get_commit",
        "stream_events",
        "get_tree",
        "get_content",
        "download_commit",
        "download_run",
        "download_model",
        "diff_commits",
        "diff_file",
        "fetch_objects",
    ),
}
EDITORS_MAY = VIEWERS_MAY | {
    *("change_run", "trash_run", "restore_run"),
    *("get_dot", "have", "get_damaged", "put_pack", "post_commit", "post_points"),
}
OWNERS_MAY = EDITORS_MAY | {
    *("change_project", "trash_project", "put_collaborator", "remove_collaborator", "list_project_audit"),
}
COMMITTERS_MAY = (VIEWERS_MAY | EDITORS_MAY) - {
    *("get_project", "list_collaborators", "leave_project", "add_comment", "change_comment", "delete_comment"),
    *("change_run", "trash_run", "restore_run"),
}
MEMBERS_MAY = {
    *("get_session", "sign_out", "list_sessions", "end_session", "create_token", "list_tokens", "delete_token"),
    *("suggest_names", "list_projects", "create_project", "restore_project", "get_openapi"),
}
ADMINS_ALONE = {
    *("list_accounts", "create_account", "change_account", "invite_account", "list_audit", "create_login_code"),
    *("get_upkeep", "collect_garbage", "scrub", "get_zfs", "receive_zfs"),
}
IN_BROWSERS_ALONE = {"set_password"}
IN_PROJECTS = [one for one in HTTP if {"project", "dot"} & set(one.parameters)]
ELSEWHERE = [one for one in HTTP if one not in IN_PROJECTS and one.scope != ANONYMOUS and not one.open_on_loopback]


@pytest.fixture(scope="module")
def people(hub):
    return {role: hub.new_person() for role in ("viewer", "editor", "owner", "stranger")}


def is_refused(answer):
    """By permission, not by what the operation itself found wrong."""
    if answer.status_code == 404:
        return "there is no project" in answer.json()["detail"] or "there is no dot" in answer.json()["detail"]
    return answer.status_code == 403


@named(IN_PROJECTS)
def test_roles_decide_inside_a_project(hub, people, operation, pushed):  # noqa: F811 - a fixture
    for role in ("viewer", "editor", "owner"):
        path = f"/api/v1/projects/{pushed['project']}/collaborators/{people[role].name}"
        hub.call("PUT", path, json={"role": role})
    may = {"viewer": VIEWERS_MAY, "editor": EDITORS_MAY, "owner": OWNERS_MAY}
    for role, names in may.items():  # from those who may least: what changes something comes last
        answer = call(hub, operation, pushed, people[role].token)
        assert is_refused(answer) is (operation.name not in names), (role, answer.text)
        if operation.name not in names:
            assert answer.status_code == 403
        elif operation.method == "DELETE":
            break  # it is gone for those who come after


@named(IN_PROJECTS)
def test_a_project_does_not_exist_for_strangers_and_nobody(hub, people, operation, pushed):  # noqa: F811 - a fixture
    answer = call(hub, operation, pushed, people["stranger"].token)
    assert answer.status_code == (403 if operation.name in ADMINS_ALONE else 404)
    assert call(hub, operation, pushed, None).status_code == 401


@named(IN_PROJECTS)
def test_a_committers_token_does_a_committers_work(hub, operation, pushed, project):  # noqa: F811 - a fixture
    answer = call(hub, operation, pushed, project.token)
    refused = answer.status_code == 404 and "there is no operation" in answer.json()["detail"]
    assert refused is (operation.name not in COMMITTERS_MAY), answer.text


@named(IN_PROJECTS)
def test_a_public_project_is_read_by_everybody(hub, people, operation, pushed):  # noqa: F811 - a fixture
    hub.call("PATCH", f"/api/v1/projects/{pushed['project']}", json={"is_public": True})
    may = operation.scope in ("projects:read", "runs:read")
    stranger = call(hub, operation, pushed, people["stranger"].token)
    expected = None if may or operation.scope in (SIGNED_IN, "projects:write") else 403
    assert (stranger.status_code == 403) is (expected == 403), stranger.text
    nobody = call(hub, operation, pushed, None)
    assert (nobody.status_code == 401) is not may, nobody.text


@named(ELSEWHERE)
def test_members_and_administrators(hub, people, operation, pushed):  # noqa: F811 - a fixture
    assert operation.name in MEMBERS_MAY | ADMINS_ALONE | IN_BROWSERS_ALONE, "say here who may do this"
    answer = call(hub, operation, pushed, people["stranger"].token)
    assert (answer.status_code == 403) is (operation.name not in MEMBERS_MAY), answer.text
    if operation.name not in IN_BROWSERS_ALONE:
        assert call(hub, operation, pushed, hub.new_person("admin").token).status_code != 403


def test_every_operation_in_a_project_has_its_place_here():
    assert {one.name for one in IN_PROJECTS} == OWNERS_MAY | {"get_zfs", "receive_zfs"}
