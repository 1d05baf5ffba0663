"""Garbage collection against random histories: whatever is pushed, deleted and asked meanwhile, no commit loses a byte.

The machine knows what every commit holds. Nothing is kept here longer than it must be (`keep_unused` is zero), so that
only the rules of docs/design/garbage-collection.md protect what is needed.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import delete
from support.pushing import START, Clock, ObjectsToPush

from committer.storage.objects import digest
from committer.storage.reader import read_file
from committer.storage.tree import decode_tree
from dotscience.errors import StorageUnavailable
from hub_server.content.local import LocalStorage
from hub_server.content.packs import Packs
from hub_server.domain.problems import Problem
from hub_server.domain.types import AccountInfo
from hub_server.services.collector import Collector
from hub_server.services.events import EventBus
from hub_server.services.objects import ProjectObjects
from hub_server.services.repacking import Repacker
from hub_server.services.stopping import Stopping
from hub_server.services.sync import Move, Sync
from hub_server.services.workers import Workers
from hub_server.store import accounts, projects
from hub_server.store.database import Database
from hub_server.store.migrate import migrate
from hub_server.store.schema import branch, commit

CONTENTS = [b"content %d" % number for number in range(6)]
files = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(CONTENTS), max_size=3)


class InterruptedWorkers(Workers):
    """Workers on which something happens after a piece of work, before whoever asked for it goes on."""

    after: Callable | None = None

    async def run(self, work):
        result = await super().run(work)
        if self.after is not None:
            after, self.after = self.after, None
            await after()
        return result


class StubbornStorage(LocalStorage):
    """A folder from which nothing can be deleted now."""

    def delete(self, pack):
        raise StorageUnavailable("not now")


class Hub:
    """A hub's services on a folder, without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        migrate(folder / "hub.db")
        self.loop = asyncio.new_event_loop()
        self.open()
        self.dot_id = str(uuid4())
        self.run(self.database.write(self._create))

    def open(self, storage=LocalStorage):
        self.database = Database(self.folder / "hub.db")
        self.workers, self.own = InterruptedWorkers(2), InterruptedWorkers(1)
        self.packs = Packs(self.folder, storage(self.folder))
        self.sync = Sync(self.database, self.packs, self.workers, EventBus(), clock=self.clock)
        parts = (self.database, self.packs, self.own)
        self.collector = Collector(*parts, keep_unused=timedelta(0), stopping=Stopping(), clock=self.clock)
        self.repacker = Repacker(*parts, stopping=Stopping(), clock=self.clock)

    def close(self):
        self.workers.close()
        self.own.close()
        self.database.close()

    def run(self, work):
        return self.loop.run_until_complete(work)

    def _create(self, connection):
        owner = accounts.ensure_first_account(connection, AccountInfo(str(uuid4()), "o"), "admin", START)
        new = projects.NewProject(id=str(uuid4()), name="p", dot_id=self.dot_id, created_by=owner.id, created_at=START)
        projects.ensure_project(connection, new)

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


def made(hub: Hub, contents: dict[str, bytes]) -> SimpleNamespace:
    """A commit that is not pushed yet, with all its objects."""
    objects = ObjectsToPush()
    project = SimpleNamespace(dot_id=hub.dot_id, head=None)
    name = bytes.fromhex(objects.add_commit(project, (), contents, message=str(uuid4())))
    tree = objects.add_tree(contents)
    return SimpleNamespace(name=name, root=tree, contents=contents, objects=objects)


