"""Cutting the power of the hub's disk while commits are pushed to it."""

from __future__ import annotations

import pytest
from support.disk import disk

CUTS = 6


@pytest.fixture
def used(tmp_path):
    with disk(tmp_path) as made:
        yield made


def test_what_was_acknowledged_survives_and_nothing_is_there_by_half(used, serve_hub, new_run, new_pack):
    with serve_hub(used.root / "hub") as hub:
        project = hub.new_project()
        pushed = []
        for number in range(CUTS):
            pushed.append(project.push(new_run(), files={"number": b"%d" % number}))
            unfinished = new_pack()
            unfinished.add_commit(project, (new_run(),), {"number": b"unfinished"})
            assert project.put_pack(unfinished.bytes()).status_code == 201
            with used.cut() as survived, serve_hub(survived / "hub") as found:
                check(found, project, pushed)


def check(found, project, pushed):
    """The hub that is found after the cut has each commit that was acknowledged, its run and its file, and no other."""
    branches = found.call("GET", project.dot, token=project.token)["branches"]
    assert branches == {"main": pushed[-1].commit}
    runs = found.call("GET", f"{project.base}/runs", token=project.token)["items"]
    assert sorted(run["id"] for run in runs) == sorted(run_id for one in pushed for run_id in one.run_ids)
    for number, one in enumerate(pushed):
        path = f"{project.base}/commits/{one.commit}/content?path=number"
        assert found.request("GET", path, token=project.token).content == b"%d" % number
