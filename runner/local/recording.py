"""What surrounds a local execution: a bracket that tells the committer, and a committer where none is running.

The bracket `.dotscience/runs/<uuid>.execution.json` says which notebook is being executed and by which process. Until
it says that the execution ended, or its process is gone, the committer keeps the notebook's derived run open, so that
saves after each cell make one run. Then the committer closes that run and removes the bracket.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import msgspec

from committer.status import HOLDS_COMMITS
from dotscience.cli import processes
from dotscience.client.committer import CommitterClient
from dotscience.errors import CommitterUnavailable, DotscienceError
from dotscience.held_folder import HeldFolder
from dotscience.workspace import Workspace, write_durably

START_TIMEOUT_S = 60.0
SETTLE_TIMEOUT_S = 600.0
POLL_S = 0.1
MOST_REPORTED = 100


@contextmanager
def recording(workspace: Workspace | None, notebook: Path | None) -> Iterator[None]:
    """Bracket an execution in a workspace; leaving waits until its runs are committed, and says which there are.

    Where the block raises an error of ours nothing was executed, so nothing is said. Without a workspace, does nothing.
    """
    if workspace is None:
        click.echo("Not a tracked folder (see `ds init`): runs stay in the notebook or output.", err=True)
        yield
        return
    root = HeldFolder(workspace.root)
    with _committer(workspace):
        since = _newest(workspace)
        bracket = workspace.runs_dir / f"{uuid4()}.execution.json"
        executed = True
        try:
            with _bracket(bracket, workspace, notebook):
                yield
        except DotscienceError:
            executed = False
            raise
        finally:
            if executed:
                workspace = msgspec.structs.replace(workspace, root=root.now())
                _wait_until_settled(workspace, bracket)
                _report_runs(workspace, since=since)


@contextmanager
def _bracket(path: Path, workspace: Workspace, notebook: Path | None) -> Iterator[None]:
    """Say that a notebook is being executed; a command needs no bracket."""
    if notebook is None:
        yield
        return
    content = {"notebook": os.path.relpath(notebook, workspace.root), "pid": os.getpid(), "started_at": _now()}
    workspace.runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, msgspec.json.encode(content))
    try:
        yield
    finally:
        write_durably(path, msgspec.json.encode({**content, "ended_at": _now()}))


@contextmanager
def _committer(workspace: Workspace) -> Iterator[None]:
    """A committer for the workspace: the living one, else one that is stopped again at the end."""
    if _status(workspace.root) is not None:
        yield
        return
    command = [sys.executable, "-m", "dotscience.cli", "committer", "--root", str(workspace.root)]
    component = processes.start("the committer", command, log=workspace.state_dir / "log" / "committer.log")
    try:
        processes.wait_until(component, lambda: _status(workspace.root), timeout_s=START_TIMEOUT_S)
        yield
    finally:
        processes.stop(component)


def _wait_until_settled(workspace: Workspace, bracket: Path) -> None:
    """Wait until the committer took the execution's end in and no run is pending; says so where it cannot go on."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while time.monotonic() < deadline:
        status = _status(workspace.root)
        if status is None:
            click.echo("The committer went away; it takes the runs up at its next start.", err=True)
            return
        if (problem := status["error"]) is not None and problem["type"] in HOLDS_COMMITS:
            click.echo(f"Not committed yet: {problem['detail']}", err=True)
            return
        # The order matters: the committer removes the bracket once it has entered the run that the execution made.
        if not bracket.exists() and _is_settled(_status(workspace.root)):
            return
        time.sleep(POLL_S)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _is_settled(status: dict[str, Any] | None) -> bool:
    return status is None or (status["pending_runs"] == 0 and status["state"] not in {"starting", "snapshotting"})


def _newest(workspace: Workspace) -> int:
    runs = CommitterClient(workspace.root).runs(limit=1)["runs"]
    return int(runs[0]["seq"]) if runs else 0


def _report_runs(workspace: Workspace, *, since: int) -> None:
    """Say which runs were recorded after the run numbered `since`, oldest first, each with its page on the hub."""
    try:
        page = CommitterClient(workspace.root).runs(limit=MOST_REPORTED)
    except CommitterUnavailable:
        return
    entries = [entry for entry in reversed(page["runs"]) if entry["seq"] > since and entry["state"] != "earlier"]
    click.echo(f"{len(entries)} run{'' if len(entries) == 1 else 's'} recorded", err=True)
    for entry in entries:
        title = entry["record"].get("description") or entry["run_id"]
        click.echo(f"  {title}  {entry['hub_url'] or ''}".rstrip(), err=True)


def _status(root: Path) -> dict[str, Any] | None:
    try:
        return CommitterClient(root).status()
    except CommitterUnavailable:
        return None
