"""Clocks that are wrong, of clients and of the hub: commits are listed in the order in which they came."""

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
        own_hub.clock.advance(days=days)
        pushed.append(project.push(new_run()).commit)
    assert [one["id"] for one in project.get("/commits")["items"]] == pushed[::-1]
    assert own_hub.call("GET", project.dot, token=project.token)["branches"] == {"main": pushed[-1]}
