"""What differs between commits, as the API tells it."""

from __future__ import annotations

import json

import pytest


def notebook(*sources):
    cells = [
        {"id": f"c{number}", "cell_type": "code", "source": source, "outputs": [], "metadata": {}}
        for number, source in enumerate(sources)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


@pytest.fixture
def two(project, new_run):
    """Two commits, one after the other."""
    before = {"same": b"1", "gone": b"1", "a.txt": b"one\ntwo\n", "n.ipynb": notebook("x = 1", "y = 2")}
    after = {"same": b"1", "new": b"\0\1", "a.txt": b"one\n2\n", "n.ipynb": notebook("x = 1", "y = 3")}
    return project.push(new_run(), files=before).commit, project.push(new_run(), files=after).commit


def diff(project, commit, query=""):
    return project.get(f"/commits/{commit}/diff{query}")


def test_what_differs_from_the_parent_is_listed_by_path(project, two):
    before, after = two
    found = diff(project, after)
    assert (found["before"], found["after"], found["is_whole"]) == (before, after, True)
    assert [(one["path"], one["change"]) for one in found["changes"]] == [
        ("a.txt", "changed"),
        ("gone", "removed"),
        ("n.ipynb", "changed"),
        ("new", "added"),
    ]
    assert diff(project, before)["before"] is None
    assert {one["change"] for one in diff(project, before)["changes"]} == {"added"}
    backwards = diff(project, before, f"?against={after}")
    assert [one["change"] for one in backwards["changes"]] == ["changed", "added", "changed", "removed"]
    assert diff(project, after, f"?against={after}")["changes"] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a.txt", "text"), ("new", "binary"), ("same", "same"), ("gone", "text"), ("n.ipynb", "notebook")],
)
def test_a_file_is_compared_as_what_it_is(project, two, path, kind):
    assert diff(project, two[1], f"/file?path={path}")["kind"] == kind


def test_lines_and_cells_say_what_became_what(project, two):
    text = diff(project, two[1], "/file?path=a.txt")
    assert text["lines"] == ["@@ -1,2 +1,2 @@", " one", "-two", "+2"]
    (cell,) = diff(project, two[1], "/file?path=n.ipynb")["cells"]
    assert (cell["kind"], cell["before"], cell["after"], cell["outputs"]) == ("changed", 1, 1, False)
    assert cell["lines"][1:] == ["-y = 2", "+y = 3"]


def test_what_is_expensive_to_compare_is_only_said_to_differ(project, new_run):
    project.push(new_run(), files={"large": b"a" * 300_000, "many": b"a\nb\n" * 3_000, "odd.ipynb": b"[" * 100_000})
    files = {"large": b"b" * 300_000, "many": b"b\na\n" * 3_000, "odd.ipynb": b"{" * 100_000}
    commit = project.push(new_run(), files=files).commit
    assert diff(project, commit, "/file?path=large")["kind"] == "too-large"
    assert diff(project, commit, "/file?path=many")["kind"] == "too-large"
    assert diff(project, commit, "/file?path=odd.ipynb")["kind"] == "text", "a notebook that is none is a text"


def test_a_notebook_that_is_expensive_to_compare_is_only_said_to_differ(project, new_run):
    lines = [str(number) for number in range(100)] * 1_000
    project.push(new_run(), files={"n.ipynb": notebook("\n".join(lines))})
    commit = project.push(new_run(), files={"n.ipynb": notebook("\n".join(sorted(lines)))}).commit
    found = diff(project, commit, "/file?path=n.ipynb")
    assert (found["kind"], found["cells"], found["lines"]) == ("too-large", [], [])


def test_a_notebook_that_no_program_wrote(project, new_run):
    odd = {"id": [1], "cell_type": 5, "source": "\ud800", "outputs": None}
    project.push(new_run(), files={"n.ipynb": notebook("x = 1")})
    commit = project.push(new_run(), files={"n.ipynb": json.dumps({"cells": [odd]}).encode()}).commit
    cells = diff(project, commit, "/file?path=n.ipynb")["cells"]
    assert sorted((one["kind"], one["cell_type"]) for one in cells) == [("added", "5"), ("removed", "code")]


def test_more_changes_than_anybody_reads_are_cut(project, new_run):
    project.push(new_run())
    commit = project.push(new_run(), files={f"f{number}": b"1" for number in range(2_001)}).commit
    found = diff(project, commit)
    assert (len(found["changes"]), found["is_whole"]) == (2_000, False)


@pytest.mark.parametrize("query", ["?against=nope", f"?against={'0' * 64}", "/file?path=no", "/file?path=../x"])
def test_what_is_not_there_is_not_found(hub, project, two, query):
    answer = hub.request("GET", f"{project.base}/commits/{two[1]}/diff{query}", token=project.token)
    assert answer.status_code == 404


def test_a_commit_of_another_project_is_not_compared(hub, project, two, new_run):
    foreign = hub.new_project().push(new_run(), files={"secret": b"1"}).commit
    answer = hub.request("GET", f"{project.base}/commits/{two[1]}/diff?against={foreign}", token=project.token)
    assert answer.status_code == 404
