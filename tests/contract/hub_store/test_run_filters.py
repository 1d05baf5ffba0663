"""Which runs meet a filter, against the obvious way to find out, by both ways to look for them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import select
from support.hub_rows import START, add_project, add_runs, new_run
from support.statements import listening, plan_of, statements_of

from dotscience.record import FileRef, RunRecord
from hub_server.domain.filters import Among, And, Comparison, Field, Not, Or, Present, parse_filter
from hub_server.domain.values import index_value
from hub_server.store import run_drives, run_order, run_plan, run_planner, runs
from hub_server.store.run_drives import REMEMBERED_S, Listed, RecentDrives
from hub_server.store.run_names import find_names, names_in
from hub_server.store.run_order import Order
from hub_server.store.run_plan import Selection
from hub_server.store.schema import run

NOW = START + timedelta(hours=1)
VALUES = st.sampled_from([1, 2.5, -3, "2.5", "nan", "adam", "ADAM x", "sgd", True, None, [1]])
NAMED = [Field("param", "a"), Field("param", "b"), Field("label", "a"), Field("summary", "nobody has it")]
RECORDS = st.builds(
    RunRecord,
    run_id=st.just(""),
    parameters=st.dictionaries(st.sampled_from("ab"), VALUES),
    labels=st.dictionaries(st.just("a"), VALUES),
    error=st.sampled_from([None, "no data"]),
    started_at=st.integers(0, 3).map(lambda minutes: START + timedelta(minutes=minutes)),
    ended_at=st.sampled_from([None, START]),
    inputs=st.lists(st.sampled_from("xy").map(lambda path: FileRef(path=path)), max_size=2),
)
LITERALS = st.sampled_from([1.0, 2.5, -7.0, "2.5", "adam", "nan", "b", True])
OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
MOMENTS = st.one_of(
    st.integers(0, 3).map(lambda minutes: START + timedelta(minutes=minutes)),
    st.integers(57, 60).map(lambda minutes: timedelta(minutes=minutes)),
)
CONDITIONS = st.one_of(
    st.builds(Comparison, st.sampled_from(NAMED), OPERATORS, LITERALS),
    st.builds(Comparison, st.sampled_from(NAMED), st.just("~"), st.sampled_from(["AD", "%", "_", "", "d"])),
    st.builds(Among, st.sampled_from(NAMED), st.lists(LITERALS, min_size=1, max_size=3).map(tuple)),
    st.builds(Present, st.sampled_from([*NAMED, Field(None, "ended"), Field(None, "input")])),
    st.builds(Comparison, st.just(Field(None, "status")), st.sampled_from(["=", "!=", "~"]), st.just("error")),
    st.builds(Comparison, st.sampled_from([Field(None, "started"), Field(None, "ended")]), OPERATORS, MOMENTS),
    st.builds(Comparison, st.just(Field(None, "number")), OPERATORS, st.sampled_from([1.0, 3.5])),
    st.builds(Comparison, st.just(Field(None, "input")), st.sampled_from(["=", "!="]), st.sampled_from("xz")),
)


def _several(parts):
    some = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, some), st.builds(Or, some), st.builds(Not, parts))


COMMON = "param.common = 1"
FILTERS = st.recursive(CONDITIONS, _several, max_leaves=5)


def meets(run, number, part):
    """What docs/filters.md says, in Python."""
    match part:
        case And():
            return all(meets(run, number, one) for one in part.parts)
        case Or():
            return any(meets(run, number, one) for one in part.parts)
        case Not():
            return not meets(run, number, part.part)
    if part.field.kind is not None:
        group = {"param": run.parameters, "label": run.labels, "summary": run.summary}[part.field.kind]
        return value_meets(index_value(group.get(part.field.name)), part)
    held = {
        "status": ["success" if run.error is None else "error"],
        "number": [number],
        "started": [run.started_at],
        "ended": [] if run.ended_at is None else [run.ended_at],
        "input": [file.path for file in run.inputs],
    }[part.field.name]
    return bool(held) if isinstance(part, Present) else any(compare(one, part.operator, part.value) for one in held)


def value_meets(value, part):
    if value is None or isinstance(part, Present):
        return value is not None
    if isinstance(part, Among):
        return any(value_meets(value, Comparison(part.field, "=", one)) for one in part.values)
    if part.operator == "~":
        return value.txt is not None and part.value.lower() in value.txt.lower()
    if part.operator == "!=":
        return not value_meets(value, Comparison(part.field, "=", part.value))
    return indexed_meets(value, part.operator, index_value(part.value))


def indexed_meets(value, operator, wanted):
    if wanted.num is not None:
        return value.num is not None and compare(value.num, operator, wanted.num)
    is_text = value.num is None or operator == "="
    return is_text and value.txt is not None and compare(value.txt, operator, wanted.txt)


def compare(held, operator, value):
    value = NOW - value if isinstance(value, timedelta) else value
    return {
        "=": lambda: held == value,
        "!=": lambda: held != value,
        "<": lambda: held < value,
        "<=": lambda: held <= value,
        ">": lambda: held > value,
        ">=": lambda: held >= value,
        "~": lambda: value.lower() in held.lower(),
    }[operator]()


@pytest.fixture
def fresh(database):
    """Put runs into a project of their own; its key."""
    made = []

    def put(records):
        made.append(None)
        return asyncio.run(database.write(lambda c: _fill(c, records, len(made))))

    return put


def _fill(connection, records, number):
    key, dot = add_project(connection, number)
    named = [structs.replace(one, run_id=str(UUID(int=place))) for place, one in enumerate(records, 1)]
    add_runs(connection, key, dot, [new_run(one, one.started_at) for one in named])
    return key


def find(database, selection, order, limit, *, may_walk, recent=None):
    """The numbers of the runs, page by page."""

    def read(connection):
        seen, position, totals = [], None, []
        while True:
            page = run_order.read_page(connection, selection, order, position, limit, may_walk=may_walk, recent=recent)
            seen += [one.seq for one in page.runs]
            totals.append(page.total)
            position = page.position
            if position is None:
                assert all(is_told(len(seen), one) for one in totals if not isinstance(one, run_plan.Narrowing))
                return seen

    return database.read_blocking(read)


def is_told(count, total):
    """Whether the total says that there are so many runs, or that many at least."""
    told, exact = total
    return told == count if exact else told <= count


def count(connection, selection):
    names = find_names(connection, selection.project_key, names_in(selection.filter))
    *_, last = run_planner.plans(connection, selection, names, None, 50)
    return last.total or run_plan.count_runs(connection, last)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(RECORDS, max_size=12),
    wanted=FILTERS,
    key=st.sampled_from([None, ("param", "a"), ("label", "a"), ("param", "c")]),
    descending=st.booleans(),
    limit=st.integers(1, 4),
    look_up=st.sampled_from([1, 3, 1_000]),
    drive_most=st.sampled_from([2, run_planner.DRIVE_MOST]),
    count_most=st.sampled_from([1, run_plan.COUNT_MOST]),
    haste=st.sampled_from([2, 3, run_planner.HASTE]),
)
def test_the_runs_that_meet_a_filter_are_those_of_the_whole_list_that_do(
    database, fresh, records, wanted, key, descending, limit, look_up, drive_most, count_most, haste
):
    """By whatever plan: what a look-up is said to cost, and what is counted, decides between walks, drives and sets."""
    project = fresh(records)
    order = Order(key=key, descending=descending)
    everything = find(database, Selection(project_key=project, now=NOW), order, 100, may_walk=True)
    expected = [number for number in everything if meets(records[number - 1], number, wanted)]
    selection = Selection(project_key=project, filter=wanted, now=NOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_planner, "LOOK_UP_COST", dict.fromkeys(run_planner.LOOK_UP_COST, look_up))
        patch.setattr(run_planner, "DRIVE_MOST", drive_most)
        patch.setattr(run_planner, "COUNT_MOST", count_most)
        patch.setattr(run_planner, "HASTE", haste)
        drives = RecentDrives()
        for may_walk in (True, False, True):
            assert find(database, selection, order, limit, may_walk=may_walk, recent=drives) == expected
        total = database.read_blocking(partial(count, selection=selection))
        assert is_told(len(expected), total)
        assert total[1] or count_most == 1 or drive_most == 2, "few runs are all counted"


@pytest.fixture
def many(fresh):
    """A project of 400 runs: `param.rare` is 1 for four of them, `param.rarely` for five, `param.common` for half."""

    def parameters(number):
        shares = {"rare": number % 100, "rarely": number % 80, "common": number % 2}
        return {**shares, "n": number, "more": 2 * number, "less": -number}

    return fresh([RunRecord(run_id="", started_at=START, parameters=parameters(number)) for number in range(400)])


def planned(database, project, text, *, limit=50, key=("param", "n"), descending=True):
    """How a page is looked for, once names are known: the steps of the database's plans, one after the other."""
    selection = Selection(project_key=project, filter=parse_filter(text), now=NOW)
    order = Order(key=key, descending=descending)

    def explain(connection):
        find = partial(run_order.read_page, connection, selection, order, None, limit)
        return plan_of(connection, [one for one in statements_of(connection, find) if "run_key" not in one[0]])

    return database.read_blocking(explain)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_condition_that_few_meet_drives(database, many):
    plan = planned(database, many, "param.rare = 1 and param.common = 1")
    assert "MATERIALIZE driven" in plan, plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_condition_that_many_meet_is_looked_at_along_the_order_of_the_page(database, many):
    plan = planned(database, many, COMMON)
    assert "MATERIALIZE driven" not in plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_walk_ends_where_a_filter_runs_against_the_order(database, many):
    """Two in five runs have a small n, and they come last."""
    plan = planned(database, many, "param.n < 160", limit=10, key=("param", "less"))
    assert "MATERIALIZE driven" not in plan
    plan = planned(database, many, "param.n < 160", limit=10, key=("param", "more"))
    assert "MATERIALIZE driven" in plan, plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_walk_along_the_range_that_the_filter_asks_for_looks_at_no_other_runs(database, many):
    plan = planned(database, many, "param.n > 300 and param.common = 1", limit=10, descending=False)
    assert "MATERIALIZE driven" not in plan, plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("key", "is_full"), [(("param", "less"), True), (("param", "more"), False)])
