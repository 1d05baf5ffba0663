"""Comments on runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, select, update

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.types import Comment
from hub_server.store.counting import capped_count
from hub_server.store.schema import account, comment


def list_comments(
    connection: Connection, project_key: int, run_id: str, after: Position | None, limit: int
) -> Slice[Comment]:
    """The comments on a run, oldest first."""
    mine = _of_run(project_key, run_id)
    query = _comments().where(mine).order_by(comment.c.id).limit(limit + 1)
    if after is not None:
        query = query.where(comment.c.id > after[0])
    rows = connection.execute(query).all()
    return slice_of(
        rows, limit, _info, lambda row: [row.id], capped_count(connection, select(comment.c.id).where(mine))
    )


def find_comment(connection: Connection, project_key: int, run_id: str, comment_id: int) -> Comment | None:
    """One comment on a run."""
    row = connection.execute(_comments().where(_of_run(project_key, run_id), comment.c.id == comment_id)).first()
    return None if row is None else _info(row)


def add_comment(
    connection: Connection, project_key: int, run_id: str, *, account_id: str, text: str, now: datetime
) -> int:
    """Store a comment; its id."""
    new = {"project_id": project_key, "run_uuid": run_id, "account_id": account_id, "text": text, "created_at": now}
    key: int = connection.execute(insert(comment).values(new).returning(comment.c.id)).scalar_one()
    return key


def change_comment(connection: Connection, comment_id: int, text: str, now: datetime) -> None:
    """Say something else."""
    connection.execute(update(comment).where(comment.c.id == comment_id).values(text=text, edited_at=now))


def delete_comment(connection: Connection, comment_id: int) -> None:
    """Take a comment back."""
    connection.execute(delete(comment).where(comment.c.id == comment_id))


def _of_run(project_key: int, run_id: str) -> ColumnElement[bool]:
    return (comment.c.project_id == project_key) & (comment.c.run_uuid == run_id)


def _comments() -> Select[Any]:
    return select(comment, account.c.name.label("author")).join(account, account.c.id == comment.c.account_id)


def _info(row: Row[Any]) -> Comment:
    return Comment(id=row.id, author=row.author, text=row.text, created_at=row.created_at, edited_at=row.edited_at)
