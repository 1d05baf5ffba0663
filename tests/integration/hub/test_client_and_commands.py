"""The client's calls and the `ds` commands that use them, against a real hub, as somebody who has logged in."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from datetime import UTC, datetime

import pandas as pd
import pytest
from click.testing import CliRunner
from support.pushing import START

import dotscience as ds
from dotscience.cli.frame import main
from dotscience.client import credentials
from dotscience.client.hub import HubClient
from dotscience.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, Unauthenticated
from dotscience.record import FileRef, ModelArtefact
from dotscience.workspace import HubBinding, Workspace, write_project

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    folder = tmp_path / "config"
    monkeypatch.setenv("DOTSCIENCE_CONFIG_DIR", str(folder))
    monkeypatch.setenv("DS_HUB_DATA", str(tmp_path / "no-hub"))
    return folder


@pytest.fixture
def alice(hub):
    person = hub.new_person()
    hub.request("PUT", "/api/v1/password", cookies=person.cookies, json={"password": PASSWORD})
    return person


@pytest.fixture
def client(hub, alice):
    with HubClient(hub.url, alice.token) as made:
        yield made


@pytest.fixture
def mine(hub, alice):
    return hub.new_project("mine", owner=alice.token)


@pytest.fixture
def folder(hub, mine, tmp_path, monkeypatch):
    """A folder that is bound to the project, with the committer's token."""
    root = tmp_path / "work"
    binding = HubBinding(url=hub.url, project_id=mine.id, project_name="mine")
    root.mkdir()
    write_project(Workspace(root=root, dot_id=mine.dot_id, hub=binding, initialised_at=START))
    credentials.save(hub.url, mine.id, mine.token)
    monkeypatch.chdir(root)
    return root


def ds_(*arguments, **options):
    return CliRunner().invoke(main, arguments, **options)


def done(*arguments, **options):
    result = ds_(*arguments, **options)
    assert result.exit_code == 0, result.output
    return result.output


def logged_in(hub, alice):
    done("login", hub.url, "--name", alice.name, input=PASSWORD + "\n")


# ---------------------------------------------------------------------------------- the client


def test_the_client_shares_changes_and_trashes_projects(hub, client, alice):
    other = hub.new_person()
    made = client.create_project("theirs")
    assert client.put_collaborator(made.id, other.name, "editor").role == "editor"
    assert [one.name for one in client.collaborators(made.id)] == sorted([alice.name, other.name])
    assert client.change_project(made.id, name=f"{made.name} renamed", is_public=True).is_public
    with HubClient(hub.url, other.token) as theirs, pytest.raises(Forbidden, match="editor"):
        theirs.change_project(made.id, name="no")
    client.remove_collaborator(made.id, other.name)
    with pytest.raises(Invalid, match="only owner"):
        client.leave_project(made.id)
    client.trash_project(made.id)
    with pytest.raises(NotFound):
        client.project(made.id)
    assert [one.id for one in client.trashed_projects()] == [made.id]
    assert client.restore_project(made.id).role == "owner"
    actions = [one["action"] for one in client.audit(made.id)]
    assert actions.count("put_collaborator") == 1


def test_the_client_makes_accounts_and_signs_in(hub, alice):
    with HubClient(hub.url, hub.admin) as admin:
        invited = admin.create_account(f"{alice.name}2")
        assert invited.link.url.startswith(hub.url)
        assert admin.invite(invited.person.name).code
        assert admin.change_account(invited.person.name, "disabled").role == "disabled"
        assert invited.person.name in [one.name for one in admin.accounts()]
    with HubClient(hub.url) as nobody:
        token = nobody.sign_in(alice.name, PASSWORD, "made by a test")
        with pytest.raises(Unauthenticated, match="name or the password"):
            nobody.sign_in(alice.name, "something else", "t")
    with HubClient(hub.url, token.token) as client:
        assert client.session().account.name == alice.name
        assert "made by a test" in [one.name for one in client.tokens()]
        client.delete_token(token.id)
        with pytest.raises(Unauthenticated):
            client.session()


