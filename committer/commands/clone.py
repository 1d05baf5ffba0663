"""`ds clone`: a tracked folder of a project that is on a hub."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from committer.commands.checkout import folder_name, print_problems, problem_documents
from committer.commands.progress import sending_bar
from dotscience import wording
from dotscience.errors import DotscienceError
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from committer.clone import Cloned
    from dotscience.client.hub import HubClient, Project
    from dotscience.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  ds clone https://hub.example.com/p/3fa85f64-5717-4562-b3fc-2c963f66afa6
  ds clone mnist                   a project of the hub that you are logged in to
  ds clone mnist ~/mnist --hub https://hub.example.com
"""
)
@click.argument("project")
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
@click.option("--hub", "hub_url", metavar="URL", help="The hub of a project that is given by name or id.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def clone(*, project: str, folder: Path | None, hub_url: str | None, as_json: bool) -> None:
    """Make a tracked folder of a project on a hub: files of its newest commit, history and runs.

    PROJECT is a name or an id, or the URL of a page of the project. DIR is the project's name unless given; it must be
    empty or missing. An interrupted clone goes on when the same command is given again.
    """
    from committer import clone as cloning

    client, found, is_signed_in = _open(project, hub_url)
    with client:
        root = (folder or Path(folder_name(found.name))).expanduser().absolute()
        binding = _Binding(client, found, is_signed_in=is_signed_in)
        with _saying_what_is_left(root):
            made = cloning.clone(client, found, root, place.settings_of(root), bar=sending_bar, ready=binding.bind)
    if as_json:
        click.echo(json.dumps(_document(made, found, may_push=binding.may_push)))
    else:
        _print(made, found, may_push=binding.may_push)
    sys.exit(1 if made.problems else 0)


def _open(project: str, hub_url: str | None) -> tuple[HubClient, Project, bool]:
    """A client, the project that is meant, and whether somebody is logged in."""
    from dotscience.cli.hub_access import own_account, project_at, project_named, reader_of
    from dotscience.client.address import parse_page

    page = parse_page(project)
    if page is None and "://" in project:
        raise click.UsageError("this is no page of a project: its URL goes on with /p/ and the project's id")
    if page is not None and hub_url is not None:
        raise click.UsageError("the URL names the hub already; leave --hub out")
    if page is not None:
        client, is_signed_in = reader_of(page.hub)
        return client, project_at(client, page.project), is_signed_in
    client = own_account(hub_url)
    return client, project_named(client.projects(), project, f"on {client.url}"), True


@contextmanager
def _saying_what_is_left(root: Path) -> Iterator[None]:
    """Say how an interrupted clone goes on, where it has begun."""
    from committer.clone import is_unfinished

    try:
        yield
    except (DotscienceError, KeyboardInterrupt):
        if is_unfinished(root):
            click.echo(f"What was fetched so far is in {root}; the same command goes on from there.", err=True)
        raise


class _Binding:
    """Gets the clone's committer its token."""

    def __init__(self, client: HubClient, project: Project, *, is_signed_in: bool) -> None:
        self._client = client
        self._project = project
        self._is_signed_in = is_signed_in
        self.may_push = False

    def bind(self, workspace: Workspace) -> None:
        from dotscience.client.binding import ensure_token
        from dotscience.errors import Forbidden

        if not self._is_signed_in or self._project.role is None:  # a visitor of a public project
            return
        try:
            ensure_token(workspace, self._client, self._project)
        except Forbidden:
            return
        self.may_push = self._project.role != "viewer"


def _document(made: Cloned, project: Project, *, may_push: bool) -> dict[str, Any]:
    hub = made.workspace.hub
    return {
        "root": str(made.workspace.root),
        "hub": hub.url if hub else None,
        "project_id": project.id,
        "project_name": project.name,
        "commit": made.commit,
        "is_newest": made.is_newest,
        "commits": made.commits,
        "runs": made.runs,
        "files": made.files,
        "size": made.size,
        "may_push": may_push,
        "problems": problem_documents(made.problems),
    }


def _print(made: Cloned, project: Project, *, may_push: bool) -> None:
    root = made.workspace.root
    click.echo(f"Cloned {wording.printable(project.name)} into {root}")
    history = f"{wording.counted(made.commits, 'commit')}, {wording.counted(made.runs, 'run')}"
    files = f"{wording.counted(made.files, 'entry', 'entries')} of {wording.short(made.commit)}"
    click.echo(f"{history}; {files}, {wording.size(made.size)}")
    if not may_push:
        click.echo("You may read this project only: what you commit there stays on this disk.")
    if not made.is_newest:
        click.echo(
            "The project went on since this clone began; to get that, remove the folder and clone again.", err=True
        )
    print_problems(problem_documents(made.problems))
    click.echo(
        spelled(f"Next: cd {root}, then `ds up` for JupyterLab, or `ds committer` to record runs here.", anywhere=True)
    )
