"""Receiving request bodies: small ones in memory, packs in a file, neither beyond what the operation accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub_server.content.packs import Upload
from hub_server.domain.problems import Problem
from hub_server.services.services import Services
from hub_server.thread_pool import ThreadPool
from hub_server.web.decoding import decode_body
from hub_server.web.operation import Call, Media, Operation, Receiver

OCTETS = "application/octet-stream"


def check_announced(operation: Operation, headers: Mapping[str, str]) -> None:
    """Refuse a body by its headers, before any of it is received.

    Raises:
        Problem: unsupported-media-type or too-large.
    """
    if operation.media in (Media.NONE, Media.SOCKET, Media.FILE):
        return
    wanted = "application/json" if operation.media is Media.JSON else OCTETS
    given = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise Problem("unsupported-media-type", f"the body is {given[:80] or 'of no type'}; send it as {wanted}")
    if announced_size(headers) > operation.max_body:
        raise _too_large(operation)


def announced_size(headers: Mapping[str, str]) -> int:
    """The bytes that a request says its body has; 0 where it does not say, or not in digits."""
    length = headers.get("Content-Length", "0")
    return int(length[:18]) if length.isdecimal() else 0


def open_receiver(hub: Services, operation: Operation, call: Call[Any, Any]) -> Receiver | None:
    """What receives the operation's body; None where it takes none, and whatever comes is dropped."""
    if operation.receive is not None:
        return operation.receive(hub, call)
    if operation.media is Media.PACK:
        return _PackReceiver(operation, hub.workers, hub.sync.begin_pack())
    if operation.media is Media.ZFS:
        return hub.zfs.begin(call.dot, call.query)
    if operation.media in (Media.JSON, Media.BYTES):
        return _MemoryReceiver(operation)
    return None


class _MemoryReceiver:
    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._data = bytearray()

    async def add(self, chunk: bytes) -> None:
        if len(self._data) <= self._operation.max_body:
            self._data += chunk

    async def finish(self) -> Any:
        if len(self._data) > self._operation.max_body:
            raise _too_large(self._operation)
        data = bytes(self._data)
        return decode_body(self._operation.body, data) if self._operation.media is Media.JSON else data

    def forget(self) -> None:
        self._data.clear()


class _PackReceiver:
    """Gathers the pack in an upload, which writes large pieces on worker threads."""

    def __init__(self, operation: Operation, workers: ThreadPool, upload: Upload) -> None:
        self._operation = operation
        self._workers = workers
        self._upload = upload
        self._size = 0

    async def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= self._operation.max_body and self._upload.add(chunk):
            await self._workers.run(self._upload.flush)

    async def finish(self) -> Upload:
        if self._size > self._operation.max_body:
            raise _too_large(self._operation)
        return self._upload

    def forget(self) -> None:
        if not self._upload.discarded:
            self._workers.start(self._upload.discard)


def _too_large(operation: Operation) -> Problem:
    return Problem("too-large", f"the body is larger than the {operation.max_body} bytes that this operation accepts")
