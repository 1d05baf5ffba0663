"""A notebook executed from the first cell to the last, saved after each."""

from __future__ import annotations

import ast
import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

import click
import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from dotscience.errors import ConfigError, DotscienceError, WireFormatError
from dotscience.workspace import write_durably
from runner.local.command import workload_environment

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

    from dotscience.cli.run import Execution
    from dotscience.workspace import Workspace

INTERRUPTED = 130
INJECTED = "injected-parameters"
PARAMETERS = "parameters"
"""The cell tags by which papermill, too, marks default parameters and the ones it puts in."""


TRIPS = (AssertionError, AttributeError, asyncio.InvalidStateError)
"""What nbclient raises where it ends a kernel twice at the same time, for a signal and as the cell ends by that."""


def run_notebook(execution: Execution, path: Path, workspace: Workspace | None) -> int:
    """Execute the notebook in its own folder and return 0, 1 where a cell failed, or 130 at SIGINT and SIGTERM.

    The failure is kept in the file, which is replaced whole after each cell: a reader never sees half of it.

    Raises:
        ConfigError: the file or the kernel is missing.
        WireFormatError: the file is no notebook.
        NotSaved: there is no room for the notebook, or it may not be written any more.
    """
    notebook = _read(path)
    if execution.parameters:
        inject_parameters(notebook, execution.parameters)
    progress = _Progress(path, notebook)
    client = NotebookClient(
        notebook,
        timeout=execution.timeout_s,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=progress.cell_started,
        on_cell_executed=progress.cell_executed,
    )
    if execution.kernel is not None:
        client.kernel_name = execution.kernel
    try:
        client.execute(env={**workload_environment(workspace, "jupyter"), "JPY_SESSION_NAME": str(path)})
    except NoSuchKernel as error:
        raise ConfigError(
            f"no kernel named {error.name!r}; see `jupyter kernelspec list`, or name one with --kernel"
        ) from error
    except (CellExecutionError, CellTimeoutError, DeadKernelError, *TRIPS) as error:
        if _is_interrupted(client):
            click.echo(f"{path.name}: interrupted", err=True)
            return INTERRUPTED
        if isinstance(error, TRIPS):
            raise
        click.echo(f"{path.name}: {_first_line(error)}", err=True)
        return 1
    finally:
        progress.save()
    return 0


def _is_interrupted(client: NotebookClient) -> bool:
    """Whether SIGINT or SIGTERM came: nbclient begins to shut the kernel down then, and says so nowhere else."""
    return getattr(client, "_async_cleanup_kernel_future", None) is not None


def inject_parameters(notebook: NotebookNode, parameters: dict[str, str]) -> None:
    """Put the parameters into a cell of their own: after the cell tagged `parameters`, else before all others.

    A cell that an earlier execution put in is replaced. Values that read as Python literals are those; all others are
    strings.
    """
    lines = [f"{name} = {_literal(value)}" for name, value in parameters.items()]
    source = "# Parameters\n" + "\n".join(lines)
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED]})  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if INJECTED not in _tags(cell)]
    defaults = [index for index, cell in enumerate(cells) if PARAMETERS in _tags(cell)]
    cells.insert(defaults[0] + 1 if defaults else 0, cell)
    notebook.cells = cells


class NotSaved(DotscienceError):
    """The executed notebook cannot be written."""


class _Progress:
    """Says on the terminal what is executed and what it printed, and keeps the file up to date."""

    def __init__(self, path: Path, notebook: NotebookNode) -> None:
        self._path = path
        self._notebook = notebook
        self._mode = stat.S_IMODE(path.stat().st_mode)

    def cell_started(self, cell: NotebookNode, cell_index: int) -> None:
        """Called by nbclient before each cell."""
        if cell.cell_type == "code":
            title = next((line for line in cell.source.splitlines() if line.strip()), "")
            click.echo(click.style(f"[{cell_index + 1}/{len(self._notebook.cells)}] {title[:100]}", dim=True), err=True)

    def cell_executed(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        """Called by nbclient after each cell, before it raises for a failed one."""
        del cell_index, execute_reply
        for output in cell.outputs:
            if output.output_type == "stream":
                click.echo(output.text, nl=False, err=output.name == "stderr")
        self.save()

    def save(self) -> None:
        """Replace the file by the notebook as it stands."""
        text = nbformat.writes(self._notebook) + "\n"  # type: ignore[no-untyped-call]
        try:
            write_durably(self._path, text.encode(), mode=self._mode)
        except OSError as error:
            raise NotSaved(
                f"{self._path} cannot be saved ({error.strerror}), so the execution ended; earlier cells are kept"
            ) from error


def _read(path: Path) -> NotebookNode:
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is not a file")
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, nbformat.ValidationError) as error:
        # What nbformat trips over: text that is no JSON or UTF-8, and JSON of any other shape or depth.
        raise WireFormatError(f"{path} is not a notebook ({_first_line(error)})") from error
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{path} cannot be written; executed outputs are saved into it")
    return notebook


def _literal(text: str) -> str:
    """The source of the value: the text itself where it is a literal, since not every value has one (1e999)."""
    try:
        ast.literal_eval(text)
        return ast.unparse(ast.parse(text.strip(), mode="eval"))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return repr(text)


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _first_line(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return next(iter(str(error).splitlines()), type(error).__name__)
