"""A file while it arrives, in a data folder's `staging/`."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from committer.storage.durability import storage_errors

STAGING = "staging"
FLUSH_SIZE = 2**20


class StagedFile:
    """Bytes while they arrive: `add` them, `flush` when told to, and always end with `discard`.

    Its methods are called one at a time, from any thread, and but for `add` they block. Only `discard` may come at any
    moment: a client that goes away has its upload discarded while another thread writes.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing touches the disk before the first `flush`."""
        self._folder = folder
        self._buffer = bytearray()
        self._path = folder / STAGING / uuid4().hex
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self.size = 0
        self.discarded = False

    def add(self, data: bytes) -> bool:
        """Take the next bytes; whether so many have gathered that they should be flushed."""
        self._buffer += data
        self.size += len(data)
        return len(self._buffer) >= FLUSH_SIZE

    def flush(self) -> None:
        """Write what has gathered.

        Raises:
            DiskFull: there is no room for it.
        """
        with self._lock, storage_errors(self._folder):
            if not self.discarded:
                file = self.open()
                file.write(self._buffer)
                file.flush()
                self._flushed(self._buffer)
            self._buffer.clear()

    def open(self) -> IO[bytes]:
        """The file with all that was flushed, which stays this object's own."""
        if self._file is None:
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb+")
        return self._file

    def discard(self) -> None:
        """Let go of the file, and remove it unless it was moved away; never fails. Idempotent."""
        with self._lock:
            self.discarded = True
            if self._file is not None:
                with suppress(OSError):  # what was kept is not there any more
                    self._path.unlink()
                with suppress(OSError):  # what could not be written before cannot be written now, nor need it be
                    self._file.close()

    def _flushed(self, data: bytearray) -> None:
        """A hook for subclasses: these bytes were just written."""
