"""`ds hub reindex`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hub_server.command_output import JSON, progress_bar, show

if TYPE_CHECKING:
    from hub_server.settings import HubSettings


@click.command(
    epilog="""\b
Examples:
  ds hub reindex
  ds hub --database postgresql://hub@db.example.org/dotscience reindex --json
"""
)
@JSON
@click.pass_context
def reindex(context: click.Context, /, *, as_json: bool) -> None:
    """Make the tables of runs, values, files and models anew, from the records that committers pushed.

    The hub must be stopped. All of it happens or nothing. Ends with 1 where a record is damaged; such a run stays as
    it is in the database.
    """
    done = _reindex(context.obj)
    show(done, as_json, _lines)
    context.exit(1 if done["damaged"] else 0)


def _reindex(settings: HubSettings) -> dict[str, Any]:
    from hub_server.content.packs import Packs
    from hub_server.data_folder import DataFolder
    from hub_server.opening import open_backend, open_storage
    from hub_server.services.reindexing import Reindexer
    from hub_server.store.database import Database
    from hub_server.store.migrate import looking

    backend = open_backend(settings)
    with looking(backend):  # before anything is made in a folder that is no hub's
        pass
    with (
        closing(DataFolder(settings.data)),
        closing(Database(backend, readers=1)) as database,
        progress_bar("items") as progress,
    ):
        reindexer = Reindexer(database, Packs(settings.data, open_storage(settings)), progress)
        done: dict[str, Any] = msgspec.to_builtins(asyncio.run(reindexer.run()))
        return done


def _lines(done: dict[str, Any]) -> Iterator[str]:
    yield f"Read {done['commits']:,} commits of {done['projects']:,} projects, and indexed {done['runs']:,} runs"
    if done["added"]:
        yield f"{done['added']:,} of them were missing"
    for one in done["damaged"]:
        yield f"Of project {one['project_id']}, {one['detail']}"
