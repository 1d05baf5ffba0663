"""Runs that go on and the points of their metrics, on each database."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from support.hub_rows import START, add_project, add_runs, new_run

from dotscience.record import RunRecord, encode_json
from hub_server.domain.live import FORGOTTEN_AFTER, LOST_AFTER, Batch
from hub_server.store import live_runs, metric_points
from hub_server.store.live_runs import OutOfStep, Seen
from hub_server.store.schema import live_run, metric_point, metric_series

AT = 1_790_000_000_000_000


def run_id(number):
    return str(UUID(int=number))


def point(step, value=0.5, name="loss"):
    return (name, step, AT + abs(step), value)


@pytest.fixture
def do(database):
    """Run work that may write."""
    return lambda work: asyncio.run(database.write(work))


@pytest.fixture
def made(do):
    """A project's key, and the id of its dot."""
    return do(add_project)


@pytest.fixture
def project(made):
    return made[0]


@pytest.fixture
def report(do, project):
    """Report points of a run, from where the last report ended unless said otherwise."""
    ends: dict[int, int] = {}

    def send(*points, run=1, start=None, end=None, state="running", now=START, known=None):
        start = ends.get(run, 0) if start is None else start
        end = start + 10 * len(points) if end is None else end
        record = RunRecord(run_id=run_id(run), started_at=START)
        doc = encode_json(record).decode() if (run not in ends if known is None else not known) else None
        batch = Batch(run_id=run_id(run), state=state, start=start, end=end, points=list(points), record=record)
        progress, is_seen = do(lambda c: live_runs.apply_batch(c, project, batch, doc, now))
        ends[run] = progress.received
        return progress, is_seen

    return send


def curve(do, project, name="loss", limit=100, run=1):
    return do(lambda c: metric_points.read_curve(c, live_runs.find_key(c, project, run_id(run)), name, limit))


def seen(now=START):
    """A look at runs by a hub whose clock is right."""
    return Seen(now, lambda project, run_id, age: age > LOST_AFTER)


def listed(do, project, now=START):
    page = do(lambda c: live_runs.list_live_runs(c, project, seen=seen(now), after=None, limit=10))
    return [(UUID(run.id).int, run.status) for run in page.items]


def test_points_come_in_batches_that_follow_each_other(do, project, report):
    assert report(point(0), point(1))[0].received == 20
    assert report(point(2), point(0, 7.0, "val"))[0].received == 40
    assert [p[0] for p in curve(do, project).points] == [0, 1, 2]
    assert curve(do, project, "val").points == [(0, AT, 7.0)]
    assert curve(do, project, "nobody") is None
    metrics = do(lambda c: metric_points.list_metrics(c, live_runs.find_key(c, project, run_id(1))))
    assert [(m.name, m.points, m.step, m.value) for m in metrics] == [("loss", 3, 2, 0.5), ("val", 1, 0, 7.0)]


def test_the_same_batch_again_changes_nothing(do, project, report):
    report(point(0, 1.0), point(0, 2.0))
    again, is_seen = report(point(0, 1.0), point(0, 2.0), start=0)
    assert (again.received, is_seen) == (20, False)
    assert curve(do, project).points == [(0, AT, 2.0)]
    (run,) = do(lambda c: live_runs.list_live_runs(c, project, seen=seen(), after=None, limit=10)).items
    assert run.points == 2


@pytest.mark.parametrize(("start", "end"), [(30, 40), (10, 40), (0, 25)])
def test_a_batch_that_leaves_something_out_or_overlaps_is_refused_whole(do, project, report, start, end):
    report(point(0), point(1))
    with pytest.raises(OutOfStep) as refused:
        report(point(9), start=start, end=end)
    assert refused.value.received == 20
    assert len(curve(do, project).points) == 2


def test_a_run_that_is_not_known_needs_its_record(do, project, report):
    with pytest.raises(OutOfStep) as refused:
        report(point(0), known=True)
    assert refused.value.received == 0
    assert listed(do, project) == []


def test_values_that_are_not_finite_stay_what_they_are(do, project, report):
    values = [1.0, "nan", "inf", "-inf", -0.0, 5e-324, 1.7976931348623157e308]
    report(*(point(step, value) for step, value in enumerate(values)))
    assert [value for _, _, value in curve(do, project).points] == values


def test_steps_may_be_anywhere_and_come_in_any_order(do, project, report):
    steps = [2**53 - 1, -(2**53) + 1, 0, 5]
    report(*map(point, steps))
    assert [step for step, _, _ in curve(do, project).points] == sorted(steps)


def test_names_may_hold_anything(do, project, report):
    names = ["", "a'b\"c", "%_", "nul\0", "🐍", "x" * 500, "A", "a"]
    report(*(point(0, float(index), name) for index, name in enumerate(names)))
    for index, name in enumerate(names):
        assert curve(do, project, name).points[0][2] == float(index)


