"""What counts as a change of a notebook, and which cell became which."""

from __future__ import annotations

import json

import pytest

from committer.notebook_diff import diff_notebooks
from dotscience.errors import NotebookError


def cell(source, key=None, outputs=(), kind="code", count=1):
    made = {"cell_type": kind, "source": source, "metadata": {}}
    if kind == "code":
        made |= {"outputs": list(outputs), "execution_count": count}
    return made if key is None else made | {"id": key}


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def notebook(*cells):
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def changes(before, after):
    return [(one.kind, one.before, one.after) for one in diff_notebooks(notebook(*before), notebook(*after))]


def test_layout_counts_and_metadata_are_no_change():
    before = cell(["a = 1\n", "b"], "x", [stream(["1\n", "2"])], count=1)
    after = cell("a = 1\nb", "x", [stream("1\n2")], count=7) | {"metadata": {"execution": {"x": "y"}}}
    assert changes([before], [after]) == []


def test_a_source_that_differs_shows_its_lines():
    (change,) = diff_notebooks(notebook(cell("a = 1\nb", "x")), notebook(cell("a = 2\nb", "x")))
    assert change.source == ["@@ -1,2 +1,2 @@", "-a = 1", "+a = 2", " b"]
    assert (change.kind, change.cell_type, change.outputs) == ("changed", "code", False)


def test_an_output_that_differs():
    (change,) = diff_notebooks(notebook(cell("a", "x", [stream("1")])), notebook(cell("a", "x", [stream("2")])))
    assert (change.kind, change.source, change.outputs) == ("changed", [], True)


def test_cells_are_found_by_their_ids():
    before = [cell("a", "1"), cell("b", "2"), cell("c", "3")]
    after = [cell("new", "4"), cell("a", "1"), cell("totally different", "3")]
    assert changes(before, after) == [("added", None, 0), ("removed", 1, None), ("changed", 2, 2)]


def test_without_ids_by_their_text():
    before = [cell("import x"), cell("def f():\n    return 1\n\nf()"), cell("# end", kind="markdown")]
    after = [cell("import x"), cell("y = 0"), cell("def f():\n    return 2\n\nf()"), cell("# end", kind="markdown")]
    kinds = [kind for kind, _, _ in changes(before, after)]
    assert sorted(kinds) in (["added", "changed"], ["added", "added", "removed"])


def test_all_gone_and_all_new():
    assert changes([cell("a", "1"), cell("b", "2")], []) == [("removed", 0, None), ("removed", 1, None)]
    assert changes([], [cell("a", "1")]) == [("added", None, 0)]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"cells": 5}', b'{"cells": [5]}', b"[" * 100_000])
def test_what_is_no_notebook(data):
    with pytest.raises(NotebookError):
        diff_notebooks(notebook(), data)
