"""What counts as a change of a notebook, and which cell became which."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from nbdime.diffing import notebooks as nbdime_notebooks

from committer.notebook_diff import MAX_CELLS, diff_notebooks
from dotscience.errors import NotebookError, TooDifferent


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
    assert changes(before, after) == [("added", None, 1), ("changed", 1, 2)]


def test_without_ids_a_line_that_was_edited_is_the_same_cell():
    before, after = [cell("a = fit(x, rate=0.1)"), cell("b")], [cell("a = fit(x, rate=0.2)"), cell("b")]
    assert changes(before, after) == [("changed", 0, 0)]


def test_ids_that_were_made_anew_are_no_change():
    assert changes([cell("a", "1"), cell("b", "2")], [cell("a", "3"), cell("b", "4")]) == []


def test_a_cell_that_moved_is_removed_and_added():
    one, two, three = cell("a", "1"), cell("b", "2"), cell("c", "3")
    assert sorted(changes([one, two, three], [two, three, one])) == [("added", None, 2), ("removed", 0, None)]


def test_all_gone_and_all_new():
    assert changes([cell("a", "1"), cell("b", "2")], []) == [("removed", 0, None), ("removed", 1, None)]
    assert changes([], [cell("a", "1")]) == [("added", None, 0)]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"cells": 5}', b'{"cells": [5]}', b"[" * 100_000])
def test_what_is_no_notebook(data):
    with pytest.raises(NotebookError):
        diff_notebooks(notebook(), data)


@pytest.mark.parametrize("cells", [{}, "", {"0": cell("a")}])
def test_cells_that_are_no_list(cells):
    with pytest.raises(NotebookError):
        diff_notebooks(notebook(), json.dumps({"cells": cells}).encode())


def test_odd_ids_are_none():
    for odd in ([1], {}, 5, True):
        assert changes([cell("a") | {"id": odd}], [cell("b") | {"id": odd}, cell("a") | {"id": odd}]) == [
            ("added", None, 0)
        ]


def test_ids_that_several_cells_have():
    before, after = [cell(text, "x") for text in "abc"], [cell(text, "x") for text in "abcd"]
    assert changes(before, after) == [("added", None, 3)]


def test_half_of_a_surrogate_pair_is_replaced():
    (change,) = diff_notebooks(notebook(cell("a", "x")), notebook(cell("\ud800", "x") | {"cell_type": "\udfff"}))
    assert (change.cell_type, change.source) == ("?", ["@@ -1 +1 @@", "-a", "+?"])


def test_metadata_is_not_looked_into_however_deep():
    metadata = {}
    for _ in range(400):
        metadata = {"a": metadata}
    assert changes([cell("a", "x")], [cell("a", "x") | {"metadata": metadata}]) == []


def test_as_many_cells_as_are_compared():
    cells = [cell(str(number), str(number)) for number in range(MAX_CELLS)]
    edited = [*cells[:5_000], cell("edited", "5000"), *cells[5_001:]]
    assert changes(cells, edited) == [("changed", 5_000, 5_000)]
    with pytest.raises(TooDifferent, match="10,001 cells"):
        changes(cells, [*cells, cell("one more")])


def test_many_cells_that_were_all_edited_in_place():
    before = [cell(str(number), str(number)) for number in range(5_000)]
    after = [cell(f"{number} edited", str(number)) for number in range(5_000)]
    assert changes(before, after) == [("changed", number, number) for number in range(5_000)]


LINES = [str(number) for number in range(100)]
COSTLY = {
    "lines": ([cell("\n".join(LINES * 1_000), "x")], [cell("\n".join(sorted(LINES * 1_000)), "x")]),
    "words": ([cell("a b " * 2_000)], [cell("a " * 2_000 + "b " * 2_000)]),
    "cells": ([cell("") for _ in range(5_000)], [cell("a") for _ in range(5_000)]),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_what_is_expensive_to_compare_is_refused(kind):
    with pytest.raises(TooDifferent):
        changes(*COSTLY[kind])


def test_what_nbdime_is_set_to_ignore_elsewhere_counts_here():
    nbdime_notebooks.set_notebook_diff_targets(sources=False, outputs=False)
    try:
        assert changes([cell("a", "x")], [cell("b", "x")]) == [("changed", 0, 0)]
    finally:
        nbdime_notebooks.reset_notebook_differ()


def test_several_threads_compare_at_a_time():
    def compare(number):
        before = [cell(f"a = {one}\nb = {one}") for one in range(number)]
        after = [cell(f"a = {one}\nb = {one}\nc") for one in range(number)]
        return changes(before, after)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(compare, range(40)))
    assert found == [[("changed", one, one) for one in range(number)] for number in range(40)]
