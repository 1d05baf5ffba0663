"""The notebook on an executor's command line, and nothing where it would be a guess."""

from __future__ import annotations

import pytest

from dotscience.launcher import executed_notebook


@pytest.mark.parametrize(
    ("command", "notebook"),
    [
        ("/venv/bin/python /venv/bin/jupyter-nbconvert --to notebook --execute --inplace a.ipynb", "a.ipynb"),
        ("/venv/bin/python -m nbconvert --execute dir/a.ipynb", "dir/a.ipynb"),
        ("/venv/bin/python /venv/bin/jupyter-execute --inplace a.ipynb", "a.ipynb"),
        ("/usr/bin/python3 /venv/bin/papermill in.ipynb out.ipynb -p n 5", "out.ipynb"),
        ("/usr/bin/python3 -m papermill in.ipynb out.ipynb", "out.ipynb"),
        ("/usr/bin/python3 /site-packages/papermill/__main__.py in.ipynb out.ipynb", "out.ipynb"),
        ("/usr/bin/papermill in.ipynb", None),
        ("/venv/bin/jupyter-nbconvert --execute a.ipynb b.ipynb", None),
        ("/venv/bin/jupyter-nbconvert --execute", None),
        ("/venv/bin/jupyter-lab a.ipynb", None),
        ("python mytool.py a.ipynb", None),
        ("", None),
    ],
)
def test_the_notebook_of_a_command_line(command, notebook):
    assert executed_notebook(command.split(" ")) == notebook
