"""Clocks that are wrong, of clients and of the hub: what is kept has its order, and nothing ends because of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.histories import START, count_shown, push_all, write_history

YEAR = timedelta(days=365)


@pytest.mark.parametrize(
    "times",
    [[START] * 3, [START, START - YEAR, START + YEAR], [START, START - timedelta(seconds=1), START - YEAR]],
    ids=["one second", "a year to and fro", "backwards"],
)
def test_a_client_with_any_clock_has_its_commits_in_their_order(project, tmp_path, times):
    history = write_history(tmp_path / "store", project.dot_id, times=times)
    push_all(history.store, history.target(project.hub.url, project))
    assert count_shown(project, history) == 3
    listed = project.get("/commits")["items"]
    assert [one["created_at"] for one in listed] == [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in reversed(times)]


def test_two_clients_whose_clocks_differ_by_two_years_are_listed_as_they_came(project, new_run):
    late = project.push(new_run(), created_at=START + YEAR)
    early = project.push(new_run(), created_at=START - YEAR)
    assert [one["id"] for one in project.get("/commits")["items"]] == [early.commit, late.commit]


def test_a_hub_whose_clock_is_put_back_goes_on(own_hub, new_run):
    project = own_hub.new_project()
    pushed = []
    for days in (0, -365, 365, 0):
        own_hub.clock.set(days=days)
        pushed.append(project.push(new_run()).commit)
    assert [one["id"] for one in project.get("/commits")["items"]] == pushed[::-1]
    assert own_hub.call("GET", project.dot, token=project.token)["branches"] == {"main": pushed[-1]}


DAY_FORWARD_AND_BACK = pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])


@DAY_FORWARD_AND_BACK
@pytest.mark.parametrize(
    "guess", [{"code": "guess"}, {"name": "nobody", "password": "guess"}], ids=["link", "password"]
)
def test_guesses_count_for_a_minute_whatever_the_clock_is_set_to(own_hub, days, guess):
    def sign_in():
        return own_hub.request("POST", "/api/v1/sessions", json=guess)

    assert [sign_in().status_code for _ in range(11)] == [401] * 10 + [429]
    own_hub.clock.set(days=days)
    refused = sign_in()
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    own_hub.clock.advance(seconds=61)
    assert sign_in().status_code == 401


def status_of(hub, project, run):
    return hub.call("GET", f"{project.base}/live-runs/{run.run_id}", token=project.token)["status"]


@DAY_FORWARD_AND_BACK
def test_a_run_goes_on_when_the_clock_is_set_and_is_lost_after_90_seconds(own_hub, new_run, days):
    project, run = own_hub.new_project(), new_run(ended_at=None)
    project.report(run)
    own_hub.clock.advance(seconds=100)
    assert status_of(own_hub, project, run) == "lost"
    project.report(run)
    own_hub.clock.set(days=days)
    assert status_of(own_hub, project, run) == "running"
    own_hub.clock.advance(seconds=91)
    assert status_of(own_hub, project, run) == "lost"


@DAY_FORWARD_AND_BACK
def test_a_run_goes_on_when_the_clock_is_set_while_the_hub_is_down(tmp_path, serve_hub, new_run, days):
    run, silent = new_run(ended_at=None), new_run(ended_at=None)
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        hub.clock.set(days=-5)
        project.report(silent)
        hub.clock.set(days=5)
        project.report(run)
    for _ in range(2):
        with serve_hub(tmp_path / "hub") as hub:
            hub.clock.set(days=days)
            assert (status_of(hub, project, run), status_of(hub, project, silent)) == ("running", "lost")
            hub.clock.advance(seconds=80)
    with serve_hub(tmp_path / "hub") as hub:
        hub.clock.advance(seconds=91)
        assert status_of(hub, project, run) == "lost"
    with serve_hub(tmp_path / "hub") as hub:
        assert status_of(hub, project, run) == "lost"
        sent = hub.call(
            "POST",
            f"{project.dot}/runs/{run.run_id}/points",
            token=project.token,
            json={"state": "running", "start": 0, "end": 0, "points": []},
        )
        assert (sent["received"], status_of(hub, project, run)) == (0, "running")


def test_a_request_that_is_repeated_is_the_same_when_the_clock_was_set_forward(own_hub):
    def make():
        headers = {"Idempotency-Key": "k"}
        return own_hub.call("POST", "/api/v1/projects", json={"name": "one"}, headers=headers)["id"]

    made = make()
    own_hub.clock.advance(minutes=1)
    own_hub.clock.set(days=1)
    assert make() == made
    own_hub.clock.advance(days=2)
    assert make() != made