def test_more_is_counted_only_where_a_hasty_walk_was_in_vain(database, many, monkeypatch, key, is_full):
    monkeypatch.setattr(run_planner, "COUNT_MOST", 10)
    plan = planned(database, many, "param.n < 160", limit=4, key=key)
    assert plan.count("SCAN CONSTANT ROW") == (1 if is_full else 2), plan
    assert ("MATERIALIZE driven" in plan) != is_full, plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_condition_that_about_as_many_meet_is_looked_at_as_a_set(database, many):
    plan = planned(database, many, "param.rare = 1 and param.rarely = 1")
    assert any("LIST SUBQUERY" in step for step in plan), plan
    plan = planned(database, many, "param.rare = 1 and param.common = 1")
    assert not any("LIST SUBQUERY" in step for step in plan), plan


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("text", ["param.n < 160", "param.n < 160 and param.common = 1", "param.common = 1"])
def test_what_a_walk_is_narrowed_by_is_hashed_on_postgresql(database, many, text):
    """Rather than gone through for each run."""
    plan = planned(database, many, text, limit=10, key=("param", "less"))
    assert any("hashed SubPlan" in step for step in plan), plan
    assert not any("Materialize" in step for step in plan), plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "text", ["param.n > 100 and param.n < 104", "param.common = 1 and (param.n > 100 and param.n < 104)"]
)
def test_both_ends_of_a_range_drive_together(database, many, text):
    """Each by itself would be met by many."""
    plan = planned(database, many, text, key=None)
    assert "MATERIALIZE driven" in plan, plan
    assert any("num>? AND num<?" in step for step in plan), plan


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_names_are_looked_up_one_by_one_in_their_index(database, many):
    names = [("param", "n"), ("param", "rare"), ("summary", "n")]

    def plan(connection):
        return plan_of(connection, statements_of(connection, lambda: find_names(connection, many, names)))

    steps = database.read_blocking(plan)
    assert any("kind=? AND name=?" in step for step in steps), steps
    found = database.read_blocking(lambda c: find_names(c, many, names))
    assert set(found.keys) == {("param", "n"), ("param", "rare")}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_range_of_the_value_that_is_sorted_by_is_a_range_of_its_index(database, many):
    plan = planned(database, many, "param.n > 100 and param.n < 390")
    assert any("ix_run_value_num (key_id=? AND num>? AND num<?)" in step for step in plan), plan


