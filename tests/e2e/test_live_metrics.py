"""From `ds.metric(…, step=…)` to the hub while the code runs, whatever goes away meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.lab import Lab, Up
from support.stack import ds, write_notebook
from support.training import Training, Watch

from dotscience.cli.processes import stop
from dotscience.client import credentials


@pytest.fixture
def train(tracked):
    """Start trainings in the tracked folder, which end with the test."""
    started = []

    def start(description="train"):
        started.append(Training(tracked.root, description))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.close()


@pytest.fixture
def watch(hub, tracked):
    return Watch(hub, tracked.project)


def points_left(tracked):
    return list((tracked.root / ".dotscience/runs").glob("*.points"))


def test_a_run_is_seen_while_it_goes_on_and_becomes_the_published_one(tracked, train, watch, hub):
    training = train("long")
    training.points(0, 10)
    run_id = watch.until_live("long")["id"]
    watch.until_steps(run_id, 10)
    training.points(10, 2_000)
    watch.until_steps(run_id, 2_000)
    listed = ds("runs", "ls", "--running", "--json", cwd=tracked.root).stdout
    assert json.loads(listed)["id"] == run_id
    assert "running" in ds("runs", "ls", cwd=tracked.root).stdout
    assert "at step 1999" in ds("runs", "show", run_id, cwd=tracked.root).stdout

    training.points(2_000, 2_010)
    training.publish()
    tracked.wait_for_runs(1)
    (run,) = [run for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]
    assert run["id"] == run_id
    assert run["record"]["summary"] == {"loss": 1 / 2_010, "step": 2_009}
    watch.until_steps(run_id, 2_010)
    assert watch.live() == {}
    watch.until(lambda: not points_left(tracked))
    assert "commit" in ds("runs", "show", run_id, cwd=tracked.root).stdout


def test_a_run_whose_process_is_killed_is_lost_with_all_its_points(tracked, train, watch):
    training = train()
    training.points(0, 500)
    training.kill()
    run = watch.until_live("train", "lost")
    watch.until_steps(run["id"], 500)
    watch.until(lambda: not points_left(tracked))


def test_two_processes_at_once_are_two_runs(tracked, train, watch):
    one, two = train("one"), train("two")
    one.points(0, 100)
    two.points(0, 200)
    ids = [watch.until_live(name)["id"] for name in ("one", "two")]
    watch.until_steps(ids[0], 100)
    watch.until_steps(ids[1], 200)
    one.publish()
    two.kill()
    tracked.wait_for_runs(1)
    watch.until(lambda: {name: run["status"] for name, run in watch.live().items()} == {"two": "lost"})


def test_a_hub_that_was_away_gets_everything(tracked, train, watch, hub):
    training = train()
    training.points(0, 10)
    run_id = watch.until_live("train")["id"]
    hub.kill()
    training.points(10, 1_500)
    hub.start()
    tracked.client.push()
    watch.until_steps(run_id, 1_500)
    hub.kill()
    training.points(1_500, 1_600)
    training.publish()
    hub.start()
    tracked.client.push()
    tracked.wait_for_runs(1)
    watch.until_steps(run_id, 1_600)


def test_a_committer_that_was_killed_goes_on_where_the_hub_is(tracked, train, watch):
    training = train()
    training.points(0, 10)
    run_id = watch.until_live("train")["id"]
    known = 10
    for end in (500, 1_000, 1_500):
        tracked.kill()
        training.points(known, end)
        tracked.start()
        training.points(end, end + 10)
        known = end + 10
        watch.until_steps(run_id, known)


def test_a_committer_that_stops_sends_the_last_points(tracked, train, watch):
    training = train()
    training.points(0, 10)
    run_id = watch.until_live("train")["id"]
    training.points(10, 3_000)
    training.publish()
    stop(tracked.component)
    assert watch.steps(run_id) == list(range(3_000))


def test_a_run_that_was_published_without_a_committer_gets_its_points(tracked, train, watch, hub):
    tracked.kill()
    training = train()
    training.points(0, 1_200)
    training.publish()
    tracked.start()
    tracked.wait_for_runs(1)
    (run,) = [run for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]
    watch.until_steps(run["id"], 1_200)
    watch.until(lambda: not points_left(tracked))


def test_points_wait_for_a_hub_where_there_is_none(hub, make_tracked):
    tracked = make_tracked()
    tracked.start()
    training = Training(tracked.root)
    training.points(0, 50)
    training.publish()
    training.close()
    tracked.wait_for(lambda status: status["runs"] and not status["pending_runs"])
    assert len(points_left(tracked)) == 1
    tracked.bind(hub)
    tracked.wait_for_runs(1)
    watch = Watch(hub, tracked.project)
    (run,) = [run for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]
    watch.until_steps(run["id"], 50)


def test_the_process_that_trains_has_no_token(hub, tracked, train, watch):
    training = train()
    training.points(0, 1)
    watch.until_live("train")
    token = credentials.load(hub.url, tracked.project)
    assert token
    (path,) = points_left(tracked)
    assert token.encode() not in path.read_bytes()
    assert token.encode() not in Path(f"/proc/{training.process.pid}/environ").read_bytes()


def test_curves_grow_in_the_dashboard_and_stay(tracked, train, watch, hub, page):
    with hub.client() as client:
        page.goto(client.create_login_code().url)
    page.get_by_role("link", name="workspace").first.click()
    training = train("grow a curve")
    training.points(0, 3)
    page.get_by_role("link", name="grow a curve").click()
    page.get_by_text("running", exact=True).wait_for()
    page.get_by_text("3 points", exact=True).first.wait_for()
    page.locator(".plot canvas").first.wait_for()
    training.points(3, 40)
    page.get_by_text("40 points", exact=True).first.wait_for()
    training.publish()
    page.get_by_text("success", exact=True).wait_for()
    page.get_by_text("40 points", exact=True).first.wait_for()
    page.locator(".plot canvas").first.wait_for()


SLOW_CELL = """
import pathlib, time
import dotscience as ds
ds.start("slow cell")
for step in range(25):
    ds.metric("loss", 1 / (step + 1), step=step)
while not pathlib.Path("go-on").exists():
    time.sleep(0.05)
ds.publish()
"""


def test_a_cell_that_runs_in_jupyterlab_is_seen_in_the_dashboard(home, tmp_path, page):
    up = Up(tmp_path / "lab")
    try:
        write_notebook(up.root / "slow.ipynb", SLOW_CELL)
        dashboard = page.context.new_page()
        dashboard.goto(up.dashboard)
        dashboard.get_by_role("link", name="lab").first.click()
        lab = Lab(page, up.jupyter)
        lab.open("slow.ipynb")
        lab.run_all()
        dashboard.get_by_role("link", name="slow cell").click()
        dashboard.get_by_text("25 points", exact=True).first.wait_for()
        dashboard.get_by_text("slow.ipynb").first.wait_for()
        (up.root / "go-on").touch()
        dashboard.get_by_text("success", exact=True).wait_for()
        dashboard.get_by_text("25 points", exact=True).first.wait_for()
    finally:
        assert up.stop() == 0
