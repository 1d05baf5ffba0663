"""What `ds runs` changes on a hub: names, notes, tags, comments, and the trash."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click
import msgspec

from dotscience import wording
from dotscience.cli.hub_access import folders_project, own_project
from dotscience.cli.short_ids import run_named, trashed_run_named
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = click.argument("run")


@click.command(
    "tag",
    epilog="""\b
Examples:
  ds runs tag 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 best paper
  ds runs tag 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 --remove paper
  ds runs ls --filter 'tag = "best"'
""",
)
@RUN
@click.argument("tags", nargs=-1)
@click.option("--remove", multiple=True, metavar="TAG", help="Take a tag away.")
def tag(*, run: str, tags: Sequence[str], remove: Sequence[str]) -> None:
    """Give a run tags, or take some away; without either, show them."""
    client, project = own_project()
    with client:
        run = run_named(client, project, run)
        found = client.run(project, run)["tags"]
        wanted = [one for one in dict.fromkeys([*found, *tags]) if one not in remove]
        if wanted != found:
            found = client.change_run(project, run, etag=client.run_etag(project, run), tags=wanted)["tags"]
    click.echo(", ".join(map(wording.printable, found)) or "no tags")


@click.command("name", epilog='Example: ds runs name 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 "best so far"')
@RUN
@click.argument("text", metavar="NAME")
def name(*, run: str, text: str) -> None:
    """Give a run a name; an empty one takes it away."""
    client, project = own_project()
    with client:
        run = run_named(client, project, run)
        client.change_run(project, run, etag=client.run_etag(project, run), name=text)
    click.echo("Done.")


@click.command(
    "note",
    epilog="""\b
Examples:
  ds runs note 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 "the data was stale"
  ds runs note 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 - < notes.md
""",
)
@RUN
@click.argument("text", metavar="TEXT")
def note(*, run: str, text: str) -> None:
    """Write notes to a run in place of those before; - reads them from stdin, an empty text takes them away."""
    client, project = own_project()
    with client:
        run = run_named(client, project, run)
        client.change_run(project, run, etag=client.run_etag(project, run), notes=_text(text))
    click.echo("Done.")


@click.command(
    "comment",
    epilog="""\b
Examples:
  ds runs comment 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0
  ds runs comment 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 "shall we ship this one?"
""",
)
@RUN
@click.argument("text", metavar="[TEXT]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per comment and line.")
def comment(*, run: str, text: str | None, as_json: bool) -> None:
    """Show what people say about a run, or say something."""
    client, project = own_project() if text is not None else folders_project()
    with client:
        run = run_named(client, project, run)
        found = list(client.comments(project, run)) if text is None else [client.add_comment(project, run, _text(text))]
    if not found and not as_json:
        click.echo("Nobody has said anything about this run yet.")
    for one in found:
        if as_json:
            click.echo(json.dumps(msgspec.to_builtins(one)))
        else:
            when = wording.moment(datetime.fromisoformat(one.created_at))
            click.echo(f"{wording.printable(one.author)}, {when}")
            click.echo("".join(f"  {wording.printable(line)}\n" for line in one.text.splitlines()), nl=False)


@click.command("rm", epilog="Example: ds runs rm 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
def remove(*, runs: Sequence[str]) -> None:
    """Move runs to the trash; `ds runs restore` brings them back, and their files stay in their commits."""
    client, project = own_project()
    with client:
        for run in runs:
            client.trash_run(project, run_named(client, project, run))
    click.echo(
        spelled(
            f"{wording.counted(len(runs), 'run')} in the trash; `ds runs restore` with the same ids brings them back."
        )
    )


@click.command(
    "restore",
    epilog="""\b
Examples:
  ds runs restore                                           what is in the trash
  ds runs restore 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0
""",
)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
def restore(*, runs: Sequence[str]) -> None:
    """Bring runs back from the trash; without any, list those that are there."""
    client, project = own_project()
    with client:
        for run in runs:
            client.restore_run(project, trashed_run_named(client, project, run))
        trashed = [] if runs else list(client.trashed_runs(project))
    if runs:
        click.echo(f"{wording.counted(len(runs), 'run')} restored.")
    elif not trashed:
        click.echo("The trash is empty.")
    for one in trashed:
        when = wording.moment(datetime.fromisoformat(one["deleted_at"]))
        click.echo(f"{one['id']}  since {when}  {wording.printable(one['name'])}".rstrip())


def _text(text: str) -> str:
    return sys.stdin.read() if text == "-" else text


COMMANDS = (comment, name, note, remove, restore, tag)
