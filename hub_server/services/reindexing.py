"""Making the tables of runs anew from the records in the packs, and from the commits that list them.

All of it is one transaction: whoever is interrupted has changed nothing. What cannot be read because it is damaged is
listed; the row of such a run stays, and what is derived from it is derived from its document. What cannot be read for a
reason that passes ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from committer.storage.damage import DAMAGE
from committer.storage.objects import decode_commit, decode_run
from dotscience.errors import CorruptObject, MissingObject
from dotscience.record import RunRecord
from hub_server.content.packs import Packs
from hub_server.domain.types import Failed
from hub_server.services.objects import ProjectObjects
from hub_server.services.run_records import Budget, read_run
from hub_server.store import projects, reindexing, search
from hub_server.store.database import Database
from hub_server.store.projects import DotRow, ProjectRef
from hub_server.store.runs import Ingest, NewRun

COMMITS = 256
RUNS = 500


class Reindexed(Struct, kw_only=True):
    """What was done: the commits that were read, the runs that are indexed, and how many of these had no row before.

    `damaged` says what could not be read.
    """

    projects: int = 0
    commits: int = 0
    runs: int = 0
    added: int = 0
    damaged: list[Failed] = msgspec.field(default_factory=list)


class Reindexer:
    """Makes the tables anew, in a database that no hub uses meanwhile."""

    def __init__(self, database: Database, packs: Packs, progress: Callable[[int, int], None]) -> None:
        """`progress` gets how many commits and runs of how many are done, on another thread."""
        self._database = database
        self._packs = packs
        self._progress = progress
        self._total = 0
        self._done = Reindexed()

    async def run(self) -> Reindexed:
        """Do it; durable when this returns.

        Raises:
            StorageUnavailable: the packs cannot be read now; nothing was changed.
            DiskFull: there is no room for it; nothing was changed.
        """
        return await self._database.write(self._rebuild)

    def _rebuild(self, connection: Connection) -> Reindexed:
        self._done = Reindexed()
        self._total = sum(reindexing.count_work(connection))
        for dot in projects.list_dots(connection):
            self._settle(connection, dot)
        reindexing.forget_derived(connection)
        for project in reindexing.all_projects(connection):
            self._derive(connection, project)
            self._done.projects += 1
        reindexing.forget_unused(connection)
        search.rebuild(connection)
        return self._done

    def _settle(self, connection: Connection, dot: DotRow) -> None:
        """The rows of the runs themselves."""
        after = 0
        while page := reindexing.commit_page(connection, dot.id, after, COMMITS):
            for row in page:
                place = Ingest(
                    project_key=dot.project.key, commit_key=row.key, commit_id=row.hash.hex(), now=row.pushed_at
                )
                self._done.added += reindexing.settle_runs(connection, place, list(self._read(dot.project, row.hash)))
                self._done.commits += 1
                self._tell()
            after = page[-1].key

    def _read(self, project: ProjectRef, name: bytes) -> Iterator[NewRun]:
        """The runs of a commit that can be read."""
        source = ProjectObjects(self._database, self._packs, project.key)
        try:
            commit = decode_commit(source.get(name))
        except DAMAGE as error:
            self._note(project, f"commit {name.hex()} cannot be read: {error}")
            return
        found, budget = source.locate(record for _, record in commit.runs), Budget()
        for run_id, record in commit.runs:
            try:
                if record not in found:
                    raise MissingObject(f"object {record.hex()} is not in this project")
                if budget.refusal(found[record].entry.size) is None:
                    yield read_run(commit, run_id, record, source.read(found[record]))
            except DAMAGE as error:
                self._note(project, f"run {run_id} cannot be read: {error}")

    def _derive(self, connection: Connection, project: ProjectRef) -> None:
        """What is derived from the rows of the runs."""
        after = 0
        while page := reindexing.run_page(connection, project.key, after, RUNS):
            read = [(one, record) for one in page if (record := self._decode(project, one)) is not None]
            if read:
                reindexing.derive(connection, project.key, read)
            self._done.runs += len(read)
            self._tell()
            after = page[-1].number

    def _decode(self, project: ProjectRef, stored: reindexing.StoredRun) -> RunRecord | None:
        try:
            return decode_run(stored.doc.encode())
        except CorruptObject as error:
            self._note(project, f"run {stored.id} is stored, but cannot be read: {error}")
            return None

    def _note(self, project: ProjectRef, detail: str) -> None:
        self._done.damaged.append(Failed(project_id=project.id, detail=detail))

    def _tell(self) -> None:
        self._progress(self._done.commits + self._done.runs, self._total)
