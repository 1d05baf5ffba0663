"""Which notebook a kernel's parent process executes.

The Jupyter server tells its kernels which notebook they belong to; nbconvert, `jupyter execute` and papermill tell them
nothing. Their own command line does, where the system shows it to the user who started it (proc(5)).
"""

from __future__ import annotations

import os
from pathlib import Path

_EXECUTORS = ("jupyter-nbconvert", "jupyter-execute", "jupyter-run", "nbconvert", "nbclient", "papermill")


def launched_notebook() -> str | None:
    """The absolute path of the notebook, or None where the parent is no executor or works on several."""
    process = Path("/proc") / str(os.getppid())
    try:
        arguments = (process / "cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")
        folder = (process / "cwd").readlink()
    except OSError:
        return None
    notebook = executed_notebook(arguments)
    return None if notebook is None else str(folder / notebook)


def executed_notebook(arguments: list[str]) -> str | None:
    """The notebook that a command line executes and saves; papermill saves its second one."""
    executor = next((name for name in map(_program, arguments[:4]) if name in _EXECUTORS), None)
    notebooks = [argument for argument in arguments if argument.endswith(".ipynb") and not argument.startswith("-")]
    if executor is None or len(notebooks) != (2 if executor == "papermill" else 1):
        return None
    return notebooks[-1]


def _program(argument: str) -> str:
    """The program that an argument names: `…/bin/papermill` and, after `python -m`, `papermill` or a file of it."""
    path = Path(argument)
    return path.parent.name if path.name == "__main__.py" else path.name
