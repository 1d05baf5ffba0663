"""The tracked folders that this server has met, and the way between contents paths and files.

A *contents path* is what the browser knows: `/`-separated, relative to the server's root folder. A workspace may lie at
that folder, above it or below it, and there may be several.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path, PurePosixPath

from dotscience.errors import DotscienceError
from dotscience.workspace import find_root
from jupyter_extension.emitter import Emitter
from jupyter_extension.errors import BadRequest, NotTracked
from jupyter_extension.follower import Follower

MOST_NUDGES = 100


class Workspaces:
    """Finds and follows workspaces; every method must be called on the server's loop unless it says otherwise."""

    def __init__(self, server_root: Path, *, autostart: bool, emitter: Emitter, log: logging.Logger) -> None:
        self.server_root = server_root.absolute()
        self._autostart = autostart
        self._emitter = emitter
        self._log = log
        self._followers: dict[Path, Follower] = {}
        self._nudges: set[asyncio.Task[None]] = set()

    def folder(self, contents_path: str) -> Path:
        """The folder or file that a contents path names.

        Raises:
            BadRequest: the path would leave the server's root folder, or cannot be a path.
        """
        parts = PurePosixPath(contents_path.strip("/")).parts
        if ".." in parts or "\0" in contents_path:
            raise BadRequest(f"{contents_path!r} is not a path under the server's root folder")
        return self.server_root.joinpath(*parts)

    def contents_path(self, root: Path, relative: str | None) -> str | None:
        """The contents path of the file `relative` under `root`, or None where this server cannot reach it."""
        if relative is None:
            return None
        path = root / relative
        return path.relative_to(self.server_root).as_posix() if path.is_relative_to(self.server_root) else None

    def relative_path(self, root: Path, contents_path: str) -> str:
        """The inverse of `contents_path`.

        Raises:
            BadRequest: the file is not in this workspace.
        """
        path = self.folder(contents_path)
        if not path.is_relative_to(root):
            raise BadRequest(f"{contents_path!r} is not in the tracked folder {root}")
        return path.relative_to(root).as_posix()

    async def find(self, contents_path: str) -> Follower | None:
        """The workspace that holds a folder, followed from now on; None where the folder is not tracked."""
        root = await asyncio.to_thread(find_root, self.folder(contents_path))
        return None if root is None else self.follow(root)

    async def open(self, contents_path: str) -> Follower:
        """As `find`.

        Raises:
            NotTracked: the folder is not in a workspace.
        """
        found = await self.find(contents_path)
        if found is None:
            raise NotTracked(
                f"{self.folder(contents_path)} is not tracked by Dotscience", hint="Choose *Track this folder* first."
            )
        return found

    def follow(self, root: Path) -> Follower:
        """The follower of the workspace at `root`, started if it is new."""
        if root not in self._followers:
            self._followers[root] = Follower(
                root, autostart=self._autostart, emitter=self._emitter, paths=self, log=self._log
            )
            self._followers[root].start()
        return self._followers[root]

    def nudge(self, os_path: str) -> None:
        """Tell the committer that a file was saved, without waiting; dropped when too many are under way.

        Only speed is lost then: the committer watches the folder by itself.
        """
        if len(self._nudges) < MOST_NUDGES:
            task = asyncio.get_running_loop().create_task(self._nudge(Path(os_path)))
            self._nudges.add(task)
            task.add_done_callback(self._nudges.discard)

    async def _nudge(self, path: Path) -> None:
        try:
            root = await asyncio.to_thread(find_root, path.parent)
            if root is not None:
                await self.follow(root).committer.nudge(path.relative_to(root).as_posix())
        except (DotscienceError, OSError, ValueError) as error:
            self._log.debug("Dotscience: the committer was not told of %s (%r)", path, error)

    async def close(self) -> None:
        """Stop following, and stop the committers that were started from here."""
        for task in self._nudges:
            task.cancel()
        await asyncio.gather(*self._nudges, return_exceptions=True)
        await asyncio.gather(*(follower.stop() for follower in self._followers.values()))
        self._followers.clear()
        self._emitter.close()
