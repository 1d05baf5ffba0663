"""The commands that a workspace needs: `ds init`, `ds committer`, `ds status`, and what `committer.commands` brings.

What they do is imported when they are called, so that `ds --help` stays quick.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from committer.commands.checkout import checkout, restore
from committer.commands.clone import clone
from committer.commands.diff import diff
from committer.commands.doctor import doctor
from committer.commands.gc import gc
from committer.commands.log import log
from committer.commands.mount import mount
from committer.commands.snapshot import commit, snapshot
from committer.commands.verify import verify
from dotscience import wording
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from committer.initialise import Census
    from dotscience.workspace import Workspace


def _hub_address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    from dotscience.client.address import EXPECTED, is_hub_address

    if value is not None and not is_hub_address(value):
        raise click.BadParameter(f"it must be {EXPECTED}")
    return value


@click.command(
    epilog="""\b
Examples:
  ds init                          track this folder
  ds init ~/projects/mnist --yes   track another one, without questions
  ds init --hub https://hub.example.com --project mnist
  ds init --new-dot-id             make this copy of a workspace independent
  ds init ~/data --preview         how much tracking this folder would hold
"""
)
@click.argument("path", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option(
    "--hub",
    "hub_url",
    metavar="URL",
    callback=_hub_address,
    help="Push to this hub, with the token of `ds login` or of your own hub here; else it is read from stdin, or asked"
    " for.",
)
@click.option("--project", metavar="NAME", help="Name of the project on the hub; default: the folder's name.")
@click.option("--offline", is_flag=True, help="Keep everything here; a hub can be bound later.")
@click.option("--force", is_flag=True, help="Also track a home or system folder.")
@click.option("--yes", is_flag=True, help="Do not ask about large folders.")
@click.option("--new-dot-id", is_flag=True, help="Give a copied folder its own identity.")
@click.option("--preview", is_flag=True, help="Say how much a snapshot would hold, and write nothing.")
@click.option("--no-next", is_flag=True, hidden=True, help="Do not say what to do next: `ds up` does it.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def init(
    *,
    path: Path,
    hub_url: str | None,
    project: str | None,
    offline: bool,
    force: bool,
    yes: bool,
    new_dot_id: bool,
    preview: bool,
    no_next: bool,
    as_json: bool,
) -> None:
    """Track the folder PATH: from now on its runs are recorded, each with a snapshot of the whole folder."""
    from committer import initialise
    from dotscience.workspace import is_root

    if offline and hub_url:
        raise click.UsageError("--offline and --hub contradict each other")
    folder = path.expanduser().absolute()
    if preview:
        _preview(folder, as_json=as_json)
        return
    token = _token(hub_url) if hub_url else ""
    if new_dot_id:
        workspace = initialise.renew(folder)
    elif is_root(folder):
        workspace = initialise.initialise(folder)
    else:
        _check(folder, force=force, yes=yes, quiet=as_json)
        workspace = initialise.initialise(folder, state_dir=place.settings_of(folder).state_dir)
    if hub_url:
        workspace = _bind(workspace, hub_url, token, project)
    if as_json:
        click.echo(json.dumps(_described(workspace)))
    else:
        _say_tracked(workspace)
        if not no_next:
            click.echo(spelled("Next: `ds up` for hub and JupyterLab, or `ds committer` to record runs here."))


def _preview(folder: Path, *, as_json: bool) -> None:
    import msgspec

    from committer import initialise

    found = initialise.preview(folder, Path.home())
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif found.refused:
        click.echo(found.refused)
    else:
        files = wording.counted(found.files, "file")
        click.echo(f"{folder} holds {'more than ' if found.more else ''}{files}, {wording.size(found.size)}.")


def _check(folder: Path, *, force: bool, yes: bool, quiet: bool) -> None:
    from committer import initialise
    from committer.storage.ignore import load_ignore
    from dotscience.errors import WorkspaceError

    reason = initialise.refusal(folder, Path.home())
    if reason is not None and not force:
        raise WorkspaceError(f"{reason}; choose a folder of its own for the project, or use --force")
    census = initialise.count(folder, load_ignore(folder))
    if census.more and not yes:
        _ask(folder, census)
    elif not quiet:
        click.echo(f"{folder} holds {wording.counted(census.files, 'file')}, {wording.size(census.size)}.")


def _ask(folder: Path, census: Census) -> None:
    text = f"{folder} holds more than {census.files - 1:,} files or {wording.size(census.size)}. Track all of it?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{text} Say --yes, or list what to leave out in .dotscienceignore first.")
    click.confirm(text, abort=True)


def _token(hub_url: str) -> str:
    """A token for the hub: from stdin, else of `ds login`, else of the user's own hub here, else one is asked for."""
    from dotscience.cli.hub_access import token_of_own_hub
    from dotscience.client import credentials

    token = "" if sys.stdin.isatty() else sys.stdin.readline().strip()
    token = token or credentials.load(hub_url, credentials.ACCOUNT) or token_of_own_hub(hub_url) or ""
    if not token and sys.stdin.isatty():
        token = click.prompt(f"Token of {hub_url} (make one there under Account)", hide_input=True)
    if not token or not token.isascii():
        raise click.UsageError(
            f"the token is missing, or is none: it looks like ds_…; `ds login {hub_url}` gets one, or make one on the "
            "hub under Account and give it on stdin"
        )
    return token