def test_the_client_edits_comments_and_compares_runs(client, mine, new_run):
    one, two = mine.push(new_run(parameters={"lr": 1}), new_run(parameters={"lr": 2})).run_ids
    etag = client.run_etag(mine.id, one)
    assert client.change_run(mine.id, one, etag=etag, tags=["best"], name="n")["tags"] == ["best"]
    with pytest.raises(PreconditionFailed):
        client.change_run(mine.id, one, etag=etag, name="m")
    made = client.add_comment(mine.id, one, "well done")
    assert client.change_comment(mine.id, one, made.id, "very well").text == "very well"
    assert [said.text for said in client.comments(mine.id, one)] == ["very well"]
    client.delete_comment(mine.id, one, made.id)
    assert client.compare(mine.id, [one, two])["parameters"][0]["values"] == [1, 2]
    client.trash_run(mine.id, two)
    assert [run["id"] for run in client.trashed_runs(mine.id)] == [two]
    assert client.restore_run(mine.id, two)["deleted_at"] is None
    assert client.columns(mine.id)["tags"] == ["best"]


def test_the_client_reads_files_and_models(client, mine, new_run):
    content = os.urandom(3 * 2**20)
    pushed = mine.push(new_run(), files={"large.bin": content})
    target = io.BytesIO()
    assert client.download(mine.id, pushed.commit, "large.bin", target) == len(content)
    assert target.getvalue() == content
    assert [one["name"] for one in client.tree(mine.id, pushed.commit)["entries"]] == ["large.bin"]
    assert [one["id"] for one in client.commits(mine.id)] == [pushed.commit]
    assert client.commit(mine.id, pushed.commit)["id"] == pushed.commit
    assert list(client.models(mine.id)) == []
    for missing in (
        lambda: client.download(mine.id, pushed.commit, "no", target),
        lambda: client.tree(mine.id, "0" * 64),
    ):
        with pytest.raises(NotFound):
            missing()


# ---------------------------------------------------------------------------------- logging in


def test_logging_in_keeps_a_token_and_not_the_password(hub, alice, config):
    result = ds_("login", hub.url + "/", input=f"{alice.name}\n{PASSWORD}\n")
    assert (result.exit_code, f"Logged in to {hub.url} as {alice.name}." in result.output) == (0, True), result.output
    assert PASSWORD not in result.output
    (kept,) = config.glob("credentials.json")
    assert PASSWORD not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "mine" not in done("project", "ls", "--hub", hub.url)
    token = credentials.load(hub.url, credentials.ACCOUNT)
    assert "Logged out" in done("logout", hub.url)
    assert "not logged in" in done("logout", hub.url)
    with HubClient(hub.url, token) as client, pytest.raises(Unauthenticated):
        client.session()


def test_logging_in_with_a_token(hub, alice):
    assert alice.name in done("login", hub.url, "--token", input=alice.token + "\n")
    for odd in ("", "nonsense", "ds_é"):
        result = ds_("login", hub.url, "--token", input=odd + "\n")
        assert (result.exit_code, "no token" in result.output) == (1, True)


@pytest.mark.parametrize("url", ["hub", "ftp://x", "http://user:pw@host"])
def test_what_is_no_hub_is_not_asked(url):
    result = ds_("login", url)
    assert (result.exit_code, "an address like" in result.output) == (2, True)


def test_a_wrong_password_says_so(hub, alice):
    result = ds_("login", hub.url, "--name", alice.name, input="something else\n")
    assert result.exit_code == 1
    assert "the name or the password is wrong" in result.output


def test_whoever_has_not_logged_in_is_told_how(hub, folder, new_run, mine):
    run = mine.push(new_run()).run_ids[0]
    result = ds_("runs", "tag", run, "best")
    assert (result.exit_code, f"ds login {hub.url}" in result.output) == (1, True)


# ---------------------------------------------------------------------------------- projects


