"""All by which one committer sends, on threads of their own: commits, runs that are going on, and a dataset."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from committer.storage.zfs.dataset import Dataset
from committer.sync.live import LiveLoop
from committer.sync.pacing import open_uplink
from committer.sync.push import PushLoop
from committer.sync.reporting import Reporter
from committer.sync.transfer import push
from committer.sync.zfs_push import PROBLEM, DatasetLoop, send_pushed, unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from committer.settings import CommitterSettings
    from committer.status import Facts
    from committer.sync.transfer import Target
    from committer.sync.uploads import Sent
    from committer.workspace.choose import Reading


class Sender:
    """Pushes commits and sends datasets. Belongs to the event loop, on which `refresh` and `changed` are called.

    Attributes:
        push: The loop that pushes commits.
        datasets: The loop that sends the dataset after them.
        live: The loop that reports runs which are not pushed yet.
    """

    def __init__(
        self,
        store_folder: Path,
        runs_folder: Path,
        settings: CommitterSettings,
        facts: Facts,
        *,
        target: Callable[[], Target | None],
        refresh: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        """`target` says where to, None for nowhere, on any thread; `refresh` tells of new facts, `changed` soon."""
        self._loop = asyncio.get_running_loop()
        self._store_folder = store_folder
        self._sends_zfs = settings.zfs_send == "trusted"
        self._facts = facts
        self._target = target
        self._changed = changed
        self._uplink = open_uplink(
            settings.upload_concurrency, settings.upload_limit, streams=1 if self._sends_zfs else 0
        )
        self._pushing = ThreadPoolExecutor(1, "pushing")
        self._streaming = ThreadPoolExecutor(1, "streaming")
        self._reporting = ThreadPoolExecutor(1, "reporting")
        self._idle = {executor: _set_event() for executor in (self._pushing, self._streaming, self._reporting)}
        self._reporter = Reporter(runs_folder, store_folder, keep_bytes=settings.points_max)
        self._no_streams = threading.Event()
        self._dataset: Dataset | None = None
        self.push = PushLoop(
            self._attempt_push,
            executor=self._pushing,
            facts=facts,
            changed=refresh,
            check_s=settings.hub_check_s,
            retry_max_s=settings.retry_max_s,
        )
        self.datasets = DatasetLoop(self._send_dataset, executor=self._streaming, facts=facts, changed=changed)
        self.live = LiveLoop(self._report, executor=self._reporting, retry_max_s=settings.retry_max_s)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return all(idle.is_set() for idle in self._idle.values())

    def use(self, reading: Reading) -> None:
        """Know how the workspace is read; before either loop runs, on any thread."""
        if not self._sends_zfs:
            return
        if reading.dataset is not None:
            self._dataset = Dataset(reading.dataset)
            return
        refused = (one.reason for one in reading.refusals if one.name == "zfs")
        reason = "it holds more than the workspace" if reading.name == "zfs" else "another change source is set"
        self._facts.problems[PROBLEM] = unavailable(next(refused, reason))

    def rebound(self) -> None:
        """The hub is another one: forget what the last one said, and try at once."""
        self._facts.problems.pop("hub", None)
        if self._dataset is not None:
            self._facts.problems.pop(PROBLEM, None)
        self.push.wake(at_once=True)
        self._reporting.submit(self._reporter.forget)
        self.live.wake(at_once=True)

    def end(self, timeout_s: float) -> None:
        """Stop, and give what is on its way a moment; it can be cut off anywhere. Blocks.

        The points of the last second are sent, too: nobody may ever start a committer here again.
        """
        self._no_streams.set()
        if not self.live.is_failing:
            wait([self._reporting.submit(self._report)], timeout_s)
        for executor, idle in self._idle.items():
            executor.shutdown(wait=False, cancel_futures=True)
            idle.wait(timeout_s)

    def _attempt_push(self) -> None:
        """One attempt, on the thread for that."""
        target = self._target()
        if target is None:
            return
        with _unset(self._idle[self._pushing]):
            push(self._store_folder, target, self._uplink, progress=self._note_progress, sent=self._note_sent)
        if self._dataset is not None:
            self._tell_loop(self.datasets.wake)

    def _send_dataset(self) -> None:
        """One attempt, on the thread for that."""
        target = self._target()
        if target is not None and self._dataset is not None:
            with _unset(self._idle[self._streaming]):
                send_pushed(self._store_folder, self._dataset, target, self._pace)

    def _report(self) -> bool:
        """One round, on the thread for that."""
        with _unset(self._idle[self._reporting]):
            return self._reporter.round(self._target())

    def _pace(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        return self._uplink.pacer.paced(pieces, self._no_streams)

    def _note_progress(self) -> None:
        """On the thread that pushes."""
        self._tell_loop(self._progressed)

    def _progressed(self) -> None:
        self.push.note_reached()
        self._changed()

    def _note_sent(self, sent: Sent) -> None:
        """On any thread that uploads."""
        self._tell_loop(self._sent, sent)

    def _sent(self, sent: Sent) -> None:
        self._facts.sent = sent
        self._changed()

    def _tell_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """From another thread; when the loop is closed already, nobody is left to tell."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@contextlib.contextmanager
def _unset(event: threading.Event) -> Iterator[None]:
    event.clear()
    try:
        yield
    finally:
        event.set()
