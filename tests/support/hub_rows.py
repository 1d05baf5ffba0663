"""Rows in a hub's database: a project, and runs in it as a push stores them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from dotscience.record import RunRecord, encode_json
from hub_server.domain.types import AccountInfo
from hub_server.store import accounts, commits, projects, runs

START = datetime(2026, 1, 1, tzinfo=UTC)


def add_project(connection, number: int = 1) -> tuple[int, str]:
    """Another project for each number; its key, and the id of its dot."""
    account = accounts.ensure_administrator(connection, AccountInfo("a", "owner"), "admin", START)
    dot = str(UUID(int=number))
    wanted = projects.NewProject(id=f"p{number}", name="p", dot_id=dot, created_by=account.id, created_at=START)
    return projects.add_project(connection, wanted), dot


def new_run(record: RunRecord, happened_at: datetime = START) -> runs.NewRun:
    """A record as it arrives; all have one hash."""
    return runs.NewRun(record=record, hash=bytes(32), doc=encode_json(record).decode(), happened_at=happened_at)


def add_runs(connection, project: int, dot: str, new: list[runs.NewRun], *, commit: int = 1) -> list[str]:
    """Store runs in a commit, another one for each number; the ids of those that are new to the project."""
    made = commits.NewCommit(
        dot_id=dot, hash=bytes([commit]) * 32, branch="main", root=bytes(32), runs=len(new), doc=b"{}", pushed_at=START
    )
    key = commits.add_commit(connection, made)
    return runs.add_runs(connection, runs.Ingest(project_key=project, commit_key=key, commit_id="00", now=START), new)
