"""The example notebook is a valid notebook, and never replaces a file of the user's."""

from __future__ import annotations

import nbformat

from dotscience.cli.example import write_example


def test_the_example_is_a_valid_notebook(tmp_path):
    notebook = nbformat.read(write_example(tmp_path), as_version=4)
    nbformat.validate(notebook)
    assert any("ds.publish()" in cell.source for cell in notebook.cells)


def test_a_file_of_that_name_is_left_as_it_is(tmp_path):
    path = write_example(tmp_path)
    path.write_text("mine")
    assert write_example(tmp_path) == path
    assert path.read_text() == "mine"
