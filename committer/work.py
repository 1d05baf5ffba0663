"""When commits are made, and with what: pending runs, derived runs that close, and a person's wish to save.

See ARCHITECTURE 4.5 and 4.6. A commit takes all pending runs, so it waits until none of them waits for its notebook to
be saved: then one save gives one commit, whatever the number of runs that were published before it. No run waits longer
than `publish_grace_s`, neither for its own notebook nor for that of another run.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from typing import Protocol

from msgspec import Struct

from committer.ages import Ages, utc_now
from committer.books import Books
from committer.commits import Plan, Taken
from committer.log import get_logger
from committer.notice import Noticed, close_derived, derived_wait_s
from committer.settings import CommitterSettings
from committer.status import Facts, problem_of
from committer.sync.journal import Journal
from dotscience.errors import CommitterStopping, DotscienceError, SnapshotError, WorkspaceError

log = get_logger(__name__)

SETTLE_S = 3.0
RETRY_S = 15.0
DAY_S = 86_400.0
BRACKET_CHECK_S = 1.0
PROBLEM = "snapshot"
INITIAL = "Initial snapshot"


class Hands(Protocol):
    """What the loop needs done; all on the event loop."""

    async def gather(self, settle_s: float) -> None:
        """Notice what was published so far, and let notebooks that are being written become whole."""

    async def missing_environments(self, wanted: set[str]) -> set[str]:
        """Those of the environments whose files are not there yet."""

    async def take(self, plan: Plan) -> Taken:
        """Take the commit."""

    async def committed(self, taken: Taken) -> None:
        """Clean up after a commit, and tell."""

    async def noticed(self, noticed: list[Noticed]) -> None:
        """Tell about runs."""

    async def executing(self) -> frozenset[str]:
        """The notebooks of living brackets."""

    async def closed(self, notebooks: Collection[str]) -> None:
        """What the notebooks' last executions did is accounted for."""

    def is_listed(self, notebook: str) -> bool:
        """Whether a notebook has changes that were not read yet."""

    def changed(self) -> None:
        """The facts changed."""


class Wish(Struct):
    """A person's "save and push"; `answer` gets the commit."""

    description: str
    answer: asyncio.Future[Taken]


