"""`ds snapshot` and `ds commit`: save the workspace as it is now."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from committer.commands.progress import sending_bar
from dotscience import wording
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from dotscience.workspace import Workspace

INCOMPLETE = 3
"""The exit status where files could not be read: what could is saved, so that it is no failure. As restic has it."""

SHOWN = 10
"""Paths that are left out and named in a terminal."""


@click.command(
    epilog="""\b
Examples:
  ds snapshot                      save the workspace as it is now
  ds snapshot -m "before cleaning" the same, described
  ds snapshot --json               one JSON object: commit, files, new_bytes, consistency, runs, left_out
"""
)
@click.option("-m", "--message", default="", metavar="TEXT", help="Describe what you save.")
@click.option("--json", "as_json", is_flag=True, help="Print the commit as one JSON object.")
def snapshot(*, message: str, as_json: bool) -> None:
    """Take a commit of the workspace as it is now, with everything that was published.

    Ends with 3 where files could not be read; everything else is saved then.
    """
    _save(message, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  ds commit -m "cleaned the labels"
"""
)
@click.option("-m", "--message", required=True, metavar="TEXT", help="Describe what you save.")
@click.option("--json", "as_json", is_flag=True, help="Print the commit as one JSON object.")
def commit(*, message: str, as_json: bool) -> None:
    """Save the workspace as it is now, with everything that was published, and push it.

    Ends with 3 where files could not be read; everything else is saved then.
    """
    _save(message, as_json=as_json)


def _save(message: str, *, as_json: bool) -> None:
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    taken = take(workspace, message)
    if as_json:
        click.echo(json.dumps(taken))
    else:
        _show(workspace, taken)
    if taken["unreadable_count"]:
        sys.exit(INCOMPLETE)


def _show(workspace: Workspace, taken: dict[str, Any]) -> None:
    files, new_bytes = wording.counted(taken["files"], "file"), wording.size(taken["new_bytes"])
    runs = wording.counted(len(taken["runs"]), "run")
    click.echo(f"Committed {wording.short(taken['commit'])}: {files}, {new_bytes} new, {runs}")
    if taken["consistency"] == "fuzzy":
        click.echo(spelled("Some files changed while they were read: `ds log` shows the commit as fuzzy."), err=True)
    _say_what_is_left_out(taken)
    _say_whether_pushed(workspace)


def _say_what_is_left_out(taken: dict[str, Any]) -> None:
    count = taken["left_out_count"]
    if not count:
        return
    shown = taken["left_out"][:SHOWN]
    click.echo(f"{wording.counted(count, 'path')} left out:", err=True)
    for one in shown:
        click.echo(f"  {one['path']!r} {one['reason']}", err=True)
    if count > len(shown):
        click.echo(f"  and {count - len(shown)} more", err=True)


def _say_whether_pushed(workspace: Workspace) -> None:
    from committer.present_status import present_status

    found = present_status(workspace, place.settings_of(workspace.root))
    if found["hub"] and found["unpushed"]:
        commits = wording.counted(found["unpushed"], "commit")
        click.echo(spelled(f"{commits} not pushed yet; `ds status` says how it goes"), err=True)


def take(workspace: Workspace, message: str) -> dict[str, Any]:
    """Take a commit, by the living committer or here; the fields of `committer.commits.Taken`.

    Raises:
        DotscienceError: it could not be taken.
    """
    from committer.log import configure_when_needed
    from committer.process import save

    configure_when_needed(logging.WARNING)
    with sending_bar("Pushing") as sending:
        return save(workspace, place.settings_of(workspace.root), message, sending)
