"""The committer as a process, and what other processes do in its place where none runs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from committer.commits import Taken
from committer.identity import store_folder
from committer.log import get_logger
from committer.room import Dropped, droppable, make_room
from committer.service import Committer, Outcome
from committer.settings import CommitterSettings, load_settings
from committer.storage.store import ObjectStore
from committer.sync.journal import Journal
from committer.tenure import hold_root
from dotscience.client.committer import CommitterClient, read_endpoint
from dotscience.errors import CommitterUnavailable, RootIsTaken
from dotscience.workspace import Workspace, read_project

log = get_logger(__name__)

GARBAGE_AFTER = 50_000
PUSH_PATIENCE_S = 60.0
CANNOT_PUSH = frozenset({"unreachable", "error"})
TURN_PATIENCE_S = 120.0
SAY_AFTER_S = 1.0
ASK_AGAIN_S = 0.1

T = TypeVar("T")


def serve(workspace: Workspace, environment: Mapping[str, str]) -> bool:
    """Be the workspace's committer until SIGTERM or SIGINT, following the folder when it is moved.

    Returns whether a push was cut off.

    Raises:
        RootIsTaken: the workspace has a committer.
        DotscienceError: it cannot start.
    """
    _collect_rarely()
    while True:
        settings = load_settings(workspace.root, environment)
        outcome = _in_turn(
            workspace,
            partial(_serve_once, workspace, settings),
            unless=partial(_has_lasting_committer, workspace.root),
        )
        if outcome.root is None:
            return outcome.push_cut_off
        workspace = read_project(outcome.root)


def _has_lasting_committer(root: Path) -> bool:
    """Whether the process that is the root's committer is one until it is stopped, as far as it has said."""
    try:
        return read_endpoint(root).lasts
    except CommitterUnavailable:
        return False


def _collect_rarely() -> None:
    """Look for garbage in cycles less often than Python does by itself, and never among what has been imported.

    A snapshot makes several objects for each file, and no cycles; every 700 objects, the search is a twentieth of what
    it costs.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)


def _serve_once(workspace: Workspace, settings: CommitterSettings) -> Outcome:
    return asyncio.run(_until_stopped(workspace, settings))


async def _until_stopped(workspace: Workspace, settings: CommitterSettings) -> Outcome:
    committer = Committer(workspace, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, committer.stop)
    return await committer.run()


def drop_pushed(
    workspace: Workspace, settings: CommitterSettings, *, keep: int | None, dry_run: bool
) -> dict[str, Any]:
    """Make room in the store: by the living committer, else in its place; the fields of `committer.room.Dropped`.

    Raises:
        DotscienceError: the store cannot be used.
    """

    def attempt() -> dict[str, Any]:
        try:
            return CommitterClient(workspace.root).make_room(keep=keep, dry_run=dry_run)
        except CommitterUnavailable:
            dropped: dict[str, Any] = msgspec.to_builtins(_drop_here(workspace, settings, keep=keep, dry_run=dry_run))
            return dropped

    return _in_turn(workspace, attempt)


def _drop_here(workspace: Workspace, settings: CommitterSettings, *, keep: int | None, dry_run: bool) -> Dropped:
    folder = store_folder(workspace, settings.state_dir)
    with (
        hold_root(workspace.root),
        ObjectStore(folder, min_free_bytes=0) as store,
        contextlib.closing(Journal(folder)) as journal,
    ):
        may_go = droppable(journal, is_bound=workspace.hub is not None)
        limit = settings.local_store_max if keep is None else keep
        return make_room(store, may_go, keep=limit, dry_run=dry_run)


def save(
    workspace: Workspace, settings: CommitterSettings, description: str, sending: Callable[[int, int], None]
) -> dict[str, Any]:
    """Take a commit and push it: by the living committer, else by being one for as long as that takes.

    Returns when it is pushed, or when that cannot be done for now or takes longer than `PUSH_PATIENCE_S`. Meanwhile
    `sending` is told how many bytes of how many are sent.

    Raises:
        DotscienceError: it could not be taken.
    """
    client = CommitterClient(workspace.root)

    def attempt() -> dict[str, Any]:
        try:
            taken = client.commit(description)
        except CommitterUnavailable:
            here: Taken = asyncio.run(_save_here(workspace, settings, description, sending))
            return msgspec.to_builtins(here)  # type: ignore[no-any-return]
        with contextlib.suppress(CommitterUnavailable):
            _follow_push(client, sending)
        return taken

    return _in_turn(workspace, attempt)


def _in_turn(workspace: Workspace, attempt: Callable[[], T], *, unless: Callable[[], bool] = lambda: False) -> T:
    """Make the attempt again while another process is the committer and does not answer: it starts or ends just now.

    Raises:
        RootIsTaken: it still is after `TURN_PATIENCE_S`, or waiting has no end, as `unless` says.
    """
    began, has_said = time.monotonic(), False
    while True:
        try:
            return attempt()
        except RootIsTaken as error:
            if unless():
                raise
            waited_s = time.monotonic() - began
            if waited_s > TURN_PATIENCE_S:
                raise RootIsTaken(
                    f"another process is the committer of {workspace.root}, and still is after"
                    f" {TURN_PATIENCE_S:.0f} seconds; `ds status` shows what it does"
                ) from error
        if waited_s > SAY_AFTER_S and not has_said:
            click.echo(f"Waiting for another process, which is the committer of {workspace.root} …", err=True)
            has_said = True
        time.sleep(ASK_AGAIN_S)


def _follow_push(client: CommitterClient, sending: Callable[[int, int], None]) -> None:
    until = time.monotonic() + PUSH_PATIENCE_S
    for event in client.events(timeout_s=PUSH_PATIENCE_S):
        status = event["status"] if event["type"] == "status" else client.status()
        sending(status.get("push_bytes_done", 0), status.get("push_bytes_total", 0))
        if not status["hub"] or not status["unpushed"] or status["state"] in CANNOT_PUSH or time.monotonic() > until:
            return


async def _save_here(
    workspace: Workspace, settings: CommitterSettings, description: str, sending: Callable[[int, int], None]
) -> Taken:
    _collect_rarely()
    committer = Committer(workspace, settings, lasts=False)
    running = asyncio.create_task(committer.run())
    saving = asyncio.create_task(committer.save(description))
    await asyncio.wait({running, saving}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not saving.done():
            saving.cancel()
            await running
        taken = await saving
        await committer.pushed(PUSH_PATIENCE_S, sending)
        return taken
    finally:
        committer.stop()
        await running
