"""Which run made what another one read, against the obvious way to find out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from sqlalchemy import literal, select
from support.hub_rows import START, add_project, add_runs, new_run

from committer.storage.codec import digest
from dotscience.record import FileRef, RunRecord
from hub_server.store import provenance
from hub_server.store.provenance import Limits, find_run_key

ALL = Limits(depth=100, runs=1000, seconds=60)


class Run(Struct, frozen=True):
    """A run for these tests; files are (path, content) pairs."""

    project: int
    minute: int
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()


def content(name, turn):
    """Another one in each example: runs of one hub know each other. "" is the empty file."""
    return digest(f"{turn} {name}".encode() if name else b"").hex()


@pytest.fixture
def fresh(database):
    """Put runs into new projects; the projects' keys."""
    made = []

    def put(wanted):
        made.append(None)
        return asyncio.run(database.write(lambda c: _fill(c, wanted, len(made))))

    return put


def _fill(connection, wanted, turn):
    keys = {}
    for project in {one.project for one in wanted}:
        keys[project], dot = add_project(connection, turn * 100 + project)
        mine = [_new(number, one, turn) for number, one in enumerate(wanted) if one.project == project]
        add_runs(connection, keys[project], dot, mine)
    return keys


def _new(number, one, turn):
    record = RunRecord(
        run_id=str(UUID(int=number)),
        description=f"run {number}",
        inputs=[FileRef(path=path, content_hash=content(name, turn)) for path, name in one.inputs],
        outputs=[FileRef(path=path, content_hash=content(name, turn)) for path, name in one.outputs],
    )
    return new_run(record, START + timedelta(minutes=one.minute))


def trace(database, keys, wanted, number, direction, limits=ALL):
    def search(connection):
        key = find_run_key(connection, keys[wanted[number].project], str(UUID(int=number)))
        return provenance.trace(connection, [key], direction, limits)

    return database.read_blocking(search)


def numbers(ids):
    return [UUID(one).int for one in ids]


def edges(found):
    return {(UUID(one.maker).int, UUID(one.reader).int, one.path, one.made_as) for one in found.edges}


def expected_edges(wanted):
    """All (maker, reader, path, made_as)."""
    return {
        (maker, reader, path, made_as)
        for reader, one in enumerate(wanted)
        for path, name in dict(one.inputs).items()
        for maker, made_as in [expected_maker(wanted, reader, path, name)]
        if maker is not None
    }


def expected_maker(wanted, reader, path, name):
    one = wanted[reader]
    candidates = [
        (other.project == one.project, made_as == path, other.minute, number, made_as)
        for number, other in enumerate(wanted)
        if number != reader and other.minute <= one.minute and name
        for made_as, written in dict(other.outputs).items()
        if written == name
    ]
    # Equal in all that decides: the one with the larger key, which is not known here; tests make that impossible.
    *_, maker, made_as = max(candidates, default=(None, None))
    return maker, made_as


