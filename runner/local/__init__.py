"""`ds run` on this machine: a notebook through nbclient, or a command whose output is read for runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from dotscience.errors import NotAWorkspace
from dotscience.workspace import open_workspace
from runner.local.command import COMMAND_NOT_FOUND, CommandNotFound, run_command
from runner.local.notebook import run_notebook
from runner.local.recording import recording

if TYPE_CHECKING:
    from dotscience.cli.run import Execution
    from dotscience.workspace import Workspace


def run_locally(execution: Execution) -> int:
    """Execute and return the exit status, once every run is durable in the workspace.

    Outside a tracked folder the workload runs all the same, and its runs stay in the notebook or output only. A command
    that cannot be started has the status that a shell gives it.
    """
    if execution.notebook is not None:  # what a link names is executed and saved; the link stays
        execution = msgspec.structs.replace(execution, notebook=Path(os.path.realpath(execution.notebook)))
    workspace = _workspace(execution)
    try:
        with recording(workspace, execution.notebook):
            if execution.notebook is not None:
                return run_notebook(execution, execution.notebook, workspace)
            return run_command(execution, workspace)
    except CommandNotFound as error:
        click.echo(f"Error: {error}", err=True)
        return COMMAND_NOT_FOUND


def _workspace(execution: Execution) -> Workspace | None:
    start = execution.notebook.parent if execution.notebook is not None else execution.folder
    try:
        return open_workspace(start)
    except NotAWorkspace:
        return None
