"""Dots as ZFS datasets: `<root>/<dot>`, and `<root>/<dot>-fork-<n>` for what does not follow from that.

A stream goes into the dataset that has its base as the latest snapshot. One that begins at an earlier snapshot, or at
none, becomes a dataset of its own: a clone of that snapshot, or a new one. Nothing is ever rolled back. A snapshot here
is named by its guid, so that no sender's names count.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import IO

from msgspec import Struct

from committer.storage.zfs.command import environment, failure
from committer.storage.zfs.dataset import Dataset, Version
from committer.storage.zfs.streams import receive_arguments
from dotscience.errors import DatasetMissing, NotSupported, ZfsError

MAX_FORKS = 1_000
STOP_S = 60.0
"""How long an interrupted receive may take to put away what arrived; it waits for a transaction group or two."""


class Copy(Struct, frozen=True):
    """One dataset of a dot: its snapshots, oldest first, and the token of a receive that broke off."""

    dataset: Dataset
    snapshots: list[Version]
    token: str | None

    @property
    def latest(self) -> int | None:
        """The guid of its latest snapshot."""
        return self.snapshots[-1].guid if self.snapshots else None


class Stream(Struct, frozen=True, kw_only=True):
    """What a sender says about its stream: the guids at its ends, and whether it is the rest of an interrupted one."""

    to_guid: int
    from_guid: int | None
    resume: bool


class ZfsDots:
    """The datasets below one root. Its methods block; those of one dot are called one at a time."""

    def __init__(self, root: str) -> None:
        self._root = Dataset(root)

    def prepare(self) -> None:
        """Make the root, if it is missing; what is received below it is neither mounted nor written to.

        Raises:
            ZfsError: this user may not, or there is no such pool.
        """
        if not self._root.exists():
            self._root.create({"mountpoint": "none", "readonly": "on"})
        if self._root.property("mountpoint") != "none":
            raise ZfsError(f"{self._root.name} is mounted; run `zfs set mountpoint=none {self._root.name}`")
        self._root.features  # noqa: B018 - asked here once, for all datasets below

    def copies(self, dot_id: str) -> list[Copy]:
        """The datasets of a dot, the one without a fork's name first; none where nothing was received yet."""
        found = itertools.takewhile(lambda one: one is not None, map(_look, self._names(dot_id)))
        return [one for one in found if one is not None]

    def receive_command(self, dot_id: str, stream: Stream) -> tuple[str, ...]:
        """The command that takes a stream in; what an earlier one left is dropped unless this is its rest.

        Raises:
            DatasetMissing: the stream begins at a snapshot that is not here, or continues what is not here.
            NotSupported: it needs a fork, which this pool cannot receive.
        """
        if not stream.resume:
            self._drop_partial(dot_id)
        target, origin = self._place(dot_id, stream)
        resumable = self._root.features.resume
        if origin is not None and not resumable:
            raise NotSupported("this hub's pool is too old to receive a fork; push packs instead")
        return receive_arguments(f"{target.name}@{stream.to_guid}", resumable=resumable, origin=origin)

    def check(self, dot_id: str, stream: Stream) -> None:
        """Make sure that what was received is what the sender said; what is not goes again.

        Raises:
            ZfsError: it was not.
        """
        name = f"@{stream.to_guid}"
        for copy in self.copies(dot_id):
            for one in copy.snapshots:
                if one.name == name and one.guid != stream.to_guid:
                    copy.dataset.destroy(name)
                    raise ZfsError(f"the stream ended at the snapshot {one.guid}, not at {stream.to_guid} as announced")

    def _names(self, dot_id: str) -> Sequence[Dataset]:
        forks = [f"{dot_id}-fork-{number}" for number in range(1, MAX_FORKS)]
        return [self._root.child(name) for name in (dot_id, *forks)]

    def _drop_partial(self, dot_id: str) -> None:
        for copy in self.copies(dot_id):
            if copy.token is not None:
                copy.dataset.abort_receive()

    def _place(self, dot_id: str, stream: Stream) -> tuple[Dataset, str | None]:
        """The dataset for a stream, and the snapshot of which it becomes a clone, if it does."""
        copies = self.copies(dot_id)
        if stream.resume:
            interrupted = next((one for one in copies if one.token is not None), None)
            if interrupted is None:
                raise DatasetMissing("no stream of this dot is interrupted; ask again what is here")
            return interrupted.dataset, None
        free = self._names(dot_id)[len(copies)]
        if stream.from_guid is None:
            return free, None
        for copy in copies:
            if copy.latest == stream.from_guid:
                return copy.dataset, None
        for copy in copies:
            for one in copy.snapshots:
                if one.guid == stream.from_guid:
                    return free, f"{copy.dataset.name}{one.name}"
        raise DatasetMissing(f"no snapshot with the guid {stream.from_guid} is here; ask again what is")


class Reception:
    """A stream on its way into `zfs receive`. Belongs to the event loop; end with `finish` or `abort`."""

    def __init__(self, command: tuple[str, ...], process: Process, stream: asyncio.StreamWriter) -> None:
        self._command = command
        self._process = process
        self._stream = stream

    @classmethod
    async def start(cls, command: tuple[str, ...]) -> Reception:
        """Start the command.

        Raises:
            OSError: it is not installed.
        """
        read_end, write_end = os.pipe()  # asyncio's own would be a socket, which not every ZFS can receive from
        with os.fdopen(read_end, "rb"), ExitStack() as stack:
            pipe = stack.enter_context(os.fdopen(write_end, "wb", 0))
            process = await asyncio.create_subprocess_exec(
                *command, env=environment(), stdin=read_end, stdout=DEVNULL, stderr=PIPE
            )
            stream = await _writer(pipe)
            stack.pop_all()
        return cls(command, process, stream)

    async def write(self, piece: bytes) -> None:
        """Hand over the next piece; returns when the command is ready for more.

        What comes after the command has ended is dropped: `finish` says why it did.
        """
        with suppress(ConnectionError):
            self._stream.write(piece)
            await self._stream.drain()

    async def finish(self) -> None:
        """Say that the stream is whole; returns when it has been received.

        Raises:
            ZfsError: it could not be.
        """
        self._stream.close()
        _, complaint = await self._process.communicate()
        if self._process.returncode:
            raise failure(self._command, self._process.returncode, complaint)

    async def abort(self) -> None:
        """Say that no more comes, and wait until what did come has been put away."""
        self._stream.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def _writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    """A stream into the end of a pipe, which it closes."""
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)


def _look(dataset: Dataset) -> Copy | None:
    """What a dataset has; None where there is no such dataset."""
    try:
        snapshots = [one for one in dataset.versions() if one.is_snapshot]
        return Copy(dataset, snapshots, dataset.resume_token())
    except DatasetMissing:
        return None
