"""`ds clone` and `ds checkout --from`, against a real hub."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner
from support.committer import Process

from dotscience.cli.frame import main
from dotscience.client import credentials
from dotscience.client.committer import CommitterClient
from dotscience.client.hub import HubClient
from dotscience.errors import HubUnavailable
from dotscience.record import FileRef, Place
from dotscience.wire import mime_bundle
from dotscience.workspace import read_project


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    folder = tmp_path / "config"
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", str(folder))
    monkeypatch.setenv("DS_HUB_DATA", str(tmp_path / "no-hub"))
    monkeypatch.setenv("DS_COMMITTER_MIN_FREE_BYTES", "1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return folder


@pytest.fixture
def alice(hub):
    """Logged in."""
    person = hub.new_person()
    credentials.save(hub.url, credentials.ACCOUNT, person.token)
    return person


@pytest.fixture
def mine(hub, alice, request):
    return hub.new_project(f"mine-{request.node.name[:40]}", owner=alice.token)


@pytest.fixture
def history(mine, new_run):
    """Three commits; a run in the first and in the last."""
    first, last = new_run(), new_run(outputs=[FileRef(path="lost.txt", overwritten=True)])
    commits = [
        mine.push(first, files={"a.txt": b"one", "old.txt": os.urandom(5_000)}).commit,
        mine.push(files={"a.txt": b"two"}).commit,
        mine.push(last, files={"a.txt": b"three", "lost.txt": b"later"}).commit,
    ]
    return commits, first.run_id, last.run_id


def ds_(*arguments, **options):
    return CliRunner().invoke(main, list(map(str, arguments)), **options)


def done(*arguments, **options):
    result = ds_(*arguments, **options)
    assert result.exit_code == 0, result.output
    return result.output


def as_json(*arguments):
    result = ds_(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments):
    result = ds_(*arguments)
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return result.output


def page(project, rest=""):
    return f"{project.hub.url}/p/{project.id}{rest}"


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("rest", ["", "/", "/runs/x?dir=a#b", "?sort=started_at&order=asc", "/commits"])
def test_a_url_from_the_address_bar_is_cloned(mine, history, tmp_path, rest):
    made = as_json("clone", page(mine, rest), tmp_path / "work")
    assert {name: made[name] for name in ("commits", "runs", "problems", "may_push", "is_newest")} == {
        "commits": 3,
        "runs": 2,
        "problems": [],
        "may_push": True,
        "is_newest": True,
    }
    found = held(tmp_path / "work")
    del found[".dotscienceignore"]
    assert found == {"a.txt": b"three", "lost.txt": b"later"}
    workspace = read_project(tmp_path / "work")
    assert (workspace.dot_id, workspace.hub.url, workspace.hub.project_id) == (mine.dot_id, mine.hub.url, mine.id)


def test_a_clone_works_like_the_folder_that_it_is_of(mine, history, tmp_path, monkeypatch):
    commits, first, _ = history
    name = mine.hub.call("GET", mine.base)["name"]
    said = done("clone", name, "--hub", mine.hub.url)
    assert "3 commits, 2 runs" in said
    monkeypatch.chdir(name)
    assert [one["id"] for one in as_json("log")["commits"]] == commits[::-1]
    assert done("runs", "ls", "--json").count("\n") == 2
    old = as_json("checkout", first, "--to", tmp_path / "old")
    assert (old["commit"], old["problems"]) == (commits[0], [])
    assert len(held(tmp_path / "old")["old.txt"]) == 5_000
    assert json.loads(done("verify", "--json"))["damage"] == []


def test_what_is_committed_in_a_clone_is_pushed_and_nothing_twice(mine, history, tmp_path, monkeypatch):
    done("clone", page(mine), tmp_path / "one")
    done("clone", page(mine), tmp_path / "two")
    monkeypatch.chdir(tmp_path / "one")
    (tmp_path / "one" / "new.txt").write_text("new")
    made = as_json("snapshot", "-m", "from a clone")
    assert made["new_bytes"] < 2_000
    assert mine.hub.call("GET", mine.base)["head"] == made["commit"]
    monkeypatch.chdir(tmp_path / "two")
    (tmp_path / "two" / "other.txt").write_text("other")
    diverged = as_json("snapshot", "-m", "from the other")
    assert mine.hub.call("GET", mine.base)["head"] == made["commit"]
    branch = mine.get(f"/commits/{diverged['commit']}")["branch"]
    assert branch.startswith("main~fork-")


def test_runs_in_a_clone_s_notebooks_are_recorded_no_second_time(mine, new_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = new_run(place=Place(notebook="n.ipynb"))
    output = {"output_type": "display_data", "data": mime_bundle(run), "metadata": {}}
    cell = {"cell_type": "code", "id": "c", "execution_count": 1, "metadata": {}, "source": "1", "outputs": [output]}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    mine.push(run, files={"n.ipynb": json.dumps(notebook).encode()})
    done("clone", page(mine), tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    committer = Process(tmp_path / "work", dict(os.environ))
    try:
        committer.wait_for_log("committer.started")
        assert as_json("snapshot")["runs"] == []
        status = as_json("status")
        assert (status["runs"], status["earlier_runs"], status["problems"]) == (1, 0, [])
        (listed,) = CommitterClient(tmp_path / "work").runs(notebook="n.ipynb")["runs"]
        assert (listed["run_id"], listed["state"]) == (run.run_id, "pushed")
        assert listed["record"]["warnings"] == []
    finally:
        committer.stop()


def test_one_token_is_made_for_all_clones_of_a_project(hub, alice, mine, history, tmp_path):
    def tokens():
        return len(hub.call("GET", "/api/v1/tokens?limit=200", token=alice.token)["items"])

    before = tokens()
    for name in ("one", "two"):
        done("clone", page(mine), tmp_path / name)
    assert tokens() == before + 1


def test_a_viewer_s_clone_may_only_read(hub, mine, history, tmp_path, monkeypatch):
    viewer = hub.new_person()
    owner = credentials.load(hub.url, credentials.ACCOUNT)
    hub.call("PUT", f"{mine.base}/collaborators/{viewer.name}", token=owner, json={"role": "viewer"})
    credentials.save(hub.url, credentials.ACCOUNT, viewer.token)
    for name in ("one", "two"):
        assert "may read this project only" in done("clone", page(mine), tmp_path / name)
    tokens = hub.call("GET", "/api/v1/tokens?limit=200", token=viewer.token)["items"]
    assert [one["scopes"] for one in tokens if one["project_id"] == mine.id] == [["runs:read"]]
    monkeypatch.chdir(tmp_path / "one")
    done("checkout", "HEAD~2", "--to", tmp_path / "old")


def test_a_public_project_needs_no_login(hub, mine, history, tmp_path, monkeypatch):
    owner = credentials.load(hub.url, credentials.ACCOUNT)
    with HubClient(hub.url, owner) as client:
        client.change_project(mine.id, is_public=True)
    credentials.forget(hub.url, credentials.ACCOUNT)
    assert "may read this project only" in done("clone", page(mine), tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    done("checkout", "HEAD~2", "--to", tmp_path / "old")
    assert len(held(tmp_path / "old")["old.txt"]) == 5_000
    done("checkout", history[1], "--from", page(mine), "--to", tmp_path / "direct")


def test_who_may_not_see_it_gets_nothing(hub, mine, history, tmp_path):
    credentials.save(hub.url, credentials.ACCOUNT, hub.new_person().token)
    assert "that you can see; ask its owner" in refused("clone", page(mine), tmp_path / "work")
    assert "that you can see" in refused("clone", "nope", tmp_path / "work", "--hub", hub.url)
    assert "that you can see" in refused("checkout", history[1], "--from", hub.url, "--to", tmp_path / "work")
    credentials.forget(hub.url, credentials.ACCOUNT)
    assert f"ds login {hub.url}" in refused("clone", page(mine), tmp_path / "work")
    assert f"ds login {hub.url}" in refused("clone", "nope", tmp_path / "work", "--hub", hub.url)
    assert f"ds login {hub.url}" in refused("checkout", page(mine, f"/runs/{history[1]}"), "--to", tmp_path / "work")
    credentials.save(hub.url, credentials.ACCOUNT, "ds_" + "0" * 16 + "_" + "0" * 43)
    assert f"ds login {hub.url}" in refused("clone", page(mine), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_an_interrupted_clone_says_how_it_goes_on(mine, history, tmp_path, monkeypatch):
    fetch = HubClient.objects
    answers = iter(range(2))

    def breaking_off(client, dot_id, hashes):
        if next(answers, None) is None:
            raise HubUnavailable("the hub is away")
        return fetch(client, dot_id, hashes)

    with monkeypatch.context() as patch:
        patch.setattr(HubClient, "objects", breaking_off)
        said = refused("clone", page(mine), tmp_path / "work")
    assert "the hub is away" in said
    assert "the same command goes on from there" in said
    assert as_json("clone", page(mine), tmp_path / "work")["commits"] == 3
    assert "goes on from there" not in refused("clone", page(mine), tmp_path / "work")


def test_what_was_uploaded_without_a_committer_is_cloned_too(hub, legacy, tmp_path):
    credentials.save(hub.url, credentials.ACCOUNT, hub.admin)
    workspace = legacy.new_workspace()
    assert workspace.put("data/a.txt", b"one").ok
    assert workspace.put("b.txt", b"two").ok
    made = as_json("clone", f"{hub.url}/p/{workspace.id}", tmp_path / "work")
    assert (made["commits"], made["problems"]) == (2, [])
    assert (tmp_path / "work" / "data" / "a.txt").read_bytes() == b"one"


def test_what_is_no_project_of_a_hub_is_said(hub, mine, tmp_path):
    assert "/p/ and the project's id" in refused("clone", hub.url)
    assert "leave --hub out" in refused("clone", page(mine), "--hub", hub.url)
    assert "no commit yet" in refused("clone", page(mine), tmp_path / "work")
    assert "is it running?" in refused("clone", "http://127.0.0.1:9/p/x", tmp_path / "work")


@pytest.mark.parametrize("name", ["../../out", "/etc", "..", ".dotscience", "-rf", "a\\b"])
def test_a_project_s_name_leads_nowhere_else(hub, alice, new_run, tmp_path, name):
    project = hub.new_project(name, owner=alice.token)
    project.push(new_run(), files={"a": b"a"})
    made = as_json("clone", page(project))
    root = tmp_path / "place"
    (only,) = root.iterdir()
    assert made["root"] == str(only)
    assert not only.name.startswith((".", "-"))


# ---------------------------------------------------------------------------------- ds checkout --from


def test_a_run_is_written_by_the_url_of_its_page(mine, history, tmp_path):
    commits, first, last = history
    written = as_json("checkout", page(mine, f"/runs/{first}?dir=x"), "--to", tmp_path / "then")
    assert (written["commit"], written["overwritten"], written["problems"]) == (commits[0], [], [])
    assert held(tmp_path / "then")["a.txt"] == b"one"
    again = as_json("checkout", page(mine, f"/commits/{commits[2]}"), "lost.txt", "--to", tmp_path / "one-file")
    assert again["overwritten"] == [{"path": "lost.txt", "run_id": last}]
    assert held(tmp_path / "one-file") == {"lost.txt": b"later"}


def test_a_run_is_found_by_its_id_on_a_hub_and_in_a_project(hub, mine, history, tmp_path):
    commits, first, _ = history
    for number, source in enumerate((hub.url, f"{hub.url}/", page(mine), page(mine, "/models"))):
        written = as_json("checkout", first[:13], "--from", source, "--to", tmp_path / str(number))
        assert written["commit"] == commits[0]
    assert as_json("checkout", "HEAD", "--from", page(mine), "--to", tmp_path / "head")["commit"] == commits[2]
    short = as_json("checkout", commits[1][:12], "--from", page(mine), "--to", tmp_path / "short")
    assert short["commit"] == commits[1]


def test_without_a_folder_it_is_named_after_the_run(mine, history, tmp_path):
    _, first, _ = history
    written = as_json("checkout", page(mine, f"/runs/{first}"))
    (only,) = (tmp_path / "place").iterdir()
    assert written["to"] == str(only)
    assert only.name.startswith("mine-")
    assert "is not empty" in refused("checkout", page(mine, f"/runs/{first}"))


def test_many_files_come_in_order_whatever_a_batch_holds(mine, tmp_path, monkeypatch):
    monkeypatch.setattr("committer.sync.object_download.BATCH_BYTES", 2_500)
    monkeypatch.setattr("committer.sync.object_download.KEPT_BYTES", 4_000)
    files = {f"{number:03}": os.urandom(1_000) for number in range(40)}
    mine.push(files=files)
    as_json("checkout", "HEAD", "--from", page(mine), "--to", tmp_path / "then")
    assert held(tmp_path / "then") == files


def test_what_cannot_be_written_from_a_hub_is_said(hub, mine, history, tmp_path):
    _, first, _ = history
    assert "--in-place is for commits of this folder" in refused("checkout", first, "--from", page(mine), "--in-place")
    assert "give the URL of a run's" in refused("checkout", page(mine))
    assert "--from is the URL" in refused("checkout", first, "--from", "nonsense")
    assert "no run and no commit" in refused("checkout", "f" * 64, "--from", page(mine))
    assert "is not in this snapshot" in refused("checkout", first, "nope", "--from", page(mine))
    assert "inside a snapshot" in refused("checkout", first, "../x", "--from", page(mine), "--to", tmp_path / "x")
