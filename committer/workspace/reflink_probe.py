"""Whether a file system's clones and extent maps can be relied on: it has to be one of those known, and to prove it."""

from __future__ import annotations

import ctypes
import os
import sys
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from committer.storage.ranges import Range
from committer.workspace.fiemap import changed_ranges, clone
from dotscience.errors import WorkspaceError

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 2**16
"""The largest block that XFS and btrfs have."""

# statfs(2), f_type. What lies below an overlay it does not tell, so there the trial alone decides.
XFS = 0x58465342
BTRFS = 0x9123683E
OVERLAY = 0x794C7630
TRUSTED = frozenset({XFS, BTRFS, OVERLAY})


def require_reflink(folder: Path) -> None:
    """Make sure that files in `folder` can be cloned and compared by where they lie. It is tried on two blocks.

    Raises:
        WorkspaceError: they cannot; the text says why.
        OSError: the folder cannot be used.
    """
    if sys.platform != "linux":
        raise WorkspaceError("large files are compared by where they lie on Linux only")
    if file_system_type(folder) not in TRUSTED:
        raise WorkspaceError(f"{folder} is neither on XFS nor on btrfs, whose extent maps tell what changed in a file")
    try:
        told = _try(folder)
    except OSError as error:
        raise WorkspaceError(f"files in {folder} cannot be cloned: {error.strerror}") from error
    if told != [[], [Range(0, BLOCK)]]:
        raise WorkspaceError(f"the extent maps of files in {folder} do not tell what changed: they said {told}")


def file_system_type(folder: Path) -> int:
    """The magic number of the file system that `folder` lies on.

    Raises:
        OSError: the folder cannot be looked at.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    status = (ctypes.c_ulong * 32)()  # larger than any struct statfs, whose first member is the number
    if libc.statfs(os.fsencode(folder), status):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))
    return int(status[0]) & 0xFFFFFFFF


def _try(folder: Path) -> list[list[Range] | None]:
    """What a clone says that changed in its file: before anything did, and after the first of two blocks did."""
    with TemporaryFile(dir=folder) as file, TemporaryFile(dir=folder) as before, TemporaryFile(dir=folder) as after:
        os.pwrite(file.fileno(), os.urandom(2 * BLOCK), 0)
        clone(file.fileno(), before.fileno())
        untouched = changed_ranges(before.fileno(), file.fileno())
        os.pwrite(file.fileno(), os.urandom(BLOCK), 0)
        clone(file.fileno(), after.fileno())
        return [untouched, changed_ranges(before.fileno(), after.fileno())]
