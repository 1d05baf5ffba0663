"""Garbage collection against random histories: whatever is pushed, deleted and asked meanwhile, no commit loses a byte.

The machine knows what every commit holds. Nothing is kept here longer than it must be (`keep_unused` is zero), so that
only the rules of docs/design/garbage-collection.md protect what is needed.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.hub_parts import HubParts, made

from dotscience.errors import StorageUnavailable
from hub_server.content.local import LocalStorage
from hub_server.domain.problems import Problem

CONTENTS = [b"content %d" % number for number in range(6)]
files = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(CONTENTS), max_size=3)


class StubbornStorage(LocalStorage):
    """A folder from which nothing can be deleted now."""

    def delete(self, pack):
        raise StorageUnavailable("not now")


class Histories(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.hub = HubParts(self.folder)
        self.waiting: list[SimpleNamespace] = []
        self.commits: list[SimpleNamespace] = []

    def teardown(self):
        self.hub.end()
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
        one = self.some_waiting(data)
        if meanwhile:
            self.hub.workers.after = self.hub.collect
        if not self.posted(one):
            self.hub.workers.after = None
            self.hub.run(self.hub.upload(one.objects.bytes()))
            assert self.posted(one)
        self.commits.append(one)

    def some_waiting(self, data):
        return self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))

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
        one = self.some_waiting(data)
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
        one = self.some_waiting(data)
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
    parts = HubParts(tmp_path)
    yield parts
    parts.end()


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
