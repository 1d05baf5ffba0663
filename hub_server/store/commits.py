"""Commits and the branches that point at them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection, bindparam, func, insert, select

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.store.counting import MAX_PAGE_CHARS, capped_count, count_fitting
from hub_server.store.schema import branch, commit, dot
from hub_server.store.upsert import Upsert


class NewCommit(Struct, frozen=True, kw_only=True):
    """A commit to be stored; `doc` is its `CommitInfo` as JSON."""

    dot_id: str
    hash: bytes
    branch: str
    root: bytes
    runs: int
    doc: bytes
    pushed_at: datetime


# Statements of a push are made once: to make one costs SQLAlchemy more than to run it.

_IN_DOT = commit.c.dot_id == bindparam("dot")
_BRANCHES = select(branch.c.name, branch.c.head).where(branch.c.dot_id == bindparam("dot")).order_by(branch.c.name)
_BRANCH_HEAD = select(branch.c.head).where(branch.c.dot_id == bindparam("dot"), branch.c.name == bindparam("name"))
_MOVE_HEAD = Upsert(
    branch,
    lambda moved: moved.on_conflict_do_update(
        index_elements=[branch.c.dot_id, branch.c.name],
        set_={"head": moved.excluded.head, "moved_at": moved.excluded.moved_at},
    ),
)
_KNOWN_COMMITS = select(commit.c.hash).where(_IN_DOT, commit.c.hash.in_(bindparam("hashes", expanding=True)))
_PUSHED_TO = select(commit.c.branch).where(_IN_DOT, commit.c.hash == bindparam("hash"))
_ADD_COMMIT = insert(commit).returning(commit.c.id)


def branches(connection: Connection, dot_id: str) -> dict[str, str]:
    """The head of each branch."""
    rows = connection.execute(_BRANCHES, {"dot": dot_id})
    return {row.name: row.head.hex() for row in rows}


def branch_head(connection: Connection, dot_id: str, name: str) -> bytes | None:
    """The commit that a branch points at."""
    return connection.scalar(_BRANCH_HEAD, {"dot": dot_id, "name": name})


def move_head(connection: Connection, dot_id: str, name: str, head: bytes, now: datetime) -> None:
    """Point a branch at a commit, making the branch where it is missing."""
    connection.execute(_MOVE_HEAD.on(connection), {"dot_id": dot_id, "name": name, "head": head, "moved_at": now})


def known_commits(connection: Connection, dot_id: str, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these commits were pushed to the dot."""
    return set(connection.scalars(_KNOWN_COMMITS, {"dot": dot_id, "hashes": hashes}))


def pushed_to(connection: Connection, dot_id: str, commit_hash: bytes) -> str | None:
    """The branch that the commit was pushed to first; None where it was not pushed yet."""
    return connection.scalar(_PUSHED_TO, {"dot": dot_id, "hash": commit_hash})


def add_commit(connection: Connection, new: NewCommit) -> int:
    """Store a commit; its key in the database."""
    values = msgspec.structs.asdict(new) | {"doc": new.doc.decode()}
    key: int = connection.execute(_ADD_COMMIT, values).scalar_one()
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
    """The project's commits as stored, in the order in which they arrived, newest first.

    Fewer than `limit` where their documents are large, but one at least.
    """
    mine = select(commit.c.id).join(dot, dot.c.id == commit.c.dot_id).where(dot.c.project_id == project_key)
    query = mine.add_columns(func.length(commit.c.doc).label("size")).order_by(commit.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(commit.c.id < after[0])
    rows = connection.execute(query).all()
    fitting = min(limit, count_fitting((row.size for row in rows), MAX_PAGE_CHARS))
    documents = _documents(connection, [row.id for row in rows[:fitting]])
    return slice_of(rows, fitting, lambda row: documents[row.id], lambda row: [row.id], capped_count(connection, mine))


def _documents(connection: Connection, keys: list[int]) -> dict[int, Raw]:
    query = select(commit.c.id, commit.c.doc).where(commit.c.id.in_(keys))
    return {row.id: Raw(row.doc.encode()) for row in connection.execute(query)}
