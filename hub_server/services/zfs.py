"""Taking in dots as ZFS streams from senders that this hub trusts; off unless the operator said otherwise.

The kernel reads the streams, and an odd one can do it harm: so a token needs the scope `zfs:receive` by name, and the
hub a setting. What is received only copies what packs and commits carry; without a commit nothing of it shows.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta, Struct

from dotscience.errors import DiskFull, ZfsError
from hub_server.content.zfs import Copy, Reception, Stream, ZfsDots
from hub_server.domain.problems import Problem
from hub_server.domain.types import ZfsInfo
from hub_server.store.projects import DotRow
from hub_server.thread_pool import ThreadPool

Guid = Annotated[int, Meta(gt=0)]


class StreamQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a stream is: its last snapshot, the one that it begins at, and whether it is the rest of a broken one."""

    to_guid: Guid
    from_guid: Guid | None = None
    resume: bool = False


class ZfsSync:
    """The hub's side of the fast path. Belongs to the event loop."""

    def __init__(self, dots: ZfsDots | None, workers: ThreadPool) -> None:
        """`dots` is None where this hub takes no streams."""
        self._dots = dots
        self._workers = workers
        self._receiving: set[str] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def state(self, dot: DotRow) -> ZfsInfo:
        """What is here of a dot.

        Raises:
            Problem: zfs-off.
        """
        dots = self._require()
        return _info(await self._workers.run(lambda: dots.copies(dot.id)))

    def begin(self, dot: DotRow, query: StreamQuery) -> Arrival:
        """Start to take in a stream."""
        return Arrival(self, dot.id, Stream(to_guid=query.to_guid, from_guid=query.from_guid, resume=query.resume))

    async def open(self, dot_id: str, stream: Stream) -> Reception:
        """Start the command that receives a stream; of one dot only one is received at a time.

        Raises:
            Problem: zfs-off; zfs-busy; zfs-refused, for a stream that does not fit what is here.
        """
        dots = self._require()
        if dot_id in self._receiving:
            raise Problem("zfs-busy", "another stream of this dot is being received; try again when it has ended")
        self._receiving.add(dot_id)
        try:
            command = await self._workers.run(lambda: dots.receive_command(dot_id, stream))
            return await Reception.start(command)
        except BaseException as error:
            self._receiving.discard(dot_id)
            if isinstance(error, ZfsError):
                raise await self._refused(dot_id, error) from error
            raise

    async def finish(self, dot_id: str, stream: Stream, reception: Reception) -> None:
        """Wait until a whole stream is received.

        Raises:
            Problem: zfs-refused, with the token to go on with, if any.
            DiskFull: the pool has no room.
        """
        dots = self._require()
        try:
            await reception.finish()
            await self._workers.run(lambda: dots.check(dot_id, stream))
        except DiskFull:
            raise
        except ZfsError as error:
            raise await self._refused(dot_id, error) from error
        finally:
            self._receiving.discard(dot_id)

    def abandon(self, dot_id: str, reception: Reception) -> None:
        """The sender is gone; what arrived is put away by the time that the dot takes another stream."""
        task = asyncio.get_running_loop().create_task(self._abandon(dot_id, reception))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Wait until everything that arrived has been put away."""
        await asyncio.gather(*self._ending)

    async def _abandon(self, dot_id: str, reception: Reception) -> None:
        try:
            await reception.abort()
        finally:
            self._receiving.discard(dot_id)

    async def _refused(self, dot_id: str, error: ZfsError) -> Problem:
        dots = self._require()
        info = _info(await self._workers.run(lambda: dots.copies(dot_id)))
        return Problem("zfs-refused", str(error), extra={"resume_token": info.resume_token})

    def _require(self) -> ZfsDots:
        if self._dots is None:
            raise Problem("zfs-off", "this hub takes no ZFS streams; push packs instead")
        return self._dots


class Arrival:
    """One stream while it arrives: `add` its pieces, then `finish`; always end with `forget`."""

    def __init__(self, service: ZfsSync, dot_id: str, stream: Stream) -> None:
        self._service = service
        self._dot_id = dot_id
        self._stream = stream
        self._reception: Reception | None = None

    async def add(self, chunk: bytes) -> None:
        """The next piece; returns when ZFS is ready for more."""
        if self._reception is None:
            self._reception = await self._service.open(self._dot_id, self._stream)
        await self._reception.write(chunk)

    async def finish(self) -> None:
        """The stream is whole; returns when it is received.

        Raises:
            Problem: it cannot be.
        """
        if self._reception is None:
            raise Problem("zfs-refused", "the stream is empty", extra={"resume_token": None})
        reception, self._reception = self._reception, None
        await self._service.finish(self._dot_id, self._stream, reception)

    def forget(self) -> None:
        """No more comes. Idempotent."""
        if self._reception is not None:
            self._service.abandon(self._dot_id, self._reception)
            self._reception = None


def _info(copies: list[Copy]) -> ZfsInfo:
    guids = [one.guid for copy in copies for one in reversed(copy.snapshots)]
    latest = copies[0].latest if copies else None
    return ZfsInfo(
        latest_guid=None if latest is None else str(latest),
        guids=[str(guid) for guid in guids],
        resume_token=next((copy.token for copy in copies if copy.token is not None), None),
    )
