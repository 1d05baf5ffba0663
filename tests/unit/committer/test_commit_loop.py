"""When commits are taken, and with which runs: ARCHITECTURE 4.5. The journal is real; no snapshot is taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from committer.ages import Ages
from committer.books import Books
from committer.commits import Taken
from committer.notice import notice
from committer.settings import CommitterSettings
from committer.status import Facts
from committer.sync.journal import CommitEntry, record_commit
from committer.work import CommitLoop

DOT = "6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
PATIENT = CommitterSettings(publish_grace_s=600)
HASTY = CommitterSettings(publish_grace_s=0.05)


class Hands:
    """Enters runs at the moments that tests choose, and makes commits of the planned runs alone.

    `commits` gets the ids of the runs of each commit, and which of them are stale.
    """

    def __init__(self, store, books, settings):
        self.commits = asyncio.Queue()
        self.during_gather = []
        self.gathered = asyncio.Event()
        self.during_take = []
        self.set_by = timedelta()
        facts = Facts(root="/w", dot_id=DOT, version="1")
        self.loop = CommitLoop(DOT, settings, books, facts, self, lambda: SINCE, clock=self.clock)
        self._store = store
        self._books = books
        self._number = 0

    def clock(self):
        """A clock that a test may set."""
        return datetime.now(UTC) + self.set_by

    async def enter(self, *sightings):
        def write(journal):
            with journal.transaction():
                return notice(journal, sightings, tracked_since=SINCE)

        await self.noticed(await self._books.use(write))

    async def noticed(self, noticed):
        self.loop.reconsider()

    async def gather(self, settle_s):
        sightings, self.during_gather = self.during_gather, []
        await self.enter(*sightings)
        if sightings:
            self.gathered.set()

    async def missing_environments(self, wanted):
        return set()

    async def take(self, plan):
        sightings, self.during_take = self.during_take, []
        await self.enter(*sightings)
        self._number += 1
        entry = CommitEntry(
            id=f"{self._number:064x}",
            created_at=datetime.now(UTC),
            consistency="stable",
            runs=[(row.record, row.source) for row in plan.runs],
        )
        self._store.commit(lambda connection: record_commit(connection, entry))
        self.commits.put_nowait({row.run_id: row.expects_notebook and not row.in_notebook for row in plan.runs})
        return Taken(
            commit=entry.id, files=0, new_bytes=0, consistency="stable", runs=[row.run_id for row in plan.runs]
        )

    async def committed(self, taken):
        """Nothing to clean up."""

    async def executing(self):
        return frozenset()

    async def closed(self, notebooks):
        """There are no brackets."""

    def is_listed(self, notebook):
        return False

    def changed(self):
        """Nobody looks at the facts."""


@pytest.fixture
def beside_loop(store):
    """Runs a coroutine beside a commit loop that has made its initial commit."""

    def run(body, settings):
        async def main():
            books = Books()
            await books.open(store.folder)
            hands = Hands(store, books, settings)
            running = asyncio.create_task(hands.loop.run())
            try:
                async with asyncio.timeout(30):
                    assert await hands.commits.get() == {}
                    await body(hands)
            finally:
                hands.loop.stop()
                await running
                await books.close()

        asyncio.run(main())

    return run


def saved(make_sighting, published):
    """The same run as a saved notebook shows it."""
    return make_sighting("mime", notebook="a.ipynb", seen_in="a.ipynb", run_id=published.record.run_id)


def test_a_run_published_just_after_the_save_makes_the_commit_wait_for_the_next_save(beside_loop, make_sighting):
    async def body(hands):
        first, second = (make_sighting(notebook="a.ipynb") for _ in range(2))
        hands.during_gather = [second]
        await hands.enter(first, saved(make_sighting, first))
        await hands.gathered.wait()
        await hands.enter(saved(make_sighting, second))
        assert await hands.commits.get() == {first.record.run_id: False, second.record.run_id: False}

    beside_loop(body, PATIENT)


def test_a_run_published_during_a_snapshot_belongs_to_the_next_commit(beside_loop, make_sighting):
    async def body(hands):
        first, second = make_sighting(), make_sighting()
        hands.during_take = [second]
        await hands.enter(first)
        assert await hands.commits.get() == {first.record.run_id: False}
        assert await hands.commits.get() == {second.record.run_id: False}

    beside_loop(body, PATIENT)


def test_no_run_waits_longer_than_the_grace_and_one_commit_takes_all(beside_loop, make_sighting):
    async def body(hands):
        unsaved, script = make_sighting(notebook="a.ipynb"), make_sighting()
        await hands.enter(unsaved, script)
        assert await hands.commits.get() == {unsaved.record.run_id: True, script.record.run_id: False}

    beside_loop(body, HASTY)


def test_a_person_who_saves_does_not_wait(beside_loop, make_sighting):
    async def body(hands):
        unsaved = make_sighting(notebook="a.ipynb")
        await hands.enter(unsaved)
        assert (await hands.loop.save("now")).runs == [unsaved.record.run_id]

    beside_loop(body, PATIENT)


def test_a_run_waits_for_its_notebook_as_long_as_ever_when_the_clock_is_set_back(beside_loop, make_sighting):
    async def body(hands):
        hands.set_by = timedelta(days=-1)
        unsaved = make_sighting(notebook="a.ipynb")
        await hands.enter(unsaved)
        assert await hands.commits.get() == {unsaved.record.run_id: True}

    beside_loop(body, HASTY)


def test_a_run_waits_for_its_notebook_as_long_as_ever_when_the_clock_is_set_forward(beside_loop, make_sighting):
    async def body(hands):
        unsaved = make_sighting(notebook="a.ipynb")
        await hands.enter(unsaved)
        await asyncio.sleep(0.1)
        hands.set_by = timedelta(days=1)
        hands.loop.reconsider()
        await asyncio.sleep(0.1)
        assert hands.commits.empty()
        await hands.enter(saved(make_sighting, unsaved))
        assert await hands.commits.get() == {unsaved.record.run_id: False}

    beside_loop(body, PATIENT)


def test_ages_are_those_of_the_clock_at_first_and_then_of_the_seconds_that_pass():
    now, wall = 100.0, SINCE + timedelta(seconds=7)
    ages = Ages(clock=lambda: wall, monotonic=lambda: now)
    assert (ages.of("a", SINCE), ages.of("b", wall + timedelta(days=1))) == (7, 0)
    for days in (1, -2):
        now, wall = now + 5, wall + timedelta(days=days)
    assert (ages.of("a", SINCE), ages.of("a", wall)) == (17, 0)
    ages.keep([("a", SINCE)])
    assert (ages.of("a", SINCE), ages.of("b", SINCE + timedelta(days=9))) == (17, 0)