def test_a_curve_is_sampled_with_its_extremes_and_both_ends(do, project, report):
    chance = random.Random(1)
    values = [chance.gauss(0, 1) for _ in range(4_000)]
    values[1234], values[2345], values[3456] = 1e6, -1e6, "nan"
    report(*(point(step, value) for step, value in enumerate(values)))
    sampled = curve(do, project, limit=300)
    assert sampled.sampled
    assert len(sampled.points) <= 300
    by_step = {step: value for step, _, value in sampled.points}
    assert [step for step, _, _ in sampled.points] == sorted(by_step)
    assert {0, 1234, 2345, 3456, 3999} <= set(by_step)
    assert all(value == values[step] for step, value in by_step.items())
    width = math.ceil(4_000 / 99)
    for start in range(0, 4_000 - width, width):
        bucket = [value for value in values[start : start + width] if value != "nan"]
        assert {min(bucket), max(bucket)} <= set(by_step.values())


@pytest.mark.parametrize("values", [[1.0] * 1_000, ["nan"] * 1_000])
def test_a_plateau_is_no_larger_than_any_other_curve(do, project, report, values):
    report(*(point(step, value) for step, value in enumerate(values)))
    assert len(curve(do, project, limit=30).points) <= 30


def test_a_curve_over_the_widest_steps_is_sampled(do, project, report):
    report(*(point(step) for step in (-(2**53) + 1, *range(50), 2**53 - 1)))
    assert len(curve(do, project, limit=20).points) <= 20


def test_a_run_keeps_so_many_points_and_so_many_names(do, project, report, monkeypatch):
    monkeypatch.setattr(live_runs, "MAX_POINTS", 6)
    monkeypatch.setattr(metric_points, "MAX_NAMES", 2)
    report(point(0, name="a"), point(0, name="b"), point(0, name="c"), point(1, name="a"))
    report(*(point(step, name="a") for step in range(2, 9)))
    (run,) = do(lambda c: live_runs.list_live_runs(c, project, seen=seen(), after=None, limit=10)).items
    assert (run.points, run.dropped) == (6, 5)
    assert [metric.name for metric in run.latest] == ["a", "b"]


def test_a_run_leaves_the_list_when_it_is_published_and_keeps_its_points(do, made, report):
    project, dot = made
    report(point(0))
    report(point(0), run=2)
    assert listed(do, project) == [(2, "running"), (1, "running")]
    do(lambda c: add_runs(c, project, dot, [new_run(RunRecord(run_id=run_id(1), started_at=START))]))
    assert listed(do, project) == [(2, "running")]
    late, _ = report(point(1), state="ended")
    assert late.published
    assert [step for step, _, _ in curve(do, project).points] == [0, 1]


def test_points_that_come_after_the_run_was_published_are_taken(do, made, report):
    project, dot = made
    do(lambda c: add_runs(c, project, dot, [new_run(RunRecord(run_id=run_id(1), started_at=START))]))
    progress, _ = report(point(0), state="ended")
    assert progress.published
    assert listed(do, project) == []
    assert len(curve(do, project).points) == 1


def test_a_run_that_is_silent_is_lost_until_it_is_heard_again(do, project, report):
    report(point(0))
    report(point(0), run=2, state="ended")
    late = START + LOST_AFTER + timedelta(seconds=1)
    assert listed(do, project, now=late) == [(2, "ended"), (1, "lost")]
    report(now=late)
    assert listed(do, project, now=late) == [(2, "ended"), (1, "running")]
    report(state="lost", now=late)
    assert listed(do, project, now=late) == [(2, "ended"), (1, "lost")]


def test_what_can_be_seen_is_told(report):
    assert report()[1], "a new run"
    assert not report()[1], "nothing new"
    assert report(point(0))[1], "a point"
    assert report(state="lost")[1], "another state"


def test_lost_runs_are_forgotten_a_part_at_a_time(do, project, report, monkeypatch):
    monkeypatch.setattr(live_runs, "FORGOTTEN_AT_ONCE", 3)
    report(*map(point, range(5)), point(0, name="val"), state="lost")
    late = START + FORGOTTEN_AFTER + timedelta(seconds=1)
    assert listed(do, project, now=late) == []
    for number in range(2, 7):
        report(run=number, now=late)
    left = do(
        lambda c: [c.scalar(select(func.count()).select_from(t)) for t in (live_run, metric_series, metric_point)]
    )
    assert left == [5, 0, 0]


def test_projects_do_not_see_each_others_runs(do, project, report):
    report(point(0))
    other, _ = do(lambda c: add_project(c, 2))
    assert listed(do, other) == []
    assert do(lambda c: live_runs.find_live_run(c, other, run_id(1), seen())) is None


def test_lists_of_runs_read_no_points(do, project, report):
    """Whatever the plan, the table of points is not in it."""
    report(point(0))
    do(lambda c: c.execute(text("DROP TABLE metric_point")))
    assert listed(do, project) == [(1, "running")]