def test_projects_are_listed_shared_renamed_and_trashed(hub, alice):
    logged_in(hub, alice)
    other = hub.new_person()
    made = json.loads(done("project", "create", "mnist", "--json"))
    name = made["name"]
    assert "viewer of" in done("project", "share", name, other.name)
    assert other.name in done("project", "show", name)
    assert {one["name"] for one in json.loads(done("project", "show", name, "--json"))["collaborators"]} == {
        alice.name,
        other.name,
    }
    assert "any more" in done("project", "unshare", name, other.name)
    result = ds_("project", "publish", name, input="n\n")
    assert (result.exit_code, "will read all files" in result.output) == (1, True)
    assert "is public" in done("project", "publish", name, input="y\n")
    assert "private again" in done("project", "publish", name, "--undo")
    assert f"{name}-digits now" in done("project", "rename", name, f"{name}-digits")
    assert "in the trash" in done("project", "trash", f"{name}-digits")
    assert f"{name}-digits" in done("project", "ls", "--trash")
    assert "is back" in done("project", "restore", made["id"])
    assert "The trash is empty" in done("project", "ls", "--trash")
    missing = ds_("project", "show", "nothing-of-this-name")
    assert (missing.exit_code, "ds project ls" in missing.output) == (1, True)


def test_the_own_hub_needs_no_login(hub, alice, tmp_path, monkeypatch):
    monkeypatch.setenv("DS_HUB_DATA", str(hub.data))
    root = tmp_path / "own-hub"
    root.mkdir()
    monkeypatch.chdir(root)
    assert ds_("project", "ls").exit_code == 0
    assert ds_("init", "--hub", hub.url).exit_code == 0
    assert "own-hub" in done("project", "ls")
    logged_in(hub, alice)
    monkeypatch.chdir(tmp_path)
    assert ds_("project", "ls").exit_code == 0, "it is the same hub"


