"""Projects and their workspaces on `/v2`, and which names they get."""

from __future__ import annotations

from uuid import uuid4

from support.legacy_client import OWNER, LegacyClient


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


def test_a_project_in_the_trash_is_gone(legacy):
    workspace = legacy.new_workspace("trashed")  # a name that no other test asks for
    workspace.put("a.txt", b"1")
    workspace.trash()
    assert workspace.get("a.txt").status_code == 404
    assert workspace.id not in {one["id"] for one in workspace.client.request("GET", "/v2/projects").json()}


def test_the_name_of_a_project_in_the_trash(hub, legacy, person):
    name = "in-the-trash"
    workspace = legacy.new_workspace(name)
    workspace.trash()
    made = legacy.request("POST", "/v2/projects", json={"name": name})
    assert (made.status_code, made.json()["type"]) == (409, "/problems/path-taken")
    assert "your project of this name is in the trash" in made.json()["detail"]
    params = {"Namespace": OWNER, "Name": f"project-{made.json()['id'][:8]}-default-workspace", "Branch": ""}
    assert legacy.rpc("Lookup", params)["error"]["message"] == made.json()["detail"]
    stranger = LegacyClient(hub, person.token, person.name)
    refused = stranger.request("POST", "/v2/projects", json={"name": name})
    assert "that you cannot see" in refused.json()["detail"]
    workspace.restore()
    assert legacy.request("POST", "/v2/projects", json={"name": name}).status_code == 201


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