class CommitLoop:
    """Decides and commits, one commit after the other. Belongs to the event loop.

    Attributes:
        refusal: Why no commit may be made at all, if so.
    """

    def __init__(
        self,
        dot_id: str,
        settings: CommitterSettings,
        books: Books,
        facts: Facts,
        hands: Hands,
        tracked_since: Callable[[], datetime],
        *,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """What happens is stored with a time of `clock`; for how long it is waited is counted by `monotonic`."""
        self.refusal: WorkspaceError | None = None
        self._tracked_since = tracked_since
        self._dot_id = dot_id
        self._settings = settings
        self._books = books
        self._facts = facts
        self._hands = hands
        self._wishes: list[Wish] = []
        self._closing: set[str] = set()
        self._reconsider = asyncio.Event()
        self._environment_seen = asyncio.Event()
        self._monotonic = monotonic
        self._pending = Ages(clock=clock, monotonic=monotonic)
        self._saved = Ages(clock=clock, monotonic=monotonic)
        self._not_before = -math.inf
        self._stopping = False

    def reconsider(self) -> None:
        """Something changed that may make a commit due."""
        self._environment_seen.set()
        self._reconsider.set()

    def close_at_once(self, notebook: str) -> None:
        """An execution of the notebook has ended: its derived run need not wait until it has been quiet."""
        self._closing.add(notebook)
        self._reconsider.set()

    async def save(self, description: str) -> Taken:
        """Take a commit now; returns when it is durable.

        Raises:
            DotscienceError: it could not be taken.
        """
        if self.refusal is not None:
            raise self.refusal
        if self._stopping:
            raise CommitterStopping("the committer is stopping; try again when it runs")
        wish = Wish(description, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        self._reconsider.set()
        return await wish.answer

    def stop(self) -> None:
        """Let `run` return once the commit in hand is done."""
        self._stopping = True
        self._reconsider.set()

    async def run(self) -> None:
        """Loop until stopped."""
        while not self._stopping:
            self._reconsider.clear()
            pause_s = 60.0 if self.refusal is not None else await self._step()
            try:
                async with asyncio.timeout(max(pause_s, 0.0)):
                    await self._reconsider.wait()
            except TimeoutError:
                continue
        for wish in self._wishes:
            if not wish.answer.done():
                error = CommitterStopping("the committer stopped before it could save; nothing was lost")
                wish.answer.set_exception(error)

    async def _step(self) -> float:
        """Do what is due; returns for how many seconds nothing else will be."""
        derived_in_s = await self._close_derived()
        due_in_s = await self._books.use(self._due_in_s)
        if due_in_s > 0 and not self._wishes:
            return min(due_in_s, derived_in_s)
        await self._commit(self._wishes.pop(0) if self._wishes else None)
        return 0.0

    def _due_in_s(self, journal: Journal) -> float:
        """In how many seconds a commit is due by itself."""
        since, waiting = journal.pending_since()
        self._pending.keep([("", since)] if since is not None else [])
        if since is not None:
            due_in_s = self._settings.publish_grace_s - self._pending.of("", since) if waiting else 0.0
        else:
            due_in_s = 0.0 if journal.head() is None else DAY_S
        return max(due_in_s, self._not_before - self._monotonic())

    # Derived runs

    async def _close_derived(self) -> float:
        """Close the derived runs that are due; returns in how many seconds the next may be."""
        candidates = await self._books.use(self._open_derived)
        executing = await self._hands.executing() if candidates else frozenset()
        pause_s = DAY_S
        for notebook, over_in_s in candidates.items():
            wait_s = self._derived_in_s(notebook, over_in_s, executing)
            if wait_s > 0:
                pause_s = min(pause_s, wait_s)
            else:
                await self._close(notebook)
        await self._acknowledge(still_open=candidates.keys())
        return pause_s

    async def _acknowledge(self, still_open: Collection[str]) -> None:
        """Tell of the notebooks that had nothing to derive once they were read."""
        closed = {path for path in self._closing if path not in still_open and not self._hands.is_listed(path)}
        if closed:
            self._closing -= closed
            await self._hands.closed(closed)

    def _open_derived(self, journal: Journal) -> dict[str, float]:
        """The notebooks that wait until their execution is over, and in how many seconds if nothing happens."""
        quiet_s, since = self._settings.derived_quiet_s, self._tracked_since()
        saved = journal.open_derived()
        self._saved.keep(saved.items())
        return {
            path: derived_wait_s(journal, path, quiet_s=quiet_s, tracked_since=since) - self._saved.of(path, saved_at)
            for path, saved_at in saved.items()
        }

    def _derived_in_s(self, notebook: str, over_in_s: float, executing: frozenset[str]) -> float:
        if notebook in executing:
            return BRACKET_CHECK_S
        if self._hands.is_listed(notebook):
            return self._settings.debounce_s
        if notebook in self._closing or self._settings.derived_runs == "every_save":
            return 0.0
        return over_in_s

    async def _close(self, notebook: str) -> None:
        self._closing.discard(notebook)
        noticed = await self._books.use(partial(self._close_derived_run, notebook))
        await self._hands.noticed(noticed)
        await self._hands.closed({notebook})

    def _close_derived_run(self, notebook: str, journal: Journal) -> list[Noticed]:
        return close_derived(
            journal,
            notebook,
            dot_id=self._dot_id,
            tracked_since=self._tracked_since(),
            derived_runs=self._settings.derived_runs,
        )

    # Commits

    async def _commit(self, wish: Wish | None) -> None:
        try:
            taken = await self._take(wish)
        except (DotscienceError, OSError, sqlite3.Error) as error:
            self._failed(error)
            if wish is not None and not wish.answer.done():
                wish.answer.set_exception(SnapshotError(str(error)) if isinstance(error, sqlite3.Error) else error)
            return
        except BaseException:
            if wish is not None:
                wish.answer.cancel()
            raise
        if taken is None:
            return
        self._not_before = -math.inf
        self._facts.problems.pop(PROBLEM, None)
        if wish is not None and not wish.answer.done():
            wish.answer.set_result(taken)
        await self._hands.committed(taken)

    async def _take(self, wish: Wish | None) -> Taken | None:
        """Take a commit; None where a run came meanwhile for whose notebook it has to wait."""
        await self._hands.gather(SETTLE_S)
        await self._await_environments()
        plan = await self._books.use(lambda journal: self._plan(journal, wish))
        if plan is None:
            return None
        self._facts.snapshotting = True
        self._hands.changed()
        try:
            return await self._hands.take(plan)
        finally:
            self._facts.snapshotting = False
            self._hands.changed()

    def _plan(self, journal: Journal, wish: Wish | None) -> Plan | None:
        """What the commit is to hold; a run that is noticed from now on belongs to the next one."""
        return _plan(journal, wish) if wish is not None or self._due_in_s(journal) <= 0 else None

    async def _await_environments(self) -> None:
        """Environments are captured after the first publish of a process, so their file may come a little later."""
        missing: set[str] = set()
        try:
            async with asyncio.timeout(self._settings.environment_wait_s):
                while True:
                    self._environment_seen.clear()
                    wanted = await self._books.use(lambda journal: journal.wanted_environments())
                    missing = await self._hands.missing_environments(wanted)
                    if not missing:
                        return
                    await self._environment_seen.wait()
        except TimeoutError:
            log.info("environment.missing", environments=sorted(missing)[:10])

    def _failed(self, error: Exception) -> None:
        log.error("commit.failed", error=str(error))
        self._not_before = self._monotonic() + RETRY_S
        self._facts.problems[PROBLEM] = problem_of(error, "No snapshot could be taken: ")
        self._hands.changed()


def _plan(journal: Journal, wish: Wish | None) -> Plan:
    runs = journal.pending_runs()
    head = journal.head()
    notebooks = {row.notebook for row in runs if row.notebook is not None}
    known = [row for path in notebooks if (row := journal.notebook(path)) is not None]
    named = {row.record.environment for row in runs if row.record.environment is not None}
    stored = {name: found for name in named if (found := journal.environment_hash(name)) is not None}
    description = (wish.description or None) if wish else None
    return Plan(
        runs=runs,
        parent=head.id if head else None,
        states={row.path: row.state for row in known},
        environments=stored,
        description=INITIAL if head is None and not runs and not description else description,
    )
