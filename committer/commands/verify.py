"""`ds verify`: is everything in the store that the commits refer to, and undamaged?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from committer.commands import place
from committer.commands.progress import bytes_bar
from dotscience import wording
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from committer.history import History
    from committer.storage.verify import Verified

SHOWN_DAMAGE = 20


@click.command(
    epilog="""\b
Examples:
  ds verify                        is everything there?
  ds verify --read-data            read and hash every byte, too
"""
)
@click.option("--read-data", is_flag=True, help="Read and hash every byte; slow for a large store.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(*, read_data: bool, as_json: bool) -> None:
    """Look for damage in the store of this workspace. Changes nothing; the exit status is 1 where there is some."""
    from dotscience.workspace import open_workspace

    with place.history_of(open_workspace()) as history:
        commits = [bytes.fromhex(one) for one in history.ids()]
        found = _verify(history, commits, read_data=read_data)
    if as_json:
        damage = [{"what": one.what, "reason": one.reason} for one in found.damage]
        counts = {"commits": len(commits), "packs": found.packs, "size": found.size, "objects": found.objects}
        click.echo(json.dumps({**counts, "read_data": read_data, "damage": damage}))
    else:
        _print(found, len(commits), read_data=read_data)
    sys.exit(1 if found.damage else 0)


def _verify(history: History, commits: list[bytes], *, read_data: bool) -> Verified:
    from committer.storage import verify as store

    total = sum(history.reader.pack_sizes().values())
    with bytes_bar("Reading" if read_data else "Looking", total) as advance:
        return store.verify(history.reader, commits, read_data=read_data, progress=advance)


def _print(found: Verified, commits: int, *, read_data: bool) -> None:
    what = ", ".join(
        (
            wording.counted(commits, "commit"),
            wording.counted(found.objects, "object"),
            f"{wording.counted(found.packs, 'pack')} of {wording.size(found.size)}",
        )
    )
    if not found.damage:
        click.echo(f"No damage: {what}{'' if read_data else '; --read-data reads their bytes, too'}")
        return
    click.echo(f"Damaged: {wording.counted(len(found.damage), 'problem')} in {what}", err=True)
    for one in found.damage[:SHOWN_DAMAGE]:
        click.echo(f"  {one.what}: {wording.printable(one.reason)}", err=True)
    if len(found.damage) > SHOWN_DAMAGE:
        click.echo(f"  and {len(found.damage) - SHOWN_DAMAGE:,} more; --json lists all", err=True)
    click.echo(
        spelled("The rest can be read; what a hub has, `ds committer` keeps there. Take a new snapshot now."), err=True
    )
