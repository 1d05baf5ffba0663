"""Runs that go on, over the API."""

from __future__ import annotations

import json

import pytest
from support.disk import disk

from dotscience.record import RunRecord

AT = 1_790_000_000_000_000
OTHER = "3f0f6f0a-6c5e-4b8e-9d40-6b8f0a5c1d11"


def point(step, value=0.5, name="loss"):
    return [name, step, AT + step, value]


@pytest.fixture
def run(new_run):
    return new_run(ended_at=None, description="train", parameters={"lr": 0.1})


def test_a_run_is_listed_while_it_goes_on_and_found_with_its_points_afterwards(project, run, new_run):
    assert project.report(run, point(0, 1.0), point(1, "nan")).json() == {"received": 20, "published": False}
    (live,) = project.get("/live-runs")["items"]
    assert (live["id"], live["status"], live["points"]) == (run.run_id, "running", 2)
    assert live["latest"] == [{"name": "loss", "points": 2, "step": 1, "at": AT + 1, "value": "nan"}]
    assert live["record"]["parameters"] == {"lr": 0.1}
    assert project.get(f"/live-runs/{run.run_id}") == live

    curve = {"name": "loss", "sampled": False, "points": [[0, AT, 1.0], [1, AT + 1, "nan"]]}
    found = project.get(f"/runs/{run.run_id}/metrics")
    assert (found["status"], found["curves"]) == ("running", [curve])

    project.push(new_run(run_id=run.run_id, summary={"loss": "nan"}))
    assert project.get("/live-runs")["items"] == []
    assert project.get(f"/live-runs/{run.run_id}")["status"] == "published"
    found = project.get(f"/runs/{run.run_id}/metrics")
    assert (found["status"], found["curves"]) == ("published", [curve])
    late = project.report(run, point(2), start=20, end=30, state="ended", record=None)
    assert late.json() == {"received": 30, "published": True}


def test_a_run_without_points_has_no_curves(project, new_run):
    pushed = project.push(new_run())
    found = project.get(f"/runs/{pushed.run_ids[0]}/metrics")
    assert (found["status"], found["metrics"], found["curves"]) == ("published", [], [])


def test_curves_are_chosen_by_name_and_sampled(project, run):
    names = ["a,b", 'c"d', "e&f=g"]
    points = [point(step, float(step), name) for name in names for step in range(400)]
    assert project.report(run, *points).status_code == 200
    asked = {"names": json.dumps([names[2], "nobody", names[0]]), "points": "20"}
    answer = project.hub.request(
        "GET", f"{project.base}/runs/{run.run_id}/metrics", token=project.token, params=asked
    ).json()
    assert [curve["name"] for curve in answer["curves"]] == [names[2], names[0]]
    assert [metric["name"] for metric in answer["metrics"]] == sorted(names)
    for curve in answer["curves"]:
        steps = [step for step, _, _ in curve["points"]]
        assert curve["sampled"]
        assert len(steps) <= 20
        assert (steps[0], steps[-1]) == (0, 399)


@pytest.mark.parametrize(
    "query",
    ["names=a", 'names={"a":1}', "names=[1]", "points=0", "points=9", "points=100000", "name=a", "points=1&points=2"],
)
def test_bad_questions_are_refused(project, run, query):
    project.report(run)
    answer = project.hub.request("GET", f"{project.base}/runs/{run.run_id}/metrics?{query}", token=project.token)
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-parameter"


def test_more_names_than_anybody_looks_at_are_refused(project, run):
    project.report(run)
    asked = {"names": json.dumps(["a"] * 51)}
    path = f"{project.base}/runs/{run.run_id}/metrics"
    assert project.hub.request("GET", path, token=project.token, params=asked).status_code == 400


def test_the_same_batch_again_is_the_same_and_a_gap_is_refused_with_the_position(project, run):
    for _ in range(2):
        assert project.report(run, point(0), point(1)).json()["received"] == 20
    refused = project.report(run, point(5), start=30, end=40)
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/points-out-of-step"
    assert refused.json()["received"] == 20
    assert len(project.get(f"/runs/{run.run_id}/metrics")["curves"][0]["points"]) == 2