def test_no_more_than_a_page_can_show_is_counted(database, many, monkeypatch):
    monkeypatch.setattr(run_plan, "COUNT_MOST", 100)
    for text, counted in (
        ("param.common != 0", (100, False)),
        ("param.common = 1", (200, True)),
        ("param.rare = 1", (4, True)),
        ("param.n < 0", (0, True)),
    ):
        selection = Selection(project_key=many, filter=parse_filter(text), now=NOW)
        assert database.read_blocking(partial(count, selection=selection)) == counted


@pytest.mark.parametrize(
    ("text", "key", "count"),
    [
        ("", None, 1),
        ("", ("param", "n"), 2),
        ("param.common = 1", ("param", "n"), 4),
        ("param.rare = 1 and param.common = 1", ("param", "n"), 3),
    ],
)
def test_a_page_takes_few_statements(database, many, text, key, count):
    """Each is a way to the server and back: names, the page; of a filter, counts and a walk's end.

    What is driven to is the whole list, so where the page has all of it, no later phase is asked for.
    """
    selection = Selection(project_key=many, filter=parse_filter(text) if text else None, now=NOW)
    order = Order(key=key, descending=True)

    def read(connection):
        return statements_of(connection, lambda: run_order.read_page(connection, selection, order, None, 50))

    assert len(database.read_blocking(read)) == count