def test_with_several_hubs_one_has_to_be_named(hub, alice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = ds_("project", "ls")
    assert (result.exit_code, "none so far" in result.output) == (1, True)
    logged_in(hub, alice)
    credentials.save("http://other.example", credentials.ACCOUNT, "ds_x")
    result = ds_("project", "ls")
    assert (result.exit_code, "http://other.example" in result.output) == (1, True)


# ---------------------------------------------------------------------------------- runs


def test_runs_are_tagged_named_annotated_and_commented(hub, alice, folder, mine, new_run):
    logged_in(hub, alice)
    run = mine.push(new_run()).run_ids[0]
    assert done("runs", "tag", run) == "no tags\n"
    assert done("runs", "tag", run, "best", "paper") == "best, paper\n"
    assert done("runs", "tag", run, "new", "--remove", "paper") == "best, new\n"
    done("runs", "name", run, "the good one")
    done("runs", "note", run, "-", input="two\nlines\n")
    assert "Nobody has said anything" in done("runs", "comment", run)
    assert alice.name in done("runs", "comment", run, "ship it?")
    assert [json.loads(line)["text"] for line in done("runs", "comment", run, "--json").splitlines()] == ["ship it?"]
    shown = done("runs", "show", run)
    for said in ("the good one", "best, new", "two", "lines", "1;"):
        assert said in shown
    assert run[:8] in done("runs", "ls", "--filter", 'tag = "best"')


def test_runs_go_to_the_trash_and_back(hub, alice, folder, mine, new_run):
    logged_in(hub, alice)
    one, two = mine.push(new_run(), new_run()).run_ids
    assert "The trash is empty" in done("runs", "restore")
    assert "2 runs in the trash" in done("runs", "rm", one, two)
    assert "no run on the hub" in done("runs", "ls")
    assert one in done("runs", "restore")
    assert "in the trash since" in done("runs", "show", one)
    assert "2 runs restored" in done("runs", "restore", one, two)
    missing = ds_("runs", "rm", "no-such-run")
    assert (missing.exit_code, "no-such-run" in missing.output) == (1, True)


def test_runs_are_compared(folder, mine, new_run):
    inputs = [FileRef(path="d", content_hash="ab" * 32)]
    one, two = mine.push(
        new_run(parameters={"lr": 0.1, "a": 1}, inputs=inputs), new_run(parameters={"lr": 0.2, "a": 1})
    ).run_ids
    shown = done("runs", "diff", one, two)
    assert "param.lr" in shown
    assert "0.2" in shown
    assert "input d" in shown
    assert "param.a" not in shown
    assert "param.a" in done("runs", "diff", one, two, "--all")
    assert len(json.loads(done("runs", "diff", one, two, "--json"))["runs"]) == 2
    alike = mine.push(new_run(), new_run()).run_ids
    assert "have the same" in done("runs", "diff", *alike)
    assert ds_("runs", "diff", one).exit_code == 1


def test_the_snapshots_of_runs_are_compared(folder, mine, new_run):
    one = mine.push(new_run(), files={"a": b"1", "b": b"1"}).run_ids[0]
    two = mine.push(new_run(), files={"a": b"2", "c": b"1"}).run_ids[0]
    assert done("runs", "diff", one, two, "--files").splitlines() == ["M  a", "D  b", "A  c"]
    assert len(json.loads(done("runs", "diff", one, two, "--files", "--json"))["changes"]) == 3
    assert ds_("runs", "diff", one, "--files").exit_code == 2


def test_the_address_of_a_run_is_printed(hub, folder, mine, new_run):
    run = mine.push(new_run()).run_ids[0]
    assert done("runs", "open", run, "--print") == f"{hub.url}/p/{mine.id}/runs/{run}\n"
    assert done("runs", "open", "--print") == f"{hub.url}/p/{mine.id}\n"
    assert ds_("runs", "open", "no-such-run", "--print").exit_code == 1


def test_the_beginning_of_an_id_is_enough(hub, alice, folder, mine, new_run):
    logged_in(hub, alice)
    near = [f"6f5d1c1e-0000-4000-8000-00000000000{number}" for number in range(2)]
    pushed = mine.push(*(new_run(run_id=run_id) for run_id in near), new_run(), files={"a.csv": b"1"})
    run = pushed.run_ids[2]
    assert json.loads(done("runs", "show", run[:8], "--json"))["id"] == run
    assert done("runs", "trace", run[:8]) == done("runs", "trace", run)
    assert run in done("runs", "open", "--print", run[:8])
    assert done("runs", "trace", f"{pushed.commit[:12]}:a.csv") == done("runs", "trace", f"{pushed.commit}:a.csv")
    done("runs", "rm", run[:8])
    done("runs", "restore", run[:8])
    result = ds_("runs", "show", near[0][:8])
    assert result.exit_code == 1
    assert all(one in result.output for one in near)
    assert "no run '0000'" in ds_("runs", "show", "0000").output


def test_whoever_has_logged_in_reads_and_binds_without_another_token(hub, alice, folder, mine, new_run):
    mine.push(new_run(description="seen"))
    credentials.forget(hub.url, mine.id)
    result = ds_("runs", "ls")
    assert (result.exit_code, f"ds login {hub.url}" in result.output) == (1, True)
    logged_in(hub, alice)
    assert "seen" in done("runs", "ls")
    assert len(ds.get_runs()) == 1
    other = folder.parent / "other"
    other.mkdir()
    assert f"on {hub.url}" in done("init", str(other), "--hub", hub.url)


def test_a_folder_is_not_tracked_where_no_token_is_to_be_had(hub, tmp_path):
    (tmp_path / "other").mkdir()
    result = ds_("init", str(tmp_path / "other"), "--hub", hub.url)
    assert result.exit_code == 2
    assert f"ds login {hub.url}" in result.output
    assert list((tmp_path / "other").iterdir()) == []


def test_no_less_than_no_rows(folder):
    with pytest.raises(ValueError, match="-1"):
        ds.get_runs(max_results=-1)


ABOUT = {
    "description": "=2",
    "workload_file": "train.py",
    "started_at": datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
    "ended_at": datetime(2026, 11, 23, 10, 1, 30, 500_000, UTC),
    "models": [ModelArtefact(name="iris", type="sklearn", version="1.9.0", files={"model": "iris.joblib"})],
    "outputs": [FileRef(path="iris.joblib", overwritten=True)],
    "warnings": ["the clock was set back"],
}


def test_a_run_is_shown_with_all_that_is_known_of_it(folder, mine, new_run):
    run = mine.push(new_run(parameters={"lr": 0.1234567891, "none": None}, summary={"rows": 48000.0}, **ABOUT)).run_ids[
        0
    ]
    listed = done("runs", "ls")
    assert run[:8] in listed
    assert run not in listed
    for text in ("=2", "1 min 30 s", "lr=0.123457", "none=None", "rows=48000", "(overwritten)"):
        assert text in listed
    shown = " ".join(done("runs", "show", run[:8]).split())
    pusher = json.loads(done("runs", "show", run[:8], "--json"))["pushed_by"]
    assert pusher["credential"].startswith("token:")
    for text in (
        f"pushed by {pusher['account']}",
        *(run, "title =2", "took 1 min 30 s", "status success", "source train.py", "warning the clock was set back"),
        *("parameters.lr 0.123457", "parameters.none None", "output iris.joblib (overwritten by a later run)"),
        "model iris (sklearn 1.9.0): iris.joblib",
    ):
        assert text in shown


def test_runs_are_exported_as_a_table_that_no_spreadsheet_executes(folder, mine, new_run):
    evil = {"cmd": "=1+1", "neg": -1.5, "text": "-2", "list": [1, 2], "none": None}
    mine.push(new_run(parameters=evil, summary={"acc": 0.5}, **ABOUT), new_run(labels={"k, k": "v"}))
    target = folder / "runs.csv"
    assert "2 runs written" in done("runs", "export", "-o", str(target))
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_cmd = {row["param.cmd"]: row for row in rows}
    assert (by_cmd["'=1+1"]["param.none"], by_cmd[""]["param.none"]) == ("null", "")
    assert (by_cmd["'=1+1"]["description"], by_cmd["'=1+1"]["source"]) == ("'=2", "train.py")
    assert (by_cmd["'=1+1"]["duration_s"], by_cmd["'=1+1"]["models"]) == ("90.5", "iris")
    assert (by_cmd["'=1+1"]["param.neg"], by_cmd["'=1+1"]["param.text"], by_cmd["'=1+1"]["param.list"]) == (
        "-1.5",
        "-2",
        "[1, 2]",
    )
    assert by_cmd[""]["label.k, k"] == "v"
    lines = ds_("runs", "export", "--format", "jsonl", "--filter", "summary.acc > 0").stdout.splitlines()
    assert json.loads(lines[0])["record"]["summary"] == {"acc": 0.5}


def test_runs_are_a_data_frame(folder, mine, new_run):
    made = mine.push(
        new_run(parameters={"lr": "0.1"}, summary={"acc": 0.5}, **ABOUT), new_run(labels={"stage": "dev"})
    ).run_ids
    frame = ds.get_runs()
    assert set(frame["id"]) == set(made)
    assert list(frame.columns[-3:]) == ["param.lr", "summary.acc", "label.stage"]
    by_id = frame.set_index("id")
    assert by_id.loc[made[0], "param.lr"] == 0.1
    about = by_id.loc[made[0], ["description", "source", "duration_s", "models"]]
    assert list(about) == ["=2", "train.py", 90.5, ["iris"]]
    assert pd.isna(by_id.loc[made[1], "summary.acc"])
    assert str(frame["started_at"].dtype).startswith("datetime64")
    assert list(ds.get_runs("summary.acc > 0")["id"]) == [made[0]]
    assert len(ds.get_runs(max_results=1)) == 1
    assert list(ds.get_runs('label.stage = "none"').columns[:2]) == ["id", "number"]
    with pytest.raises(Invalid):
        ds.get_runs("nonsense ===")


def test_a_secret_is_not_made_twice_by_a_lost_answer(hub, client):
    def make():
        body = {"name": "t", "scopes": ["runs:read"]}
        return client._call("POST", "/api/v1/tokens", dict, body=body, headers={"Idempotency-Key": "same"})

    make()
    with pytest.raises(Conflict):
        make()


# ---------------------------------------------------------------------------------- the operator


def test_the_operator_makes_and_changes_accounts(hub, alice):
    data = ("hub", "--data", str(hub.data), "account")
    name = f"{alice.name}-3"
    assert done(*data, "add", name, "--admin").startswith(f"{hub.url}/login#code=")
    assert f"{name}  (admin, no password yet)" in done(*data, "ls")
    assert {json.loads(line)["name"] for line in done(*data, "ls", "--json").splitlines()} >= {name, "owner"}
    assert done(*data, "link", name).startswith(f"{hub.url}/login?next=%2Fpassword#code=")
    assert done(*data, "role", name, "disabled") == f"{name} is disabled.\n"
    taken = ds_(*data, "add", name)
    assert (taken.exit_code, name in taken.output) == (1, True)
    assert ds_(*data, "role", name, "king").exit_code == 2
