"""Parameters are put where papermill would put them, with the types that they read as."""

from __future__ import annotations

import nbformat
import pytest

from runner.local.notebook import inject_parameters


def notebook(*cells):
    made = [nbformat.v4.new_code_cell(source, metadata={"tags": tags}) for source, tags in cells]
    return nbformat.v4.new_notebook(cells=made)


def test_they_follow_the_cell_of_defaults():
    made = notebook(("import x", []), ("n = 1", ["parameters"]), ("use(n)", []))
    inject_parameters(made, {"n": "2"})
    assert [cell.source for cell in made.cells] == ["import x", "n = 1", "# Parameters\nn = 2", "use(n)"]


def test_without_defaults_they_come_first():
    made = notebook(("use(n)", []))
    inject_parameters(made, {"n": "2"})
    assert [cell.source for cell in made.cells] == ["# Parameters\nn = 2", "use(n)"]


def test_a_second_execution_replaces_those_of_the_first():
    made = notebook(("use(n)", []))
    inject_parameters(made, {"n": "2"})
    inject_parameters(made, {"n": "3"})
    assert [cell.source for cell in made.cells] == ["# Parameters\nn = 3", "use(n)"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("1e-3", 0.001),
        ("True", True),
        ("None", None),
        ("[1, 'a']", [1, "a"]),
        ("adam", "adam"),
        ("'adam'", "adam"),
        ("__import__('os').system('x')", "__import__('os').system('x')"),
        ("", ""),
        ('say "hi"\\n', 'say "hi"\\n'),
        ("(" * 300, "(" * 300),
        ("1e999", float("inf")),
        ("-1e999", -float("inf")),
        ("{1: [2]}", {1: [2]}),
        ("{[]: 1}", "{[]: 1}"),
        (" 2 ", 2),
        ("2 # two", 2),
        ("2\n", 2),
    ],
)
def test_values_are_literals_or_strings_and_never_code(text, value):
    made = notebook()
    inject_parameters(made, {"n": text})
    variables = {}
    exec(made.cells[0].source, variables)
    assert variables["n"] == value
