"""Which runs a search for words finds, against the obvious way to find out, on both databases."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hub_rows import START, add_project, add_runs, new_run

from dotscience.record import FileRef, RunRecord
from hub_server.domain.filters import FilterError, parse_filter
from hub_server.domain.words import words_in, words_of_run
from hub_server.store import run_edits, run_order, runs, search
from hub_server.store.run_edits import Edit
from hub_server.store.run_order import Order
from hub_server.store.run_plan import Selection

NUMBERS = itertools.count(1)
TEXTS = st.sampled_from(
    [
        "trained a Net",
        "née Übung",
        "batch-norm v2",
        "a/b_c.csv",
        "\ufb01ne \uff12",
        "",
        "日本語 テスト",
        "x'y\"z",
        "AND OR NOT p1",
        "words:*",
    ]
)
WANTED = st.sampled_from(
    ["net", "trained net", "ne", "ubung", "batch", "v2", "csv", "fine 2", "日本", "x'y", "and or", 'p1"', "wor", "zzz"]
)


def write(database, work):
    return asyncio.run(database.write(work))


def find(database, project, text, extra=""):
    wanted = parse_filter(f'text ~ "{text.replace(chr(92), "").replace(chr(34), chr(92) + chr(34))}"{extra}')
    selection = Selection(project_key=project, filter=wanted, now=START + timedelta(hours=1))
    ways = [
        database.read_blocking(
            lambda c, walk=walk: run_order.read_page(
                c, selection, Order(key=None, descending=True), None, 200, may_walk=walk
            )
        )
        for walk in (True, False)
    ]
    one, other = ({found.id for found in way.runs} for way in ways)
    assert one == other
    return one


def record(number, **fields):
    return RunRecord(run_id=str(UUID(int=number)), started_at=START, **fields)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(TEXTS, min_size=1, max_size=6), wanted=WANTED)
def test_a_search_finds_what_has_every_word(database, texts, wanted):
    records = [record(number, description=text) for number, text in enumerate(texts, 1)]
    number = next(NUMBERS)
    project, dot = write(database, lambda c: add_project(c, number))
    write(database, lambda c: add_runs(c, project, dot, [new_run(one) for one in records], commit=number % 256))
    *whole, begun = words_in(wanted)
    has = {one.run_id: words_of_run(one, "", "", []) for one in records}
    expected = {
        run_id
        for run_id, words in has.items()
        if set(whole) <= set(words) and any(word.startswith(begun) for word in words)
    }
    assert find(database, project, wanted) == expected


def test_what_people_say_is_found_as_long_as_they_say_it(database):
    project, dot = write(database, add_project)
    inputs = [FileRef(path="data/Customers.csv")]
    one = record(1, description="first", error="ValueError: shapes", workload_file="train.py", inputs=inputs)
    write(database, lambda c: add_runs(c, project, dot, [new_run(one), new_run(record(2, description="second"))]))
    for text in ("first", "valueerror shapes", "train py", "customers", "FIRST customers csv"):
        assert find(database, project, text) == {one.run_id}, text

    def say(new):
        def work(connection):
            edited = run_edits.find_edited(connection, project, one.run_id)
            run_edits.store_edit(connection, project, one.run_id, edited, new, account_id="a", now=START)

        write(database, work)

    say(Edit(version=1, name="Lucky", notes="the café run", tags=["best"]))
    for text in ("lucky", "cafe", "best first"):
        assert find(database, project, text) == {one.run_id}, text
    say(Edit(version=2, name="", notes="", tags=["other"]))
    assert find(database, project, "lucky") == find(database, project, "best") == set()
    assert find(database, project, "other", ' and status = "error"') == {one.run_id}


def test_a_run_in_the_trash_is_not_found_until_it_is_back(database):
    project, dot = write(database, add_project)
    one = record(1, description="precious")
    write(database, lambda c: add_runs(c, project, dot, [new_run(one)]))
    key = database.read_blocking(lambda c: run_edits.find_edited(c, project, one.run_id)).key
    write(database, lambda c: runs.trash_run(c, project, key, START))
    assert find(database, project, "precious") == set()
    write(database, lambda c: runs.restore_run(c, project, key, []))
    assert find(database, project, "precious") == {one.run_id}
    for _ in range(2):
        write(database, search.rebuild)
        assert find(database, project, "precious") == {one.run_id}


def test_a_search_stays_within_its_project(database):
    (mine, my_dot), (theirs, their_dot) = (write(database, lambda c, n=n: add_project(c, n)) for n in (1, 2))
    write(database, lambda c: add_runs(c, mine, my_dot, [new_run(record(1, description="same words"))]))
    write(database, lambda c: add_runs(c, theirs, their_dot, [new_run(record(2, description="same words"))], commit=2))
    assert find(database, mine, "same") == {str(UUID(int=1))}
    assert find(database, theirs, "words") == {str(UUID(int=2))}


@pytest.mark.parametrize("text", ['text = "a"', 'text in ("a")', "text exists", 'text ~ "!?"', 'text != "a"'])
def test_what_a_search_cannot_be(text):
    with pytest.raises(FilterError, match=r"searched with|no word"):
        parse_filter(text)
