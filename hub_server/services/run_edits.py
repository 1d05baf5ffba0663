"""What people do with runs: name, describe and tag them, and move them to the trash and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.names import clean_name, clean_text
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.scopes import Caller
from hub_server.domain.types import RunInfo
from hub_server.services.events import EventBus, project_topic
from hub_server.store import run_edits, runs
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef
from hub_server.store.run_edits import Edit, Edited

T = TypeVar("T")

MAX_NOTES_CHARS = 100_000
MAX_TAGS = 50
MAX_TAG_CHARS = 64


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said about a run; what is None stays as it is."""

    name: str | None
    notes: str | None
    tags: list[str] | None


class RunEdits:
    """Changes to what is said about runs."""

    def __init__(self, database: Database, events: EventBus, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def change(
        self, caller: Caller, project: ProjectRef, run_id: str, change: RunChange, *, expected: int
    ) -> RunInfo:
        """Name, describe or tag a run whose version is `expected`.

        Raises:
            Problem: not-found; invalid; changed-meanwhile, where the version is another one by now.
        """
        wanted = _checked(change)

        def work(connection: Connection) -> RunInfo:
            edited = _find(connection, project, run_id)
            if edited.edit.version != expected:
                raise Problem(
                    "changed-meanwhile",
                    f"the run was changed since: its version is {edited.edit.version}, not {expected}; read it again",
                )
            new = _changed(edited.edit, wanted)
            run_edits.store_edit(
                connection, project.key, run_id, edited, new, account_id=caller.account_id, now=self._clock()
            )
            return _read(connection, project, run_id)

        return await self._write(project, run_id, work)

    async def trash(self, project: ProjectRef, run_id: str) -> None:
        """Move a run to the trash: lists, filters and traces leave it out, and nothing of it is lost. Idempotent.

        Raises:
            Problem: not-found.
        """

        def work(connection: Connection) -> None:
            edited = _find(connection, project, run_id)
            if edited.deleted_at is None:
                runs.trash_run(connection, project.key, edited.key, self._clock())

        await self._write(project, run_id, work)

    async def restore(self, project: ProjectRef, run_id: str) -> RunInfo:
        """Move a run back from the trash. Idempotent.

        Raises:
            Problem: not-found.
        """

        def work(connection: Connection) -> RunInfo:
            edited = _find(connection, project, run_id)
            if edited.deleted_at is not None:
                runs.restore_run(connection, project.key, edited.key, edited.edit.tags)
            return _read(connection, project, run_id)

        return await self._write(project, run_id, work)

    async def trashed(self, project: ProjectRef, after: Position | None, limit: int) -> Slice[RunInfo]:
        """The project's runs in the trash, those that came there last first."""
        return await self._database.read(lambda c: runs.list_trash(c, project.key, after, limit))

    async def _write(self, project: ProjectRef, run_id: str, work: Callable[[Connection], T]) -> T:
        result = await self._database.write(work)
        self._events.publish(project_topic(project.id), "run.changed", run_id)
        return result


def _find(connection: Connection, project: ProjectRef, run_id: str) -> Edited:
    found = run_edits.find_edited(connection, project.key, run_id)
    if found is None:
        raise not_found("run", run_id)
    return found


def _read(connection: Connection, project: ProjectRef, run_id: str) -> RunInfo:
    found = runs.find_run(connection, project.key, run_id)
    if found is None:
        raise not_found("run", run_id)
    return found


def _checked(change: RunChange) -> RunChange:
    return RunChange(
        name=change.name and clean_name(change.name),
        notes=None if change.notes is None else clean_text(change.notes, "/notes", MAX_NOTES_CHARS),
        tags=None if change.tags is None else _clean_tags(change.tags),
    )


def _clean_tags(tags: list[str]) -> list[str]:
    cleaned = list(dict.fromkeys(clean_name(tag, "/tags") for tag in tags))
    if len(cleaned) > MAX_TAGS or any(len(tag) > MAX_TAG_CHARS for tag in cleaned):
        raise invalid("/tags", f"a run has at most {MAX_TAGS} tags, each of at most {MAX_TAG_CHARS} characters")
    return cleaned


def _changed(edit: Edit, wanted: RunChange) -> Edit:
    named = {name: getattr(wanted, name) for name in wanted.__struct_fields__ if getattr(wanted, name) is not None}
    return msgspec.structs.replace(edit, version=edit.version + 1, **named)
