"""Where a run comes from, and what has come from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from hub_server.domain.problems import Problem, not_found
from hub_server.domain.scopes import Caller
from hub_server.domain.types import Trace
from hub_server.store import provenance
from hub_server.store.backends.backend import QueryTimeout
from hub_server.store.collaborators import seen_projects
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef
from hub_server.store.provenance import Direction, Limits

T = TypeVar("T")

SEARCH_S = 2.0
READ_S = 10.0
"""Seconds after which a search goes no further, and after which a single look-up is given up."""


class Provenance:
    """Questions about how runs follow from each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trace(
        self, caller: Caller, project: ProjectRef, run_id: str, direction: Direction, *, depth: int, runs: int
    ) -> Trace:
        """The runs around one, in the projects that the caller sees: at most `runs` of them, `depth` steps away.

        Raises:
            Problem: not-found; trace-too-slow.
        """
        limits = Limits(depth=depth, runs=runs, seconds=SEARCH_S, within=seen_projects(caller))

        def search(connection: Connection) -> Trace | None:
            key = provenance.find_run_key(connection, project.key, run_id)
            return None if key is None else provenance.trace(connection, [key], direction, limits)

        found = await self._search(search)
        if found is None:
            raise not_found("run", run_id)
        return found

    async def trace_file(
        self, caller: Caller, project: ProjectRef, content: bytes, direction: Direction, *, depth: int, runs: int
    ) -> Trace:
        """As `trace`, of a file's content: the run that made it, or those that read it, and what lies behind them.

        Raises:
            Problem: trace-too-slow.
        """
        limits = Limits(depth=depth, runs=runs, seconds=SEARCH_S, within=seen_projects(caller))

        def search(connection: Connection) -> Trace:
            starts = provenance.find_file_runs(connection, project.key, content, direction, limits)
            return provenance.trace(connection, starts, direction, limits)

        return await self._search(search)

    async def _search(self, search: Callable[[Connection], T]) -> T:
        try:
            return await self._database.search(search, limit_s=READ_S)
        except QueryTimeout as error:
            raise Problem(
                "trace-too-slow", "too many runs have files of the same content; ask for fewer steps"
            ) from error
