"""What people say about runs: names, notes and tags, beside the records, which never change."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select

from hub_server.store import runs, search
from hub_server.store.schema import run, run_edit


class Edit(Struct, frozen=True, kw_only=True):
    """What is said about a run; a run about which nothing was said has version 0."""

    version: int = 0
    name: str = ""
    notes: str = ""
    tags: list[str] = []


class Edited(Struct, frozen=True, kw_only=True):
    """A run with what is said about it; `key` is the run's in the database."""

    key: int
    deleted_at: datetime | None
    edit: Edit


def find_edited(connection: Connection, project_key: int, run_id: str) -> Edited | None:
    """A run of the project, in the trash or not."""
    row = connection.execute(
        select(run.c.id, run.c.deleted_at).where(run.c.project_id == project_key, run.c.uuid == run_id)
    ).first()
    if row is None:
        return None
    said = connection.execute(
        select(run_edit).where(run_edit.c.project_id == project_key, run_edit.c.run_uuid == run_id)
    ).first()
    edit = Edit()
    if said is not None:
        tags = msgspec.json.decode(said.tags, type=list[str])
        edit = Edit(version=said.version, name=said.name, notes=said.notes, tags=tags)
    return Edited(key=row.id, deleted_at=row.deleted_at, edit=edit)


def store_edit(
    connection: Connection, project_key: int, run_id: str, edited: Edited, new: Edit, *, account_id: str, now: datetime
) -> None:
    """Say something else about a run; lists and filters see the tags at once, unless the run is in the trash."""
    if edited.deleted_at is None:
        search.take_out(connection, [edited.key])
    mine = (run_edit.c.project_id == project_key) & (run_edit.c.run_uuid == run_id)
    connection.execute(delete(run_edit).where(mine))
    connection.execute(
        insert(run_edit).values(
            project_id=project_key,
            run_uuid=run_id,
            version=new.version,
            name=new.name,
            notes=new.notes,
            tags=msgspec.json.encode(new.tags).decode(),
            edited_at=now,
            edited_by=account_id,
        )
    )
    if edited.deleted_at is None:
        before, after = set(edited.edit.tags), set(new.tags)
        runs.remove_tags(connection, project_key, edited.key, sorted(before - after))
        runs.add_tags(connection, project_key, edited.key, sorted(after - before))
        search.index(connection, [edited.key])
