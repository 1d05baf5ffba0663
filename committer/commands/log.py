"""`ds log`: the commits of a workspace, newest first."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from dotscience import wording
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from committer.history import Logged


@click.command(
    epilog="""\b
Examples:
  ds log                           the last 20 commits
  ds log -n 5 data/train.csv       the last 5 in which this file changed
  ds log --before 3f2a9c           the page that follows
  ds log --json | jq .commits[0].id
"""
)
@click.argument("path", required=False)
@click.option("-n", "--number", type=click.IntRange(1, 10_000), default=20, help="How many to list; default: 20.")
@click.option("--before", metavar="COMMIT", help="List those that are older than this one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; `next_before` asks for the next page.")
def log(*, path: str | None, number: int, before: str | None, as_json: bool) -> None:
    """List commits, newest first; with PATH those only in which it changed."""
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    where = None if path is None else place.path_in(workspace, path)
    with place.history_of(workspace) as history:
        start = history.find(before) if before else None
        found = history.changing(where, before=start) if where else history.newest_first(before=start)
        page, more = _page(found, number)
    if as_json:
        click.echo(json.dumps({"commits": [_document(one) for one in page], "next_before": _next(page, more=more)}))
        return
    for one in page:
        _print(one)
    if more:
        click.echo(f"Older ones: ds log --before {wording.short(page[-1].id)}{f' {path}' if path else ''}")
    elif not page:
        click.echo(f"No commit has {path}." if path else spelled("There is no commit yet; `ds snapshot` makes one."))


def _page(found: Iterator[Logged], number: int) -> tuple[list[Logged], bool]:
    page = list(islice(found, number))
    return page, len(page) == number and next(found, None) is not None


def _next(page: list[Logged], *, more: bool) -> str | None:
    return page[-1].id if more else None


def _document(one: Logged) -> dict[str, Any]:
    commit = one.commit
    return {
        "id": one.id,
        "parents": [parent.hex() for parent in commit.parents],
        "created_at": commit.created_at.isoformat(),
        "message": commit.message,
        "author": commit.author,
        "runs": [run_id for run_id, _ in commit.runs],
        "files": commit.stats.files,
        "size": commit.stats.size,
        "new_bytes": commit.stats.new_bytes,
        "consistency": commit.consistency,
        "unstable": [wording.exact(path) for path in commit.unstable],
        "pushed": one.pushed,
    }


def _print(one: Logged) -> None:
    commit = one.commit
    facts = [wording.counted(commit.stats.files, "file"), f"{wording.size(commit.stats.new_bytes)} new"]
    facts += [commit.consistency, "pushed" if one.pushed else "not pushed"]
    first = f"{click.style(wording.short(one.id), fg='yellow')}  {wording.moment(commit.created_at)}"
    click.echo(f"{first}  {', '.join(facts)}")
    if commit.message:
        click.echo(f"    {wording.printable(commit.message.partition(chr(10))[0])}")
    for run_id, _ in commit.runs[:10]:
        click.echo(f"    run {run_id}")
    if len(commit.runs) > 10:
        click.echo(f"    and {wording.counted(len(commit.runs) - 10, 'more run')}")
