"""Which failures of a read say that something stored is lost, and which pass.

Damage is a wrong hash, a file that is gone and a disk that fails: what nobody can read a moment later either. Too many
open files, too little memory, a folder that may not be entered and a mount that is lost are not: who took them for
damage would have whole packs sent again, or left out of what is made from them.
"""

from __future__ import annotations

import errno

from dotscience.errors import CorruptObject, MissingObject, SnapshotError, StorageUnavailable

DAMAGE = (CorruptObject, MissingObject)
"""The errors that say that something is lost; any other says nothing about what is stored."""

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


def read_error(what: str, error: OSError) -> SnapshotError:
    """What it means that `what`, a pack or an object, could not be read.

    `MissingObject` where its file is gone, `CorruptObject` where the disk failed (EIO), else `StorageUnavailable`.
    """
    if error.errno in _GONE:
        return MissingObject(f"{what} is gone; restore it from a backup or from the hub")
    if error.errno == errno.EIO:
        return CorruptObject(f"{what} cannot be read from its disk: {error.strerror}")
    return StorageUnavailable(f"{what} cannot be read now: {error.strerror}")
