"""Commits and the branches that point at them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Raw, Struct
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.store.counting import capped_count
from hub_server.store.schema import branch, commit, dot


class NewCommit(Struct, frozen=True, kw_only=True):
    """A commit to be stored; `doc` is its `CommitInfo` as JSON."""

    dot_id: str
    hash: bytes
    branch: str
    root: bytes
    runs: int
    doc: bytes
    pushed_at: datetime


class Pushed(Struct, frozen=True):
    """A commit that was pushed: the branch that it was pushed to first, and the number of its runs."""

    branch: str
    runs: int


def branches(connection: Connection, dot_id: str) -> dict[str, str]:
    """The head of each branch."""
    query = select(branch.c.name, branch.c.head).where(branch.c.dot_id == dot_id).order_by(branch.c.name)
    return {row.name: row.head.hex() for row in connection.execute(query)}


def branch_head(connection: Connection, dot_id: str, name: str) -> bytes | None:
    """The commit that a branch points at."""
    return connection.scalar(select(branch.c.head).where(branch.c.dot_id == dot_id, branch.c.name == name))


def move_head(connection: Connection, dot_id: str, name: str, head: bytes, now: datetime) -> None:
    """Point a branch at a commit, making the branch where it is missing."""
    values = {"head": head, "moved_at": now}
    connection.execute(
        upsert(branch)
        .values(dot_id=dot_id, name=name, **values)
        .on_conflict_do_update(index_elements=[branch.c.dot_id, branch.c.name], set_=values)
    )


def known_commits(connection: Connection, dot_id: str, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these commits were pushed to the dot."""
    return set(connection.scalars(select(commit.c.hash).where(commit.c.dot_id == dot_id, commit.c.hash.in_(hashes))))


def find_pushed(connection: Connection, dot_id: str, commit_hash: bytes) -> Pushed | None:
    """What is stored of a commit that was pushed before."""
    row = connection.execute(
        select(commit.c.branch, commit.c.runs).where(commit.c.dot_id == dot_id, commit.c.hash == commit_hash)
    ).first()
    return None if row is None else Pushed(row.branch, row.runs)


def add_commit(connection: Connection, new: NewCommit) -> int:
    """Store a commit; its key in the database."""
    key: int = connection.execute(
        insert(commit)
        .values(
            dot_id=new.dot_id,
            hash=new.hash,
            branch=new.branch,
            root=new.root,
            runs=new.runs,
            doc=new.doc.decode(),
            pushed_at=new.pushed_at,
        )
        .returning(commit.c.id)
    ).scalar_one()
    return key


def find_commit(connection: Connection, project_key: int, commit_hash: bytes) -> tuple[Raw, bytes] | None:
    """A commit of the project: its stored `CommitInfo`, and the hash of its tree."""
    row = connection.execute(
        select(commit.c.doc, commit.c.root)
        .join(dot, dot.c.id == commit.c.dot_id)
        .where(dot.c.project_id == project_key, commit.c.hash == commit_hash)
    ).first()
    return None if row is None else (Raw(row.doc.encode()), row.root)


def list_commits(connection: Connection, project_key: int, *, after: Position | None, limit: int) -> Slice[Raw]:
    """The project's commits as stored, in the order in which they arrived, newest first."""
    mine = select(commit.c.id).join(dot, dot.c.id == commit.c.dot_id).where(dot.c.project_id == project_key)
    query = mine.add_columns(commit.c.doc).order_by(commit.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(commit.c.id < after[0])
    rows = connection.execute(query).all()
    return slice_of(
        rows, limit, lambda row: Raw(row.doc.encode()), lambda row: [row.id], capped_count(connection, mine)
    )
