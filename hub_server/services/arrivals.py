"""Uploads to a workspace while they arrive."""

from __future__ import annotations

from hub_server.content.paths import Path, split_key
from hub_server.domain.problems import Problem
from hub_server.services.deposits import raw_path
from hub_server.services.hub_commits import Made
from hub_server.services.workspace_heads import Volume
from hub_server.services.workspaces import Workspaces, Writer

MAX_UPLOAD_BYTES = 64 * 2**30
"""A file or an archive; both are uncompressed."""


class Arrival:
    """One upload: `add` its pieces, `finish`, and have it taken in with `commit`; always end with `forget`.

    Whatever becomes of it is noted in its writer's deposit, as the original's client does not look at the answer.
    """

    def __init__(self, service: Workspaces, volume: Volume, writer: Writer, key: str, *, is_archive: bool) -> None:
        self._service = service
        self._volume = volume
        self._writer = writer
        self._key = key.rstrip("/") if is_archive else key  # a folder's name may be written so
        self._is_archive = is_archive
        self._reason = "it broke off; send it again"
        self._staged = service.begin_file()
        self._done = service.deposits.of(volume.dot.id, writer.credential).begin()
        self._made: Made | None = None
        self._path: Path = ()

    def check(self, announced: int) -> None:
        """Refuse the upload before any of it has arrived.

        Args:
            announced: Its size, as far as the client says it; else 0.

        Raises:
            Problem: invalid, for a path that no workspace can have; too-large; locked, by what has held the workspace
                for longer than a writer waits.
        """
        try:
            self._path = split_key(self._key)
            self._check_size(announced)
            self._service.locks.check(self._volume.dot.id)
        except Problem as problem:
            self._note(problem)
            self.forget()
            raise

    async def add(self, chunk: bytes) -> None:
        """The next piece.

        Raises:
            Problem: too-large.
            DiskFull: there is no room for it.
        """
        try:
            self._check_size(self._staged.size + len(chunk))
            if self._staged.add(chunk):
                await self._service.flush(self._staged)
        except Exception as error:
            self._note(error)
            raise

    async def finish(self) -> Arrival:
        """The upload is whole."""
        return self

    async def commit(self) -> Made:
        """Take the upload in, as a commit.

        Raises:
            Problem: it was refused (see `Workspaces`).
            DiskFull: there is no room for it.
        """
        try:
            self._made = await self._service.put(
                self._volume, self._writer, self._path, self._staged, is_archive=self._is_archive
            )
        except Exception as error:
            self._note(error)
            raise
        return self._made

    def forget(self) -> None:
        """No more comes. Idempotent."""
        self._service.discard(self._staged)
        if self._done.done():
            return
        if self._made is None:
            deposit = self._service.deposits.of(self._volume.dot.id, self._writer.credential)
            what = "the archive for" if self._is_archive else "the file"
            deposit.refuse(
                raw_path(self._key), f"{what} {self._key[:200]!r}: {self._reason}", is_archive=self._is_archive
            )
        self._done.set_result(None)

    def _check_size(self, size: int) -> None:
        if size > MAX_UPLOAD_BYTES:
            raise Problem("too-large", f"an upload has at most {MAX_UPLOAD_BYTES} bytes; send it in parts")

    def _note(self, error: Exception) -> None:
        """Keep what to tell whoever commits."""
        self._reason = "the hub could not store it; the hub's log says why"
        if isinstance(error, Problem):
            self._reason = f"{error.type.status} {error.type.title}: {error}"
