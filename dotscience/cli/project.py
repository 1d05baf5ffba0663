"""`ds project`: the projects of a hub, and who works on them."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import click
import msgspec

from dotscience import wording
from dotscience.cli.hub_access import HUB, own_account, project_named
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotscience.client.hub import HubClient, Project
    from dotscience.client.people import ProjectRole

ROLES = click.Choice(["viewer", "editor", "owner"])
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


@click.group(
    epilog="""\b
Examples:
  ds project ls
  ds project share mnist alice --role editor
  ds project trash old-experiments
"""
)
def project() -> None:
    """List, make, share, rename and trash projects; PROJECT is a name or an id."""


@project.command(epilog="Example: ds project ls --trash")
@HUB
@click.option("--trash", is_flag=True, help="Those of yours in the trash.")
@AS_JSON
def ls(*, hub_url: str | None, trash: bool, as_json: bool) -> None:
    """List the projects that you see, newest first."""
    with own_account(hub_url) as client:
        found = list(client.trashed_projects() if trash else client.projects())
    if not found and not as_json:
        click.echo(
            "The trash is empty." if trash else spelled("You see no project yet; `ds project create NAME` makes one.")
        )
    for one in found:
        click.echo(_json(one) if as_json else _line(one))


@project.command(epilog="Example: ds project show mnist --json")
@HUB
@click.argument("name", metavar="PROJECT")
@AS_JSON
def show(*, hub_url: str | None, name: str, as_json: bool) -> None:
    """Show a project and who works on it."""
    with _opened(hub_url, name) as (client, found):
        people = list(client.collaborators(found.id))
    if as_json:
        click.echo(json.dumps({**msgspec.to_builtins(found), "collaborators": msgspec.to_builtins(people)}))
        return
    click.echo(_line(found))
    for person in people:
        click.echo(f"  {person.role:<8} {wording.printable(person.name)}")


@project.command(epilog="Example: ds project create mnist")
@HUB
@click.argument("name")
@AS_JSON
def create(*, hub_url: str | None, name: str, as_json: bool) -> None:
    """Make a project; the name is numbered when taken. `ds init` makes one for a folder by itself."""
    with own_account(hub_url) as client:
        made = client.create_project(name)
    click.echo(_json(made) if as_json else f"Made {_line(made)}")


@project.command(epilog="Example: ds project rename mnist digits")
@HUB
@click.argument("name", metavar="PROJECT")
@click.argument("new_name", metavar="NEW_NAME")
def rename(*, hub_url: str | None, name: str, new_name: str) -> None:
    """Give a project another name."""
    with _opened(hub_url, name) as (client, found):
        changed = client.change_project(found.id, name=new_name)
    click.echo(f"{wording.printable(found.name)} is {wording.printable(changed.name)} now.")


@project.command(epilog="Examples: ds project publish mnist; ds project publish mnist --undo")
@HUB
@click.argument("name", metavar="PROJECT")
@click.option("--undo", is_flag=True, help="Let its collaborators alone see it again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def publish(*, hub_url: str | None, name: str, undo: bool, yes: bool) -> None:
    """Let everybody who reaches the hub read a project: runs, files and models, without signing in."""
    with _opened(hub_url, name) as (client, found):
        if not undo and not yes:
            question = f"Everybody who reaches {client.url} will read all files of {found.name}. Go on?"
            click.confirm(question, abort=True)
        client.change_project(found.id, is_public=not undo)
    click.echo(f"{wording.printable(found.name)} is {'private again' if undo else 'public'}.")


@project.command(epilog="Example: ds project share mnist alice --role editor")
@HUB
@click.argument("name", metavar="PROJECT")
@click.argument("person", metavar="ACCOUNT")
@click.option("--role", type=ROLES, default="viewer", show_default=True, help="What they may do; see docs/people.md.")
def share(*, hub_url: str | None, name: str, person: str, role: str) -> None:
    """Let somebody work on a project, or give them another role in it."""
    with _opened(hub_url, name) as (client, found):
        client.put_collaborator(found.id, person, cast("ProjectRole", role))
    click.echo(f"{wording.printable(person)} is {role} of {wording.printable(found.name)}.")


@project.command(epilog="Example: ds project unshare mnist alice")
@HUB
@click.argument("name", metavar="PROJECT")
@click.argument("person", metavar="ACCOUNT")
def unshare(*, hub_url: str | None, name: str, person: str) -> None:
    """Let somebody work on a project no longer."""
    with _opened(hub_url, name) as (client, found):
        client.remove_collaborator(found.id, person)
    click.echo(f"{wording.printable(person)} does not work on {wording.printable(found.name)} any more.")


@project.command(epilog="Example: ds project trash old-experiments; ds project restore old-experiments")
@HUB
@click.argument("name", metavar="PROJECT")
def trash(*, hub_url: str | None, name: str) -> None:
    """Move a project to the trash: nobody sees it there, and nothing of it is lost."""
    with _opened(hub_url, name) as (client, found):
        client.trash_project(found.id)
    click.echo(
        spelled(f"{wording.printable(found.name)} is in the trash; `ds project restore {found.id}` brings it back.")
    )


@project.command(epilog="Example: ds project restore old-experiments")
@HUB
@click.argument("name", metavar="PROJECT")
def restore(*, hub_url: str | None, name: str) -> None:
    """Bring a project back from the trash."""
    with own_account(hub_url) as client:
        found = project_named(client.trashed_projects(), name, "in the trash")
        client.restore_project(found.id)
    click.echo(f"{wording.printable(found.name)} is back.")


@contextmanager
def _opened(hub_url: str | None, name: str) -> Iterator[tuple[HubClient, Project]]:
    """A client, and the project that a name or an id stands for."""
    with own_account(hub_url) as client:
        yield client, project_named(client.projects(), name, f"on {client.url}")


def _line(found: Project) -> str:
    is_public = ", public" if found.is_public else ""
    role = f", {found.role}" if found.role else ""
    return f"{found.id}  {wording.printable(found.name)}  ({wording.counted(found.runs, 'run')}{role}{is_public})"


def _json(found: Project) -> str:
    return msgspec.json.encode(found).decode(sys.getdefaultencoding())
