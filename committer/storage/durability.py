"""What it takes for written bytes to survive a power cut, and what it means when the disk refuses them."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dotscience.errors import DiskFull, SnapshotError
from dotscience.workspace import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "make_folder",
    "require_free_space",
    "storage_error",
    "storage_errors",
    "sync_data",
    "sync_file",
    "sync_file_system",
    "sync_folder",
]

MIN_FREE_BYTES = 2**30

sync_data = getattr(os, "fdatasync", os.fsync)
"""fdatasync(2) where there is one: a file's times are not worth a write of the file system's journal."""


def sync_file(path: Path) -> None:
    """Make what was written to a closed file durable.

    Raises:
        OSError: the disk failed.
    """
    with path.open("rb") as file:
        sync_data(file.fileno())


def sync_file_system(descriptor: int) -> None:
    """Make everything that was written to the file system of an open file durable.

    For many new files at once: one syncfs(2), which Python does not offer, costs about as much as one fsync(2). Where
    the C library lacks it, sync(2) does for all file systems.

    Raises:
        OSError: the disk failed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        os.sync()
    elif library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, durably, for the owner only."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def require_free_space(folder: Path, minimum: int) -> None:
    """Make sure that `folder`'s file system has at least `minimum` bytes free for this user.

    Raises:
        DiskFull: it has less.
    """
    free = shutil.disk_usage(folder).free
    if free < minimum:
        raise DiskFull(
            f"{folder} has {_mebibytes(free)} free, and snapshots stop below {_mebibytes(minimum)};"
            " make room there and they go on"
        )


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about `folder` into the errors that callers of a store know.

    Raises:
        DiskFull: ENOSPC or EDQUOT.
        SnapshotError: any other OSError.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(folder, error) from error


def storage_error(folder: Path, error: OSError) -> SnapshotError:
    """What callers of a store know an error of the operating system about `folder` as."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{folder} is full ({error.strerror}); make room there")
    return SnapshotError(f"{folder} cannot be used: {error}")


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
