"""The extension's HTTP API, on a real Jupyter server in front of a fake committer."""

import pytest

from dotscience.client import credentials
from dotscience.workspace import HubBinding, is_root, new_workspace, write_project

ENDPOINTS = [
    ("GET", "status"),
    ("GET", "runs"),
    ("GET", "runs/abc"),
    ("POST", "commits"),
    ("POST", "push"),
    ("POST", "hub-link"),
    ("GET", "tracking"),
    ("POST", "tracking"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_nothing_answers_without_a_token(api, method, path):
    status, answer = await api(method, path, headers={"Authorization": ""})
    assert (status, answer["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_another_origin_is_refused(committer, api, cookie, method, path):
    signed_in = {"Authorization": "", "Cookie": await cookie()}
    assert (await api("GET", "status", headers=dict(signed_in)))[0] == 200
    status, answer = await api(method, path, headers={**signed_in, "Origin": "https://evil.example"})
    assert status in {403, 404}
    assert set(answer) == {"code", "message", "hint"}
    assert committer.commits == []
    assert committer.pushes == 0


async def test_a_user_without_permission_is_refused(jp_serverapp, committer, api, monkeypatch):
    asked = []

    def deny(handler, user, action, resource):
        asked.append((action, resource))
        return False

    monkeypatch.setattr(jp_serverapp.authorizer, "is_authorized", deny)
    monkeypatch.setitem(jp_serverapp.web_app.settings, "authorizer", jp_serverapp.authorizer)
    for method, path in ENDPOINTS:
        assert (await api(method, path))[0] == 403
    assert set(asked) == {("read", "dotscience"), ("write", "dotscience")}


async def test_status_of_an_untracked_folder(jp_root_dir, api):
    status, answer = await api("GET", "status")
    assert status == 200
    assert answer == {"tracked": False, "root": None, "version": answer["version"], "committer": None, "error": None}


async def test_status_of_a_tracked_folder(committer, api):
    status, answer = await api("GET", "status", path="some/folder/that/is/gone")
    assert (status, answer["tracked"], answer["root"]) == (200, True, str(committer.root))
    assert answer["committer"] == committer.status()


async def test_status_without_a_committer_says_so(workspace, api, events):
    await events.get()  # the follower has looked for one
    status, answer = await api("GET", "status")
    assert (status, answer["tracked"], answer["committer"]) == (200, True, None)
    assert "no committer runs" in answer["error"]


async def test_runs_are_filtered_and_their_paths_are_contents_paths(jp_root_dir, committer, api):
    run_id = committer.add_run("deep/a.ipynb")
    committer.add_run("b.ipynb")
    status, answer = await api("GET", "runs", notebook="deep/a.ipynb", limit=10)
    assert status == 200
    assert [(run["run_id"], run["notebook"]) for run in answer["runs"]] == [(run_id, "deep/a.ipynb")]


async def test_a_workspace_below_the_servers_root(jp_root_dir, committer, api):
    inner = new_workspace(jp_root_dir / "inner")
    inner.root.mkdir()
    write_project(inner)
    status, answer = await api("GET", "status", path="inner")
    assert (status, answer["root"], answer["committer"]) == (200, str(inner.root), None)
    status, answer = await api("GET", "runs", path="inner", notebook="other.ipynb")
    assert (status, answer["code"]) == (400, "bad-request")


async def test_a_run_and_one_that_is_not_there(committer, api):
    run_id = committer.add_run()
    status, answer = await api("GET", f"runs/{run_id}")
    assert (status, answer["run_id"]) == (200, run_id)
    status, answer = await api("GET", "runs/nothing")
    assert (status, answer) == (404, {"code": "not-found", "message": "no run nothing", "hint": ""})


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "9" * 5000}, {"limit": "x"}, {"before": "-1"}])
async def test_bad_numbers_are_refused(committer, api, query):
    status, answer = await api("GET", "runs", **query)
    assert (status, answer["code"]) == (400, "bad-request")


async def test_save_and_push(committer, api):
    status, answer = await api("POST", "commits", body={"description": "tried <b>more</b> layers"})
    assert (status, answer["files"]) == (201, 3)
    assert committer.commits == ["tried <b>more</b> layers"]


async def test_a_refused_commit_keeps_the_committers_words(committer, api):
    committer.refuse_commit = (409, "copied-folder", "this folder is a copy")
    status, answer = await api("POST", "commits", body={"description": ""})
    assert (status, answer["code"], answer["message"]) == (409, "copied-folder", "this folder is a copy")


@pytest.mark.parametrize("body", [{"description": 1}, {"description": "x" * 70_000}, {"other": ""}, [1], "text"])
async def test_bad_bodies_are_refused(committer, api, body):
    status, answer = await api("POST", "commits", body=body)
    assert (status, answer["code"]) == (400, "bad-request")
    assert committer.commits == []


async def test_push_asks_the_committer(committer, api):
    assert (await api("POST", "push"))[0] == 202
    assert committer.pushes == 1


async def test_without_a_committer_calls_say_what_to_do(workspace, api):
    status, answer = await api("POST", "push")
    assert (status, answer["code"]) == (503, "committer-unavailable")
    assert answer["hint"]


async def test_an_untracked_folder_has_no_runs(jp_root_dir, api):
    status, answer = await api("GET", "runs")
    assert (status, answer["code"]) == (404, "not-tracked")


async def test_hub_tokens_never_reach_the_browser(committer, api, monkeypatch, tmp_path):
    token = "ds_abc_" + "s3cret" * 8
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    credentials.save("http://hub.example", "p1", token)
    binding = HubBinding(url="http://hub.example", project_id="p1", project_name="x")
    write_project(new_workspace_with(committer, binding))
    committer.add_run()
    for method, path in ENDPOINTS:
        assert token not in str(await api(method, path))


def new_workspace_with(committer, binding):
    found = new_workspace(committer.root)
    return type(found)(root=found.root, dot_id=found.dot_id, initialised_at=found.initialised_at, hub=binding)


async def test_preview_counts_what_would_be_tracked(jp_root_dir, api):
    (jp_root_dir / "data").mkdir()
    (jp_root_dir / "data" / "a.bin").write_bytes(b"x" * 1000)
    (jp_root_dir / ".git").mkdir()
    (jp_root_dir / ".git" / "big").write_bytes(b"x" * 5000)
    (jp_root_dir / "loop").symlink_to(jp_root_dir)
    status, answer = await api("GET", "tracking", path="data")
    assert (status, answer["files"], answer["size"], answer["more"]) == (200, 1, 1000, False)
    status, answer = await api("GET", "tracking")
    assert (answer["files"], answer["root"]) == (1, str(jp_root_dir))  # links are kept, but hold nothing
    assert answer["refused"] is None


async def test_a_folder_that_cannot_be_looked_at_says_why(jp_root_dir, api):
    (jp_root_dir / ".dotscienceignore").symlink_to("/etc/passwd")
    status, answer = await api("GET", "tracking")
    assert (status, answer["code"]) == (409, "tracking-failed")
    assert ".dotscienceignore" in answer["message"]
    assert answer["hint"]


async def test_the_home_folder_is_refused(jp_root_dir, api, monkeypatch):
    monkeypatch.setenv("HOME", str(jp_root_dir))
    status, answer = await api("GET", "tracking")
    assert status == 200
    assert "home folder" in answer["refused"]


@pytest.mark.parametrize("path", ["../..", "a/../../b", "/../x"])
async def test_paths_cannot_leave_the_servers_root(jp_root_dir, api, path):
    for answer in (await api("GET", "tracking", path=path), await api("POST", "tracking", body={"path": path})):
        assert (answer[0], answer[1]["code"]) == (400, "bad-request")
    assert not is_root(jp_root_dir.parent)
