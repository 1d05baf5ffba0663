"""The audit log: entries are added and read; refusals by a limit are counted, and failed sign-ins go after a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, delete, insert, select, text, true, update

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.types import AuditEntry
from hub_server.store.counting import capped_count
from hub_server.store.schema import audit, project

COUNTED_FOR = timedelta(hours=1)
"""How long after its first one an entry counts the refusals of one caller."""
THROTTLED = 429
SIGN_IN = "sign_in"
SEVERAL = "several"
"""What an entry is about that counts refusals of requests about different things."""


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


_PROJECT_NAME = select(project.c.name).where(project.c.uuid == bindparam("about")).scalar_subquery()
_ADD = insert(audit).values(project_name=_PROJECT_NAME)
_IS_REFUSED = text("status >= 400")  # literally, as SQLite looks for it to use the index


def note(connection: Connection, entry: NewEntry) -> None:
    """Note what was done, or refused; what a limit refuses one caller within an hour is counted in one entry."""
    if entry.status != THROTTLED or not _count(connection, entry):
        fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
        connection.execute(_ADD, {**fields, "about": entry.project})


def _count(connection: Connection, entry: NewEntry) -> bool:
    """Count a refusal in the entry of an earlier one like it; whether there is one."""
    earlier = select(audit.c.id).where(_is_like(entry)).order_by(audit.c.id.desc()).limit(1).scalar_subquery()
    counted = connection.execute(
        update(audit)
        .where(audit.c.id == earlier)
        .values(
            times=audit.c.times + 1,
            last_at=entry.at,
            target=case((audit.c.target == entry.target, audit.c.target), else_=SEVERAL),
        )
    )
    return counted.rowcount > 0


def _is_like(entry: NewEntry) -> ColumnElement[bool]:
    return and_(
        _IS_REFUSED,
        audit.c.status == THROTTLED,
        audit.c.action == entry.action,
        audit.c.client == entry.client,
        audit.c.at.between(entry.at - COUNTED_FOR, entry.at),
        audit.c.credential == entry.credential,
        audit.c.account_id.is_not_distinct_from(entry.account_id),
        audit.c.project.is_not_distinct_from(entry.project),
    )


def forget_failed_sign_ins(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` entries of sign-ins that failed before a time; how many."""
    old = select(audit.c.id).where(_IS_REFUSED, audit.c.action == SIGN_IN, audit.c.at < before).limit(limit)
    return connection.execute(delete(audit).where(audit.c.id.in_(old))).rowcount


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
        last_at=row.last_at or row.at,
        count=row.times,
        account_id=row.account_id,
        account=row.account_name,
        credential=row.credential,
        client=row.client,
        action=row.action,
        project_id=row.project,
        project_name=row.project_name,
        target=row.target,
        status=row.status,
    )