FILES = st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "x", "y", "z"]), max_size=2)
RUNS = st.lists(
    st.builds(
        Run,
        st.integers(0, 1),
        st.just(0),
        FILES.map(lambda files: tuple(files.items())),
        FILES.map(lambda files: tuple(files.items())),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=RUNS, order=st.randoms())
def test_traces_are_those_of_the_whole_graph(database, fresh, wanted, order):
    minutes = list(range(len(wanted)))
    order.shuffle(minutes)
    wanted = [Run(one.project, minute, one.inputs, one.outputs) for one, minute in zip(wanted, minutes, strict=True)]
    # One run may write the same content at two paths; which of them counts is open where neither is the reader's.
    wanted = [
        Run(one.project, one.minute, one.inputs, tuple({name: (path, name) for path, name in one.outputs}.values()))
        for one in wanted
    ]
    keys = fresh(wanted)
    graph = expected_edges(wanted)
    for start in range(len(wanted)):
        for direction, near, far in (("upstream", 1, 0), ("downstream", 0, 1)):
            found = trace(database, keys, wanted, start, direction)
            reached, pending = {start}, [start]
            while pending:
                at = pending.pop()
                for edge in graph:
                    if edge[near] == at and edge[far] not in reached:
                        reached.add(edge[far])
                        pending.append(edge[far])
            assert set(numbers(one.id for one in found.runs)) == reached
            assert edges(found) == {edge for edge in graph if edge[near] in reached}
            assert found.more == []
    everything = trace(database, keys, wanted, 0, "upstream")
    assert {(UUID(one.run).int, one.path) for one in everything.unclaimed} == {
        (reader, path)
        for reader in numbers(one.id for one in everything.runs)
        for path in dict(wanted[reader].inputs)
        if not any(edge[1:3] == (reader, path) for edge in graph)
    }


CHAIN = [Run(0, number, (("in", f"c{number}"),), (("out", f"c{number + 1}"),)) for number in range(30)]


def test_a_trace_ends_where_it_was_told_to_and_says_so(database, fresh):
    keys = fresh(CHAIN)
    found = trace(database, keys, CHAIN, 29, "upstream", Limits(depth=3, runs=100, seconds=60))
    assert numbers(one.id for one in found.runs) == [29, 28, 27, 26]
    assert numbers(found.more) == [26]
    found = trace(database, keys, CHAIN, 0, "downstream", Limits(depth=100, runs=5, seconds=60))
    assert numbers(one.id for one in found.runs) == [0, 1, 2, 3, 4]
    assert numbers(found.more) == [4]
    found = trace(database, keys, CHAIN, 29, "upstream", Limits(depth=100, runs=100, seconds=0))
    assert numbers(found.more) == [29]


def test_where_too_many_read_the_same_the_answer_says_that_there_are_more(database, fresh, monkeypatch):
    monkeypatch.setattr(provenance, "MOST_READERS", 2)
    wanted = [Run(0, 0, (), (("out", "x"),)), *(Run(0, minute, (("in", "x"),)) for minute in (1, 2, 3))]
    keys = fresh(wanted)
    found = trace(database, keys, wanted, 0, "downstream")
    assert numbers(one.id for one in found.runs) == [0, 1, 2]
    assert numbers(found.more) == [0]


def test_who_sees_one_project_learns_nothing_of_another(database, fresh):
    wanted = [Run(0, 0, (), (("secret", "x"),)), Run(1, 1, (("in", "x"),), (("out", "y"),)), Run(0, 2, (("in", "y"),))]
    keys = fresh(wanted)
    assert edges(trace(database, keys, wanted, 1, "upstream")) == {(0, 1, "in", "secret")}
    alone = trace(
        database, keys, wanted, 1, "upstream", Limits(depth=9, runs=9, seconds=60, within=select(literal(keys[1])))
    )
    assert alone.edges == []
    assert [one.path for one in alone.unclaimed] == ["in"]
    alone = trace(
        database, keys, wanted, 1, "downstream", Limits(depth=9, runs=9, seconds=60, within=select(literal(keys[1])))
    )
    assert numbers(one.id for one in alone.runs) == [1]


def test_runs_that_wrote_what_they_read_have_no_circle(database, fresh):
    wanted = [Run(0, 0, (("a", "x"),), (("a", "x"),)), Run(0, 0, (("a", "x"),), (("a", "x"),))]
    keys = fresh(wanted)
    for start in (0, 1):
        for direction in ("upstream", "downstream"):
            found = trace(database, keys, wanted, start, direction)
            assert sorted(numbers(one.id for one in found.runs)) == [0, 1]


def test_a_run_is_shown_with_what_names_it(database, fresh):
    keys = fresh(CHAIN)
    (only,) = trace(database, keys, CHAIN, 3, "upstream", Limits(depth=1, runs=1, seconds=60)).runs
    assert (only.title, only.number, only.status) == ("run 3", 4, "success")
