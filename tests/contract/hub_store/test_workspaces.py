"""Workspaces as the original's API asks for them."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select
from support.hub_rows import START, add_project, add_runs, new_run

from dotscience.record import ModelArtefact, RunRecord
from hub_server.domain.types import AccountInfo, CommitInfo
from hub_server.services.workspace_heads import CLIENT, Volume, find_head
from hub_server.store import accounts, commits, projects, runs, workspaces
from hub_server.store.projects import NewProject, find_dot
from hub_server.store.schema import commit as commit_


@pytest.fixture
def do(database):
    """Run work that may write."""
    return lambda work: asyncio.run(database.write(work))


def project(connection, project_id, name="p", dot_id=None):
    account = accounts.ensure_administrator(connection, AccountInfo("a", "owner"), "admin", START)
    new = NewProject(id=project_id, name=name, dot_id=dot_id, created_by=account.id, created_at=START)
    projects.add_project(connection, new)


def a_run(number, *names):
    made = [ModelArtefact(name=name, type="sklearn-model") for name in names]
    return new_run(RunRecord(run_id=str(UUID(int=number)), started_at=START, models=made))


def commit(connection, dot_id, number, *, branch="main", client=CLIENT):
    info = CommitInfo(
        id=(bytes([number]) * 32).hex(),
        parents=[],
        branch=branch,
        created_at=START,
        message=f"m{number}",
        author="owner",
        client=client,
        consistency="atomic",
        unstable=[],
        files=1,
        size=2,
        new_bytes=3,
        runs=[],
    )
    new = commits.NewCommit(
        dot_id=dot_id,
        hash=bytes([number]) * 32,
        branch=branch,
        root=bytes([100 + number]) * 32,
        runs=0,
        doc=msgspec.json.encode(info),
        pushed_at=START,
    )
    commits.add_commit(connection, new)
    commits.move_head(connection, dot_id, branch, new.hash, START)


def test_projects_by_the_begin_of_their_id_and_by_name(do):
    ids = ["01234567-a", "01234567-b", "012345_7-c", "0123%567-d"]
    for number, project_id in enumerate(ids):
        do(lambda c, number=number, project_id=project_id: project(c, project_id, f"n{number}"))
    find = lambda prefix: [one.ref.id for one in do(lambda c: workspaces.projects_by_prefix(c, prefix))]  # noqa: E731
    assert find("01234567") == ids[:2]
    assert find("012345_7") == ids[2:3]
    assert find("%") == find("f") == []
    (named,) = do(lambda c: workspaces.projects_by_name(c, "n1"))
    assert (named.ref.id, named.name, named.dot) == (ids[1], "n1", None)


def test_a_dot_is_made_once(do):
    do(lambda c: project(c, "p1"))
    (bare,) = do(lambda c: workspaces.projects_by_name(c, "p"))
    first = do(lambda c: workspaces.ensure_dot(c, bare.ref, str(UUID(int=1)), START))
    again = do(lambda c: workspaces.ensure_dot(c, bare.ref, str(UUID(int=2)), START))
    assert first == again == do(lambda c: find_dot(c, str(UUID(int=1))))
    (named,) = do(lambda c: workspaces.projects_by_name(c, "p"))
    assert named.dot == first


def test_a_log_has_the_last_commits_of_one_branch_with_their_runs(do):
    _, dot = do(add_project)
    key = do(lambda c: workspaces.projects_by_name(c, "p"))[0].ref.key
    for number in (1, 2, 3):
        do(lambda c, number=number: commit(c, dot, number))
    do(lambda c: commit(c, dot, 4, branch="other"))
    do(lambda c: add_runs_to(c, key, dot, 2, [a_run(1), a_run(2)]))
    log = do(lambda c: workspaces.read_log(c, dot, "main", 2))
    assert [(info.message, [UUID(run.run_id).int for run in runs]) for info, runs in log] == [
        ("m2", [1, 2]),
        ("m3", []),
    ]
    assert do(lambda c: workspaces.read_log(c, dot, "none", 2)) == []
    assert do(lambda c: workspaces.count_commits(c, [dot, str(UUID(int=9))])) == {dot: 4}
    assert do(lambda c: workspaces.count_commits(c, [])) == {}


def add_runs_to(connection, key, dot, number, new):
    """Store runs in a commit that is there."""
    found = connection.scalar(
        select(commit_.c.id).where(commit_.c.dot_id == dot, commit_.c.hash == bytes([number]) * 32)
    )
    runs.add_runs(connection, runs.Ingest(project_key=key, commit_key=found, commit_id="00", now=START), new)


def test_models_newest_first(do):
    first, first_dot = do(add_project)
    second, second_dot = do(lambda c: add_project(c, 2))
    do(lambda c: add_runs(c, first, first_dot, [a_run(1, "a"), a_run(2, "a", "b")]))
    do(lambda c: add_runs(c, second, second_dot, [a_run(3, "a")], commit=2))
    projects = do(workspaces.projects_with_models)
    assert sorted(project_id for _, project_id in projects) == ["p1", "p2"]
    rows = do(lambda c: workspaces.newest_models(c, [key for key, _ in projects], 3))
    assert (rows[0].project_id, rows[0].name, rows[0].number) == ("p2", "a", 1)
    assert {(row.project_id, row.name, row.number) for row in rows[1:]} == {("p1", "a", 2), ("p1", "b", 1)}
    for row in rows:
        assert do(lambda c, row=row: workspaces.find_model(c, row.key, row.number)) == row
    assert do(lambda c: workspaces.find_model(c, rows[0].key, 9)) is None


def test_models_are_chosen_among_those_of_the_projects_before_they_are_cut(do):
    first, first_dot = do(add_project)
    second, second_dot = do(lambda c: add_project(c, 2))
    do(lambda c: add_runs(c, first, first_dot, [a_run(1, "a")]))
    do(lambda c: add_runs(c, second, second_dot, [a_run(number, "b") for number in range(2, 8)], commit=2))
    mine = [key for key, project_id in do(workspaces.projects_with_models) if project_id == "p1"]
    assert [row.name for row in do(lambda c: workspaces.newest_models(c, mine, 2))] == ["a"]


def test_heads(do):
    _, dot = do(add_project)
    row = do(lambda c: find_dot(c, dot))
    head = lambda branch="": do(lambda c: find_head(c, Volume(row, branch)))  # noqa: E731
    assert (head().branch, head().begun, head().expected_parent) == ("main", False, None)
    assert head("other") is None
    do(lambda c: commit(c, dot, 1))
    assert (head().branch, head().expected_parent, head().root) == ("main", bytes([1]) * 32, bytes([101]) * 32)
    do(lambda c: commit(c, dot, 2, client="dotscience-committer/1"))
    assert (head().branch, head().begun, head().commit) == ("remote", False, bytes([2]) * 32)
    assert (head().expected_parent, head().info.files) == (None, 1)
    do(lambda c: commit(c, dot, 3, branch="remote"))
    assert (head().branch, head().expected_parent) == ("remote", bytes([3]) * 32)
    assert (head("main").branch, head("main").commit) == ("main", bytes([2]) * 32)
