"""One task per workspace: keeps a committer alive where that is wanted, and turns its feed into Jupyter events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from pathlib import Path
from typing import Any, Protocol

from dotscience.errors import CommitterUnavailable
from jupyter_extension.client import AsyncCommitter
from jupyter_extension.emitter import Emitter
from jupyter_extension.processes import CommitterProcess

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0


class PathMap(Protocol):
    """Translates a path in a workspace for the browser."""

    def contents_path(self, root: Path, relative: str | None) -> str | None:
        """The contents path of `relative` under `root`, or None where this server cannot reach it."""


class Follower:
    """Follows the committer of one workspace from `start` to `stop`.

    `error` says in one sentence why no committer answers; it is None while one does, and while one is starting.
    """

    def __init__(self, root: Path, *, autostart: bool, emitter: Emitter, paths: PathMap, log: logging.Logger) -> None:
        self.root = root
        self.committer = AsyncCommitter(root)
        self.error: str | None = None
        self._autostart = autostart
        self._emitter = emitter
        self._paths = paths
        self._log = log
        self._process = CommitterProcess(root)
        self._retry_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow; a second call does nothing."""
        self._task = self._task or asyncio.get_running_loop().create_task(self._follow())

    def retry(self) -> None:
        """Try to reach or start the committer now instead of after the back-off."""
        self._retry_now.set()

    async def stop(self) -> None:
        """Stop following, and stop the committer if it is ours."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._process.stop()
        self.committer.close()

    async def _follow(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                async with contextlib.aclosing(self.committer.events()) as events:
                    async for event in events:
                        delay_s = FIRST_DELAY_S
                        self._take(event)
            except CommitterUnavailable as error:
                await self._revive(error)
            except Exception:  # noqa: BLE001 - the boundary of this task; the next round tries again
                self._log.exception("Dotscience: following the committer of %s failed", self.root)
            await self._pause(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def _take(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "status", "status": dict(status)}:
                self.error = None
                self._emitter.committer({**status, "root": str(self.root)})
            case {"type": "run", "action": str(action), "run_id": str(run_id), "state": str(state)}:
                notebook = self._paths.contents_path(self.root, event.get("notebook"))
                self._emitter.run(action, run_id, notebook, state)
            case {"type": "resync"}:
                self._emitter.committer({"root": str(self.root), "state": "watching"})

    async def _revive(self, error: CommitterUnavailable) -> None:
        """Say that no committer answers, and start one where that is wanted and none of ours is starting already."""
        ended = await self._process.reason_it_ended()
        if self._process.running:
            return
        if self._autostart:
            try:
                await self._process.start()
            except OSError as failure:
                ended = f"The committer could not be started ({failure})"
        self._report(ended or (None if self._autostart else str(error)))

    def _report(self, reason: str | None) -> None:
        if reason and reason != self.error:
            self._log.warning("Dotscience: %s", reason)
        self.error = reason
        message = reason or "The committer is starting"
        self._emitter.committer({"root": str(self.root), "state": "unavailable", "message": message})

    async def _pause(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s * random.uniform(0.8, 1.2)):
                await self._retry_now.wait()
        self._retry_now.clear()