class Histories(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.hub = Hub(self.folder)
        self.waiting: list[SimpleNamespace] = []
        self.commits: list[SimpleNamespace] = []

    def teardown(self):
        self.hub.close()
        self.hub.loop.close()
        shutil.rmtree(self.folder)

    @rule(contents=files)
    def upload(self, contents):
        one = made(self.hub, contents)
        self.hub.run(self.hub.upload(one.objects.bytes()))
        self.waiting.append(one)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), meanwhile=st.booleans())
    def post(self, data, meanwhile):
        """Commit what was uploaded, some time ago perhaps; as a committer does, upload again what has gone."""
        one = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if meanwhile:
            self.hub.workers.after = self.hub.collect
        if not self.posted(one):
            self.hub.workers.after = None
            self.hub.run(self.hub.upload(one.objects.bytes()))
            assert self.posted(one)
        self.commits.append(one)

    def posted(self, one) -> bool:
        """Commit it; False where something that it needs is not here any more."""
        try:
            self.hub.run(self.hub.commit(one.name, one.name.hex()))
        except Problem as problem:
            if problem.kind != "missing-objects":
                raise
            return False
        return True

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def post_while_collecting(self, data):
        """Commit just after it was found out what the commits need."""
        one = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.hub.own.after = partial(self.hub.commit, one.name, one.name.hex())
        try:
            self.hub.run(self.hub.collect())
        except Problem:
            self.waiting.append(one)
        else:
            self.commits.append(one)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def ask(self, data):
        """What the hub says that it has can be committed after the next cycle."""
        one = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        names = list(one.objects.objects)
        bitmap = self.hub.run(self.hub.sync.have(self.hub.dot, b"".join(names)))
        if all(bitmap[i // 8] >> i % 8 & 1 for i in range(len(names))):
            self.hub.run(self.hub.collect())
            self.hub.run(self.hub.commit(one.name, one.name.hex()))
            self.commits.append(one)

    @precondition(lambda self: self.commits)
    @rule(data=st.data())
    def forget(self, data):
        self.hub.forget(self.commits.pop(data.draw(st.integers(0, len(self.commits) - 1))).name)

    @rule()
    def collect(self):
        self.hub.run(self.hub.collect())

    @rule(contents=files)
    def upload_while_collecting(self, contents):
        one = made(self.hub, contents)

        async def both():
            await asyncio.gather(self.hub.upload(one.objects.bytes()), self.hub.collect())

        self.hub.run(both())
        self.waiting.append(one)

    @rule()
    def let_time_pass(self):
        self.hub.clock.advance(hours=2)

    @rule()
    def restart(self):
        self.hub.close()
        self.hub.open()

    @invariant()
    def every_commit_is_whole(self):
        for one in self.commits:
            assert self.hub.read(one.root) == one.contents


Histories.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestHistories = Histories.TestCase


@pytest.fixture
def hub(tmp_path):
    made_hub = Hub(tmp_path)
    yield made_hub
    made_hub.close()
    made_hub.loop.close()


def test_what_is_deleted_between_the_check_of_a_push_and_its_commit_is_missed(hub):
    """A push that found everything here must not commit what garbage collection has deleted since."""
    one = made(hub, {"a": b"gone in between"})
    hub.run(hub.upload(one.objects.bytes()))
    hub.run(hub.collect())
    hub.workers.after = hub.collect
    with pytest.raises(Problem, match="not here") as refused:
        hub.run(hub.commit(one.name, "main"))
    assert refused.value.kind == "missing-objects"
    hub.run(hub.upload(one.objects.bytes()))
    hub.run(hub.commit(one.name, "main"))
    assert hub.read(one.root) == one.contents


def test_what_is_committed_after_the_marking_is_not_swept(hub):
    one = made(hub, {"a": b"just in time"})
    hub.run(hub.upload(one.objects.bytes()))
    hub.run(hub.collect())
    hub.own.after = partial(hub.commit, one.name, "main")
    hub.run(hub.collect())
    hub.run(hub.collect())
    assert hub.read(one.root) == one.contents


def test_a_folder_that_was_complete_hides_nothing_below_it_from_a_push(hub):
    """A cycle sees the folder of a deleted commit as unused; a commit that names it saves it with all that it holds."""
    old, new = made(hub, {"a": b"same"}), made(hub, {"a": b"same"})
    hub.run(hub.upload(old.objects.bytes()))
    hub.run(hub.commit(old.name, "old"))
    hub.run(hub.upload(new.objects.bytes()))
    hub.forget(old.name)
    hub.run(hub.collect())
    hub.own.after = partial(hub.commit, new.name, "new")
    hub.run(hub.collect())
    hub.run(hub.collect())
    assert hub.read(new.root) == new.contents


def test_a_pack_that_is_being_deleted_is_not_taken_in(hub):
    one = made(hub, {})
    data = one.objects.bytes()
    hub.run(hub.upload(data))
    hub.run(hub.collect())
    hub.run(hub.collect())
    hub.clock.advance(hours=2)
    hub.close()
    hub.open(StubbornStorage)
    with pytest.raises(StorageUnavailable):
        hub.run(hub.collector.delete_packs())
    with pytest.raises(Problem) as refused:
        hub.run(hub.upload(data))
    assert refused.value.kind == "pack-busy"
    hub.close()
    hub.open()
    hub.run(hub.collector.delete_packs())
    hub.run(hub.upload(data))
    hub.run(hub.commit(one.name, "main"))
    assert hub.read(one.root) == {}
