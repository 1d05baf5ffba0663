"""The audit log: entries are added and read, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, insert, select, true

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.types import AuditEntry
from hub_server.store.counting import capped_count
from hub_server.store.schema import audit


class NewEntry(Struct, frozen=True, kw_only=True):
    """What is noted of a request; `target` is what it was about besides the project."""

    at: datetime
    account_id: str | None
    account_name: str
    credential: str
    client: str
    action: str
    project: str | None
    target: str
    status: int


_ADD = insert(audit)


def add_entry(connection: Connection, entry: NewEntry) -> None:
    """Note what was done."""
    connection.execute(_ADD, {name: getattr(entry, name) for name in entry.__struct_fields__})


def list_entries(
    connection: Connection, project_id: str | None, after: Position | None, limit: int
) -> Slice[AuditEntry]:
    """What was done, newest first; with `project_id` in that project alone."""
    wanted = true() if project_id is None else audit.c.project == project_id
    query = select(audit).where(wanted).order_by(audit.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(audit.c.id < after[0])
    rows = connection.execute(query).all()
    count = capped_count(connection, select(audit.c.id).where(wanted))
    return slice_of(rows, limit, _entry, lambda row: [row.id], count)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        account=row.account_name,
        credential=row.credential,
        client=row.client,
        action=row.action,
        project_id=row.project,
        target=row.target,
        status=row.status,
    )
