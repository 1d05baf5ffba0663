"""Lists of commits, on every database."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.hub_rows import START, add_project

from hub_server.store import commits


@pytest.fixture
def project(database):
    """The key of a project with five commits, the third of which has a document of 100 characters and more."""

    def fill(connection):
        key, dot = add_project(connection, 1)
        for number in range(5):
            doc = json.dumps({"n": number, "message": "x" * (100 if number == 2 else 0)}).encode()
            name = bytes([number]) * 32
            made = commits.NewCommit(dot_id=dot, hash=name, branch="main", root=name, runs=0, doc=doc, pushed_at=START)
            commits.add_commit(connection, made)
        return key

    return asyncio.run(database.write(fill))


def pages(database, project, limit):
    """The numbers of the commits, page by page."""
    position, found = None, []
    while not found or position is not None:
        page = database.read_blocking(lambda c: commits.list_commits(c, project, after=position, limit=limit))  # noqa: B023 - called at once
        found.append([json.loads(bytes(one))["n"] for one in page.items])
        position = page.position
    return found


def test_commits_are_listed_from_the_newest_on_each_once(database, project):
    assert pages(database, project, 2) == [[4, 3], [2, 1], [0]]
    assert pages(database, project, 5) == [[4, 3, 2, 1, 0]]


def test_a_page_has_fewer_commits_where_they_are_large_but_one(database, project, monkeypatch):
    monkeypatch.setattr(commits, "MAX_PAGE_CHARS", 80)
    assert pages(database, project, 5) == [[4, 3], [2], [1, 0]]
