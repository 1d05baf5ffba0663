"""A command whose output is passed through and read for runs, whichever library or language printed them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

import click

from dotscience.errors import DotscienceError
from dotscience.held_folder import HeldFolder
from dotscience.record import RunRecord, encode_json
from dotscience.workspace import ROOT_VARIABLE, RUNS_DIR, STATE_DIR, Workspace, write_durably
from runner.local.markers import MarkerFilter, MarkerStream

if TYPE_CHECKING:
    from dotscience.cli.run import Execution

CHUNK = 64 * 1024
COMMAND_NOT_FOUND = 127


class CommandNotFound(DotscienceError):
    """The command could not be started."""


def run_command(execution: Execution, workspace: Workspace | None) -> int:
    """Run the command in the current folder and return its exit status (128 + n when signal n ended it).

    Raises:
        CommandNotFound: it could not be started.
    """
    try:
        process = subprocess.Popen(
            execution.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=workload_environment(workspace, "command"),
        )
    except OSError as error:
        raise CommandNotFound(f"{execution.command[0]!r} cannot be started: {error.strerror}") from error
    status = _pass_through(process, workspace)
    return 128 - status if status < 0 else status


def workload_environment(workspace: Workspace | None, workload_type: str) -> dict[str, str]:
    """The environment of a workload: this process's own, and where the library finds the workspace and its mode."""
    own = {"DOTSCIENCE_WORKLOAD_TYPE": workload_type, "PYTHONUNBUFFERED": "1"}
    root = {ROOT_VARIABLE: str(workspace.root)} if workspace is not None else {}
    return {**os.environ, **own, **root}


def _pass_through(process: subprocess.Popen[bytes], workspace: Workspace | None) -> int:
    streams = ((process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer))
    root = HeldFolder(workspace.root) if workspace is not None else None
    copiers = [threading.Thread(target=_copy, args=(*stream, root)) for stream in streams]
    # The workload decides how to end, and we read its output until it has. The terminal sends Ctrl-C to it as well as
    # to us; a service manager or CI system tells us alone that it is time to end.
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number)),
    }
    try:
        for copier in copiers:
            copier.start()
        for copier in copiers:
            copier.join()
        return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _copy(source: IO[bytes], target: IO[bytes], root: HeldFolder | None) -> None:
    """Until either end closes: a workload whose reader went away gets SIGPIPE, as it would without us.

    A terminal is shown no markers; who reads a pipe or a file may be looking for them.
    """
    markers = MarkerStream()
    shown = MarkerFilter() if target.isatty() else None
    with source:
        while chunk := source.read1(CHUNK):  # type: ignore[attr-defined] # a pipe is a BufferedReader
            for record in markers.feed(chunk):
                _write_sidecar(record, root)
            if not _written(target, shown.feed(chunk) if shown is not None else chunk):
                return
    if shown is not None:
        _written(target, shown.flush())


def _written(target: IO[bytes], data: bytes) -> bool:
    """Whether there is still somebody to read it."""
    try:
        target.write(data)
        target.flush()
    except BrokenPipeError:
        _write_nowhere(target)
        return False
    return True


def _write_nowhere(target: IO[bytes]) -> None:
    """Let nothing trip over what is left in the buffer (library/signal, "Note on SIGPIPE")."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, target.fileno())
    os.close(nowhere)


def _write_sidecar(record: RunRecord, root: HeldFolder | None) -> None:
    """Leave the run for the committer, which knows by its id whether the workload's library did so already.

    A run that cannot be kept is no reason to end the workload.
    """
    if root is None:
        return
    path = root.now() / STATE_DIR / RUNS_DIR / f"{record.run_id}.json"
    try:
        if not path.exists():
            write_durably(path, encode_json(record))
    except OSError as error:
        click.echo(f"The run {record.run_id} is not recorded: {path} cannot be written ({error.strerror}).", err=True)
