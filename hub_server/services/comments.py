"""Comments on runs: everybody who may comment adds some, changes their own, and owners of the project remove any."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.names import clean_text
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.scopes import Caller
from hub_server.domain.types import Comment
from hub_server.services.events import EventBus, project_topic
from hub_server.store import collaborators, comments, run_edits
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef

T = TypeVar("T")

MAX_CHARS = 10_000


class Comments:
    """The comments on runs."""

    def __init__(self, database: Database, events: EventBus, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def of_run(self, project: ProjectRef, run_id: str, after: Position | None, limit: int) -> Slice[Comment]:
        """The comments on a run, oldest first.

        Raises:
            Problem: not-found, for the run.
        """

        def work(connection: Connection) -> Slice[Comment]:
            _check_run(connection, project, run_id)
            return comments.list_comments(connection, project.key, run_id, after, limit)

        return await self._database.read(work)

    async def add(self, caller: Caller, project: ProjectRef, run_id: str, text: str) -> Comment:
        """Comment on a run.

        Raises:
            Problem: not-found; invalid.
        """
        cleaned = _clean(text)

        def work(connection: Connection) -> Comment:
            _check_run(connection, project, run_id)
            key = comments.add_comment(
                connection, project.key, run_id, account_id=caller.account_id, text=cleaned, now=self._clock()
            )
            return _find(connection, project, run_id, key)

        return await self._write(project, run_id, work)

    async def change(self, caller: Caller, project: ProjectRef, run_id: str, comment_id: int, text: str) -> Comment:
        """Say something else in a comment of one's own.

        Raises:
            Problem: not-found; invalid; forbidden.
        """
        cleaned = _clean(text)

        def work(connection: Connection) -> Comment:
            if _find(connection, project, run_id, comment_id).author != caller.account_name:
                raise Problem("forbidden", "a comment is changed by whoever wrote it, and nobody else")
            comments.change_comment(connection, comment_id, cleaned, self._clock())
            return _find(connection, project, run_id, comment_id)

        return await self._write(project, run_id, work)

    async def delete(self, caller: Caller, project: ProjectRef, run_id: str, comment_id: int) -> None:
        """Remove a comment of one's own, or any as an owner of the project.

        Raises:
            Problem: not-found; forbidden.
        """

        def work(connection: Connection) -> None:
            is_mine = _find(connection, project, run_id, comment_id).author == caller.account_name
            if not is_mine and not _owns(connection, caller, project):
                raise Problem("forbidden", "a comment is removed by whoever wrote it, or by an owner of the project")
            comments.delete_comment(connection, comment_id)

        await self._write(project, run_id, work)

    async def _write(self, project: ProjectRef, run_id: str, work: Callable[[Connection], T]) -> T:
        result = await self._database.write(work)
        self._events.publish(project_topic(project.id), "run.changed", run_id)
        return result


def _clean(text: str) -> str:
    cleaned = clean_text(text, "/text", MAX_CHARS).strip()
    if not cleaned:
        raise invalid("/text", "a comment says something")
    return cleaned


def _check_run(connection: Connection, project: ProjectRef, run_id: str) -> None:
    if run_edits.find_edited(connection, project.key, run_id) is None:
        raise not_found("run", run_id)


def _find(connection: Connection, project: ProjectRef, run_id: str, comment_id: int) -> Comment:
    found = comments.find_comment(connection, project.key, run_id, comment_id)
    if found is None:
        raise not_found("comment", str(comment_id))
    return found


def _owns(connection: Connection, caller: Caller, project: ProjectRef) -> bool:
    if caller.is_admin:
        return True
    access = collaborators.find_access(connection, project.id, caller.account_id)
    return access is not None and access.role == "owner"