def asked(database, project, text, drives, *, limit=3):
    """A page of the newest, and how many statements it took."""
    selection = Selection(project_key=project, filter=parse_filter(text), now=NOW)
    pages = []

    def read(connection):
        order = Order(key=None, descending=True)
        page = partial(run_order.read_page, connection, selection, order, None, limit, recent=drives)
        return statements_of(connection, lambda: pages.append(page()))

    return len(database.read_blocking(read)), [one.seq for one in pages[0].runs]


def test_who_asks_again_for_what_was_driven_to_waits_for_no_plan(database, many):
    now = [0.0]
    drives = RecentDrives(clock=lambda: now[0])
    text = "param.rare = 1 and param.common = 1"
    assert [asked(database, many, text, drives) for _ in range(2)] == [(3, [302, 202, 102]), (2, [302, 202, 102])]
    assert asked(database, many, text, drives, limit=2) == (3, [302, 202])
    now[0] = REMEMBERED_S
    assert asked(database, many, text, drives)[0] == 3


def test_a_plan_is_made_anew_where_a_name_has_come(database, fresh):
    records = [RunRecord(run_id="", started_at=START, parameters={"rare": number == 1}) for number in range(400)]
    drives, text = RecentDrives(), 'param.rare = 1 and not tag = "bad"'
    project = fresh(records)
    assert asked(database, project, text, drives) == (3, [2])
    asyncio.run(database.write(partial(_tag, project=project)))
    assert asked(database, project, text, drives) == (3, [])


def _tag(connection, project):
    key = connection.scalar(select(run.c.id).where(run.c.project_id == project, run.c.seq == 2))
    runs.add_tags(connection, project, key, ["bad"])


def test_the_oldest_drives_are_forgotten(monkeypatch):
    monkeypatch.setattr(run_drives, "MOST_REMEMBERED", 2)
    drives, way = RecentDrives(), run_plan.Way()
    lists = [Listed(project_key=number, filter=None, sorted_by=None, descending=True, limit=50) for number in range(3)]
    for one in lists:
        drives.note(one, way)
    assert [drives.way_of(one) for one in lists] == [None, way, way]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("text", "begin"), [("", "SELECT run.id"), ("param.rare = 1 and param.common = 1", "WITH driven")]
)
def test_a_page_is_prepared_and_planned_for_its_values(database, many, text, begin):
    """A plan for any values takes each project for one of average size, and may sort all runs of a large one."""
    selection = Selection(project_key=many, filter=parse_filter(text) if text else None, now=NOW)

    def read(connection):
        run_order.read_page(connection, selection, Order(key=None, descending=True), None, 50)
        plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE starts_with(statement, %s)"
        return connection.exec_driver_sql(plans, (begin,)).all()

    for _ in range(20):
        found = database.read_blocking(read)
    [(generic, custom)] = found
    assert generic == 0
    assert custom > 10


@pytest.mark.parametrize(("conditions", "expected"), [(run_plan.LARGEST_KEPT, "CACHE_HIT"), (50, "CACHING_DISABLED")])
def test_statements_of_large_filters_are_not_kept(database, many, conditions, expected):
    """Hundreds of them would take hundreds of megabytes."""
    text = " or ".join(f"param.n = {number}" for number in range(conditions))
    selection = Selection(project_key=many, filter=parse_filter(text), now=NOW)
    kept = []

    def read(connection):
        page = partial(run_order.read_page, connection, selection, Order(key=None, descending=True), None, 50)
        page()
        with listening(connection, lambda _, context: kept.append(context.cache_hit.name)):
            assert len(page().runs) == conditions

    database.read_blocking(read)
    assert kept[-1] == expected
