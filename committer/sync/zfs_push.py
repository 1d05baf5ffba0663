"""Sending the dataset of what was pushed, besides the push itself, which never waits for it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

from committer.log import get_logger
from committer.status import Problem
from committer.storage.index import disk_errors
from committer.sync.journal import Journal
from committer.sync.zfs_send import send
from committer.workspace.zfs import committed_snapshots
from dotscience.client.problems import is_zfs_off
from dotscience.errors import DotscienceError, Forbidden, HubError, NotFound, Unauthenticated, ZfsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    from committer.status import Facts
    from committer.storage.zfs.dataset import Dataset
    from committer.sync.transfer import Target

log = get_logger(__name__)

PROBLEM = "zfs"
HOW = "docs/zfs.md says how."


class DatasetLoop:
    """Sends whenever it is woken: after every push, and whenever the hub was found to have everything.

    Belongs to the event loop; `attempt` blocks and runs on `executor`. What goes wrong is shown until an attempt works.
    """

    def __init__(
        self, attempt: Callable[[], None], *, executor: Executor, facts: Facts, changed: Callable[[], None]
    ) -> None:
        self._attempt = attempt
        self._executor = executor
        self._facts = facts
        self._changed = changed
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that the hub has something of which the snapshot may be missing there."""
        self._wake.set()

    async def run(self) -> None:
        """Loop until cancelled; an attempt under way is ended by whoever owns the executor."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await asyncio.get_running_loop().run_in_executor(self._executor, self._attempt)
            except DotscienceError as error:
                log.warning("zfs.not_sent", error=str(error))
                self._facts.problems[PROBLEM] = _problem(error)
            else:
                self._facts.problems.pop(PROBLEM, None)
            self._changed()


def send_pushed(
    store_folder: Path, dataset: Dataset, target: Target, paced: Callable[[Iterator[bytes]], Iterator[bytes]]
) -> None:
    """Send the snapshot of the newest commit that the hub has, unless it has it or there is none.

    `paced` is given the pieces of every stream, and gives them back when they may go.

    Raises:
        HubError: the hub does not answer, or takes no streams, or not this one.
        ZfsError: this side cannot send.
    """
    snapshot = _newest_pushed(store_folder, dataset, target.dot_id)
    if snapshot is None:
        return
    try:
        if send(dataset, snapshot, target, paced=paced):
            log.info("zfs.sent", dataset=dataset.name, snapshot=snapshot)
    except ZfsError:
        if any(one.name == snapshot for one in dataset.versions()):
            raise
        log.info("zfs.snapshot_superseded", snapshot=snapshot)  # by that of a later commit, which is sent when pushed


def _newest_pushed(store_folder: Path, dataset: Dataset, dot_id: str) -> str | None:
    newest_first = reversed(committed_snapshots(dataset, dot_id))
    with disk_errors(store_folder), closing(Journal(store_folder)) as journal:
        for snapshot, commit in newest_first:
            row = journal.commit(commit)
            if row is not None and row.pushed:
                return snapshot
    return None


def unavailable(reason: str) -> Problem:
    """What is wrong where there is no dataset to send."""
    return Problem(
        type="zfs-send-unavailable",
        detail=f"No ZFS dataset can be sent to the hub: {reason}",
        hint=f'Give the workspace a dataset of its own, or set `zfs_send = "off"`; {HOW}',
    )


def _problem(error: DotscienceError) -> Problem:
    if isinstance(error, HubError) and is_zfs_off(error):
        return _refused(error, 'Have the hub run with `--zfs-receive trusted`, or set `zfs_send = "off"`;')
    if isinstance(error, Unauthenticated | Forbidden | NotFound):
        hint = "The token lacks the scope `zfs:receive`, it seems: run `ds init --hub URL` with one that has it;"
        return _refused(error, hint)
    return Problem(
        type="zfs-send-failed",
        detail=f"The dataset could not be sent to the hub: {error}",
        hint="The commits are on the hub all the same. It is tried again after the next push or look at the hub.",
    )


def _refused(error: DotscienceError, hint: str) -> Problem:
    return Problem(type="zfs-send-refused", detail=f"The hub does not take the dataset: {error}", hint=f"{hint} {HOW}")