def test_a_run_that_is_not_known_is_asked_for_its_record(project, run):
    refused = project.report(run, point(0), record=None)
    assert (refused.status_code, refused.json()["received"]) == (409, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "published"},
        {"start": -1},
        {"start": 1.5},
        {"end": 2**41},
        {"start": 20},
        {"end": 0},
        {"points": [["loss", 0, AT]]},
        {"points": [["loss", 0, AT, "high"]]},
        {"points": [["loss", 0, AT, None]]},
        {"points": [["loss", 2**53, AT, 1]]},
        {"points": [["loss", 0, -1, 1]]},
        {"points": [["x" * 501, 0, AT, 1]]},
        {"points": [point(0)] * 5_001},
        {"record": {"run_id": "x"}},
        {"record": RunRecord(run_id=OTHER)},
        {"more": 1},
    ],
)
def test_bad_reports_are_refused_and_leave_nothing(project, run, changes):
    refused = project.report(run, point(0), **changes)
    assert refused.status_code == 422, refused.text
    assert refused.json()["type"] == "/problems/invalid"
    assert project.get("/live-runs")["items"] == []


def test_bodies_are_bounded(project, run):
    large = RunRecord(run_id=run.run_id, description="x" * 300_000)
    assert project.report(large).status_code == 422
    assert project.report(RunRecord(run_id=run.run_id, description="x" * 2**20)).status_code == 413


@pytest.mark.parametrize("run_id", ["x", "../x", "%00", OTHER.upper(), "0" * 36])
def test_a_runs_id_is_one(project, new_run, run_id):
    run = new_run(run_id=run_id)
    assert project.report(run, point(0)).status_code in (400, 404)
    assert project.get("/live-runs")["items"] == []


def test_nested_values_are_bounded(project, run):
    deep = {"lr": 1}
    for _ in range(100):
        deep = {"a": deep}
    refused = project.report(RunRecord(run_id=run.run_id, parameters=deep))
    assert refused.status_code == 422
    assert "nests deeper" in refused.json()["detail"]


def test_strangers_neither_see_nor_change_a_run(hub, project, run):
    project.report(run, point(0))
    stranger = hub.new_project("stranger")
    for path in ("/live-runs", f"/live-runs/{run.run_id}", f"/runs/{run.run_id}/metrics"):
        assert hub.request("GET", project.base + path, token=stranger.token).status_code == 404
        assert hub.request("GET", project.base + path).status_code == 401
    body = {"state": "lost", "start": 0, "end": 0, "points": []}
    path = f"{project.dot}/runs/{run.run_id}/points"
    assert hub.request("POST", path, token=stranger.token, json=body).status_code == 404
    reader = hub.call("POST", "/api/v1/tokens", json={"name": "t", "scopes": ["runs:read"], "project_id": project.id})
    assert hub.request("POST", path, token=reader["token"], json=body).status_code == 404
    assert project.get(f"/live-runs/{run.run_id}")["status"] == "running"


def test_one_id_in_two_projects_is_two_runs(hub, project, run):
    other = hub.new_project("other")
    project.report(run, point(0, 1.0))
    other.report(run, point(0, 2.0))
    assert [p.get(f"/live-runs/{run.run_id}")["latest"][0]["value"] for p in (project, other)] == [1.0, 2.0]


def test_live_runs_are_paged_newest_first(hub, new_run):
    project = hub.new_project("pages")
    ids = []
    for _ in range(5):
        record = new_run()
        project.report(record)
        ids.append(record.run_id)
    seen, cursor = [], ""
    while True:
        page = project.get(f"/live-runs?limit=2{cursor and '&cursor=' + cursor}")
        assert page["total"] == 5
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_a_run_of_which_nothing_is_heard_is_lost(own_hub, new_run):
    project = own_hub.new_project()
    run = new_run()
    project.report(run)
    own_hub.clock.advance(seconds=91)
    assert project.get("/live-runs")["items"][0]["status"] == "lost"
    project.report(run)
    assert project.get("/live-runs")["items"][0]["status"] == "running"


def test_what_was_acknowledged_survives_a_power_cut_and_no_batch_is_there_by_half(tmp_path, serve_hub, new_run):
    batches = 6
    with disk(tmp_path) as used, serve_hub(used.root / "hub") as hub:
        project, run = hub.new_project(), new_run()
        for number in range(batches):
            points = [point(step, name=name) for step in range(100 * number, 100 * number + 100) for name in ("a", "b")]
            sent = project.report(run, *points, start=1000 * number, end=1000 * number + 1000)
            assert sent.status_code == 200
            with used.cut() as survived, serve_hub(survived / "hub") as found:
                path = f"{project.base}/runs/{run.run_id}/metrics?points=5000"
                curves = found.call("GET", path, token=project.token)["curves"]
                assert [len(curve["points"]) for curve in curves] == [100 * number + 100] * 2
                again = found.call(
                    "POST",
                    f"{project.dot}/runs/{run.run_id}/points",
                    token=project.token,
                    json={"state": "running", "start": 0, "end": 0, "points": []},
                )
                assert again["received"] == 1000 * number + 1000
