"""`ds gc`: make room on this disk."""

from __future__ import annotations

import json
import logging

import click

from committer.commands import place
from dotscience import wording


@click.command(
    epilog="""\b
Examples:
  ds gc                            keep what local_store_max allows
  ds gc --keep 0                   drop all contents that the hub has
  ds gc --keep 0 --dry-run         only say what would go
"""
)
@click.option("--keep", type=click.IntRange(min=0), metavar="BYTES", help="What the store may take; as set by default.")
@click.option("--dry-run", is_flag=True, help="Drop nothing, say what would be dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gc(*, keep: int | None, dry_run: bool, as_json: bool) -> None:
    """Drop contents of files from the local store that the hub has, the oldest first.

    The committer does this by itself above `local_store_max`. Files in the workspace are not touched, and history can
    still be listed and compared; older contents are then on the hub only. What is not pushed is never dropped.
    """
    from committer.log import configure_when_needed
    from committer.process import drop_pushed
    from dotscience.workspace import open_workspace

    configure_when_needed(logging.WARNING)
    workspace = open_workspace()
    dropped = drop_pushed(workspace, place.settings_of(workspace.root), keep=keep, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(dropped | {"dry_run": dry_run}))
        return
    verb = "Would drop" if dry_run else "Dropped"
    packs = wording.counted(dropped["packs"], "pack")
    click.echo(f"{verb} {wording.size(dropped['freed'])} of {packs}; the store takes {wording.size(dropped['size'])}")
    if not dropped["packs"]:
        click.echo("Nothing may go: only what the hub has is dropped, once everything is pushed.", err=True)
