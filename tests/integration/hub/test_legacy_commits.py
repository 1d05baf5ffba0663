"""Commits through `/v2`: their runs, locks, and uploads that were refused before."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from support.legacy_client import OWNER, run_metadata, tar


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
