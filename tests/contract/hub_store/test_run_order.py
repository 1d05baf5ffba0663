"""Pages of runs in every order against the obvious way to sort."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from support.hub_rows import START, add_project, add_runs, new_run
from support.statements import plan_of, statements_of

from dotscience.record import RunRecord
from hub_server.store import run_order, run_plan, runs
from hub_server.store.run_order import Order
from hub_server.store.run_plan import Selection
from hub_server.store.schema import run

ABSENT = object()
VALUES = st.one_of(
    st.just(ABSENT),
    st.sampled_from([1, 2.5, -3, "2.5", "nan", "inf", "adam", "sgd", True, None, [1]]),
)


@pytest.fixture
def fresh(database):
    """Put runs into a project of their own; its key."""
    made = []

    def put(rows):
        async def work():
            return await database.write(lambda c: _fill(c, rows, len(made)))

        made.append(None)
        return asyncio.run(work())

    return put


def _fill(connection, rows, number):
    key, dot = add_project(connection, number)
    add_runs(connection, key, dot, [_run(place, value, minutes) for place, (value, minutes) in enumerate(rows)])
    return key


def _run(place, value, minutes):
    record = RunRecord(run_id=str(UUID(int=place)), summary={} if value is ABSENT else {"x": value})
    return new_run(record, START + timedelta(minutes=minutes))


def pages(database, key, order, limit):
    """All ids in order, page by page."""
    selection = Selection(project_key=key, now=START)

    def read(connection):
        found, position = [], None
        while True:
            page = run_order.read_page(connection, selection, order, position, limit)
            assert len(page.runs) <= limit
            found.append([UUID(one.id).int for one in page.runs])
            position = page.position
            if position is None:
                return found

    return database.read_blocking(read)


def walk(database, key, order, limit):
    """All ids in order."""
    return [one for page in pages(database, key, order, limit) for one in page]


def expected(rows, *, descending):
    """Numbers, then texts, then the rest newest first.

    Equal ones in the order of arrival, turned around with the order.
    """
    numbers, texts, rest = [], [], []
    for place, (value, minutes) in enumerate(rows):
        match value:
            case bool():
                numbers.append((float(value), place))
            case int() | float():
                numbers.append((float(value), place))
            case "2.5":
                numbers.append((2.5, place))
            case str():
                texts.append((value, place))
            case _:
                rest.append((minutes, place))
    parts = [sorted(numbers, reverse=descending), sorted(texts, reverse=descending), sorted(rest, reverse=True)]
    return [place for part in parts for _, place in part]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(VALUES, st.integers(0, 3)), max_size=12),
    limit=st.integers(1, 5),
    descending=st.booleans(),
)
def test_pages_by_a_value_neither_skip_nor_repeat(database, fresh, rows, limit, descending):
    key = fresh(rows)
    by_value = walk(database, key, Order(key=("summary", "x"), descending=descending), limit)
    if any(value is not ABSENT and not isinstance(value, list | None) for value, _ in rows):
        assert by_value == expected(rows, descending=descending)
    by_time = walk(database, key, Order(key=None, descending=descending), limit)
    assert by_time == [
        place for _, place in sorted(((minutes, place) for place, (_, minutes) in enumerate(rows)), reverse=descending)
    ]


@pytest.mark.parametrize("key", [None, ("summary", "x")])
def test_a_page_after_the_last_run_has_none_and_says_how_many_there_are(database, fresh, key, monkeypatch):
    monkeypatch.setattr(run_plan, "COUNT_MOST", 2)
    project = fresh([(number, number) for number in range(4)])
    selection, order = Selection(project_key=project, now=START), Order(key=key, descending=True)

    def read(connection):
        last = run_order.read_page(connection, selection, order, None, 3)
        for row in connection.execute(select(run.c.id).where(run.c.project_id == project).limit(1)):
            runs.trash_run(connection, project, row.id, START)
        return run_order.read_page(connection, selection, order, last.position, 3)

    page = asyncio.run(database.write(read))
    assert (page.runs, page.position, page.total) == ([], None, (3, True))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sorting_by_a_value_reads_an_index_and_sorts_nothing(database, fresh):
    key = fresh([(number, 0) for number in range(10)])
    selection = Selection(project_key=key, now=START)
    order = Order(key=("summary", "x"), descending=True)

    def explain(connection):
        def find():
            first = run_order.read_page(connection, selection, order, None, 3)
            run_order.read_page(connection, selection, order, first.position, 3)

        return plan_of(connection, statements_of(connection, find))

    plan = database.read_blocking(explain)
    assert any("ix_run_value_num" in step for step in plan)
    later = "ix_run_value_num (key_id=? AND num>? AND num<?)"
    assert any(later in step for step in plan), "a page begins where the one before ended"
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN run") for step in plan), plan


@pytest.mark.parametrize(("most", "expected"), [(6_000, [[4, 3, 2], [1, 0]]), (1_000, [[4, 3], [2], [1], [0]])])
def test_a_page_has_fewer_runs_where_their_records_are_large_but_one(database, fresh, monkeypatch, most, expected):
    monkeypatch.setattr(runs, "MAX_PAGE_CHARS", most)
    values = 0, "a" * 4_000, "b" * 4_000, 3, 4
    key = fresh([(value, place) for place, value in enumerate(values)])
    assert pages(database, key, Order(key=None, descending=True), 5) == expected


def test_a_page_by_a_value_has_fewer_too_whatever_the_runs_have(database, fresh, monkeypatch):
    """Numbers, texts and neither are read one after the other, and fill one page together."""
    monkeypatch.setattr(runs, "MAX_PAGE_CHARS", 11_000)
    values = [*range(7), "a" * 2_300, "b" * 2_300, ["c" * 4_900], ["d" * 4_900], ["e" * 4_900]]
    key = fresh([(value, 0) for value in values])
    first = pages(database, key, Order(key=("summary", "x"), descending=True), 10)[0]
    sizes = database.read_blocking(lambda c: dict(c.execute(select(run.c.uuid, func.length(run.c.doc))).all()))
    assert [len(first), sum(sizes[str(UUID(int=one))] for one in first) <= 11_000] == [9, True]


def test_a_page_of_the_trash_has_fewer_too(database, fresh, monkeypatch):
    monkeypatch.setattr(runs, "MAX_PAGE_CHARS", 6_000)
    key = fresh([(value, 0) for value in (0, "a" * 4_000, "b" * 4_000, 3)])

    def throw(connection):
        keys = connection.scalars(select(run.c.id).where(run.c.project_id == key).order_by(run.c.id)).all()
        for place, one in enumerate(keys):
            runs.trash_run(connection, key, one, START + timedelta(minutes=place))

    asyncio.run(database.write(throw))
    first = database.read_blocking(lambda c: runs.list_trash(c, key, None, 5))
    rest = database.read_blocking(lambda c: runs.list_trash(c, key, first.position, 5))
    assert [[UUID(one.id).int for one in page.items] for page in (first, rest)] == [[3, 2], [1, 0]]
    assert rest.position is None
