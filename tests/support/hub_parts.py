"""A hub's services without a server: what pushes and what deletes, on one folder, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

from sqlalchemy import delete, select
from support.pushing import START, Clock, ObjectsToPush

from committer.storage.objects import digest
from committer.storage.reader import read_file
from committer.storage.tree import decode_tree
from hub_server.content.local import LocalStorage
from hub_server.content.packs import Packs
from hub_server.domain.types import AccountInfo
from hub_server.services.collector import Collector
from hub_server.services.events import EventBus
from hub_server.services.objects import ProjectObjects
from hub_server.services.repacking import Repacker
from hub_server.services.stopping import Stopping
from hub_server.services.sync import Move, Sync
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.store import accounts, projects
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database
from hub_server.store.migrate import migrate
from hub_server.store.schema import branch, commit, dot
from hub_server.thread_pool import ThreadPool


class InterruptedWorkers(ThreadPool):
    """A pool on which something happens after a piece of work, before whoever asked for it goes on."""

    after: Callable | None = None

    async def run(self, work):
        result = await super().run(work)
        if self.after is not None:
            after, self.after = self.after, None
            await after()
        return result


class HubParts:
    """A hub's services on a folder, with one project. Nothing is kept longer than it must be."""

    def __init__(self, folder: Path, *, days: int = 0) -> None:
        """Its clock shows so many days after `START`."""
        self.folder = folder
        self.clock = Clock()
        self.clock.advance(days=days)
        if not (folder / "hub.db").exists():  # to find out that there is nothing to migrate takes most of the time
            migrate(Sqlite(folder / "hub.db"))
        self.loop = asyncio.new_event_loop()
        self.open()
        self.dot_id = self.run(self.database.write(self._ensure_dot))

    def open(self, storage=LocalStorage):
        self.database = Database(Sqlite(self.folder / "hub.db"))
        self.workers, self.own = InterruptedWorkers(2), InterruptedWorkers(1)
        self.packs = Packs(self.folder, storage(self.folder))
        self.sync = Sync(self.database, self.packs, self.workers, EventBus(), clock=self.clock)
        context = UpkeepContext(self.database, self.packs, self.own, Stopping(), self.clock)
        self.collector = Collector(context, keep_unused=timedelta(0))
        self.repacker = Repacker(context)

    def close(self):
        self.workers.close()
        self.own.close()
        self.database.close()

    def end(self):
        self.close()
        self.loop.close()

    def run(self, work):
        return self.loop.run_until_complete(work)

    def _ensure_dot(self, connection) -> str:
        known = connection.scalar(select(dot.c.id))
        if known is not None:
            return known
        owner = accounts.ensure_administrator(connection, AccountInfo(str(uuid4()), "o"), "admin", START)
        new = projects.NewProject(id=str(uuid4()), name="p", dot_id=str(uuid4()), created_by=owner.id, created_at=START)
        projects.add_project(connection, new)
        return new.dot_id

    @property
    def dot(self):
        return self.database.read_blocking(lambda c: projects.find_dot(c, self.dot_id))

    async def upload(self, data: bytes):
        upload = self.packs.begin()
        upload.add(data)
        await self.sync.accept_pack(self.dot, digest(data), upload)

    async def commit(self, name: bytes, branch_name: str):
        move = Move(commit=name, branch=branch_name, expected_parent=None)
        await self.sync.accept_commit(self.dot, move)

    async def collect(self):
        self.clock.advance(seconds=1)
        await self.collector.collect(self.dot)
        await self.repacker.repack(self.dot)
        await self.collector.delete_packs()

    def push(self, one: SimpleNamespace) -> None:
        """Upload what `made` has made, and commit it to a branch of its own."""
        self.run(self.upload(one.objects.bytes()))
        self.run(self.commit(one.name, one.name.hex()))

    def kept(self) -> set[str]:
        """The names of the packs' files."""
        return {path.name for path in (self.folder / "packs").glob("??/*")}

    def collect_all(self) -> None:
        """As many cycles as it takes until whatever was unused at the beginning has gone, with its file."""
        for hours in (0, 25, 2):
            self.clock.advance(hours=hours)
            self.run(self.collect())

    def forget(self, name: bytes):
        """Delete a commit and the branch that points at it."""

        def work(connection):
            connection.execute(delete(branch).where(branch.c.head == name))
            connection.execute(delete(commit).where(commit.c.hash == name))

        self.run(self.database.write(work))

    def read(self, root: bytes) -> dict[str, bytes]:
        source = ProjectObjects(self.database, self.packs, self.dot.project.key)
        entries = decode_tree(source.get(root)).entries
        return {entry.name.decode(): b"".join(read_file(source, entry)) for entry in entries}


def made(hub: HubParts, contents: dict[str, bytes]) -> SimpleNamespace:
    """A commit that is not pushed yet, with all its objects."""
    objects = ObjectsToPush()
    project = SimpleNamespace(dot_id=hub.dot_id, head=None)
    name = bytes.fromhex(objects.add_commit(project, (), contents, message=str(uuid4())))
    tree = objects.add_tree(contents)
    return SimpleNamespace(name=name, root=tree, contents=contents, objects=objects)
