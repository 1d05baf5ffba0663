"""`ds hub gc` and `ds hub scrub`: have a running hub look after its storage, and wait for the outcome."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from dotscience.errors import HubError
from hub_server.command_output import JSON, progress_bar, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotscience.client.hub import HubClient

ASK_EVERY_S = 0.5


@click.command(
    epilog="""\b
Examples:
  ds hub gc --dry-run              what would be deleted now
  ds hub gc --json                 for scripts
"""
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, say what would be deleted.")
@JSON
@click.pass_context
def gc(context: click.Context, /, *, dry_run: bool, as_json: bool) -> None:
    """Delete what no commit needs any more.

    The hub does this by itself once a day. What becomes unused is deleted the day after, in case that somebody is just
    pushing what needs it, and the files an hour later. Ends with 1 where a project could not be looked after.
    """
    with _client(context) as client:
        done = _wait(client, "gc", client.collect_garbage(dry_run=dry_run), "projects")
        if done["dry_run"] != dry_run:  # what was under way already was the other thing
            done = _wait(client, "gc", client.collect_garbage(dry_run=dry_run), "projects")
    show(done, as_json, _garbage_lines)
    context.exit(1 if done["failed"] else 0)


@click.command(
    epilog="""\b
Examples:
  ds hub scrub
  ds hub scrub --json | jq .damaged
"""
)
@JSON
@click.pass_context
def scrub(context: click.Context, /, *, as_json: bool) -> None:
    """Read everything that the hub stores, and find what a disk has damaged.

    The hub does a thirtieth of this every day. What is damaged is mended by the committers of workspaces that still
    have it. Ends with 1 where something is damaged.
    """
    with _client(context) as client:
        done = _wait(client, "scrub", client.scrub(), "bytes")
    show(done, as_json, _scrub_lines)
    context.exit(1 if done["damaged"] else 0)


@contextmanager
def _client(context: click.Context) -> Iterator[HubClient]:
    from dotscience.client.hub import HubClient
    from hub_server.running import running_hub

    url, token = running_hub(context.obj.data)
    with HubClient(url, token) as client:
        yield client


def _wait(client: HubClient, job: str, state: dict[str, Any], unit: str) -> dict[str, Any]:
    with progress_bar(unit) as progress:
        while state["running"]:
            progress(state["done"], state["total"])
            time.sleep(ASK_EVERY_S)
            state = client.upkeep()[job]
    if state["result"] is None:
        raise HubError(f"the hub could not finish: {state['error']}")
    result: dict[str, Any] = state["result"]
    return result


def _garbage_lines(done: dict[str, Any]) -> Iterator[str]:
    from rich.filesize import decimal

    verb = "Would delete" if done["dry_run"] else "Deleted"
    size = decimal(done["deleted_size"])
    yield f"{verb} {done['deleted']:,} unused objects ({size}) of {done['projects']:,} projects"
    yield f"{done['kept']:,} objects are needed; {done['unused']:,} are unused, but not for long enough"
    if not done["dry_run"]:
        yield f"Removed {done['packs_deleted']:,} files ({decimal(done['freed'])}); wrote {done['repacked']:,} anew"
    for one in done["failed"]:
        yield f"Of project {one['project_id']} {one['detail']}"


def _scrub_lines(done: dict[str, Any]) -> Iterator[str]:
    from rich.filesize import decimal

    yield f"Read {done['packs']:,} packs ({decimal(done['size'])}); {len(done['damaged']):,} are damaged"
    for one in done["damaged"]:
        yield f"Pack {one['pack']} with {one['objects']:,} objects of the projects {', '.join(one['projects'])}"
    if done["damaged"]:
        yield "Committers that run in the workspaces of these projects mend what they can within a minute."