def _bind(workspace: Workspace, hub_url: str, token: str, project: str | None) -> Workspace:
    from dotscience.client.binding import bind
    from dotscience.client.hub import HubClient
    from dotscience.errors import HubError

    try:
        with HubClient(hub_url, token) as hub:
            sends_zfs = place.settings_of(workspace.root).zfs_send == "trusted"
            return bind(workspace, hub, name=project, sends_zfs=sends_zfs)
    except HubError:
        click.echo(
            spelled(f"{workspace.root} is tracked, but not bound to the hub; `ds init --hub` tries again."), err=True
        )
        raise


def _described(workspace: Workspace) -> dict[str, Any]:
    hub = workspace.hub
    return {
        "root": str(workspace.root),
        "dot_id": workspace.dot_id,
        "initialised_at": workspace.initialised_at.isoformat(),
        "hub": {"url": hub.url, "project_id": hub.project_id, "project_name": hub.project_name} if hub else None,
    }


def _say_tracked(workspace: Workspace) -> None:
    click.echo(f"Tracking {workspace.root}")
    if workspace.hub is not None:
        click.echo(f"Pushing to {workspace.hub.project_name} on {workspace.hub.url}")
    click.echo("What is left out of snapshots: .dotscienceignore")


@click.command(
    epilog="""\b
Examples:
  ds committer                     watch this folder's workspace until Ctrl-C
  ds committer --root ~/mnist      watch another one
"""
)
@click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), default=".", help="A folder in the workspace."
)
def committer(*, root: Path) -> None:
    """Notice runs, take snapshots and push them, until stopped."""
    from committer.logs import configure_logging
    from committer.process import serve
    from dotscience.workspace import open_workspace

    configure_logging()
    workspace = open_workspace(root.expanduser().absolute())
    cut_off = serve(workspace, dict(os.environ))
    if cut_off:
        # A thread is still uploading. It can be cut off anywhere and would keep the process until a timeout.
        sys.stderr.flush()
        os._exit(0)


@click.command(
    epilog="""\b
Examples:
  ds status                        what the committer does, in words
  ds status --json                 the same for programs
"""
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, as_json: bool) -> None:
    """Say what is committed and pushed, and what is wrong, if anything."""
    from committer.present_status import present_status
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    found = present_status(workspace, place.settings_of(workspace.root))
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print_status(found)


def _print_status(found: dict[str, Any]) -> None:
    hub = found["hub"]
    click.echo(f"{found['root']}: {spelled(found['message'])}")
    click.echo(f"  runs     {found['runs']}, {found['pending_runs']} pending, {found['earlier_runs']} earlier")
    click.echo(f"  commits  {found['unpushed']} not pushed, head {(found['head'] or 'none')[:12]}")
    click.echo(f"  hub      {hub['url']} (project {hub['project_name']})" if hub else "  hub      none")
    for problem in found["problems"]:
        click.echo(f"  problem  {problem['detail']}\n           {spelled(problem['hint'])}")


commands: list[click.Command] = [
    *(init, clone, committer, status, commit, snapshot, log, diff),
    *(checkout, restore, mount, verify, doctor, gc),
]
