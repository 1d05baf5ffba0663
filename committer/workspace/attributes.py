"""Extended attributes (xattr(7)) of files and directories: those in the `user.` namespace, which belong to users."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

PREFIX = "user."

_list: Any = getattr(os, "listxattr", None)
_get: Any = getattr(os, "getxattr", None)
"""Missing from Python on macOS."""


def read_attributes(descriptor: int) -> list[tuple[bytes, bytes]]:
    """Names without the prefix and values of an open file's attributes, sorted.

    Where there can be none, or they may not be read, there are none; one that vanishes meanwhile is left out.
    """
    if _list is None:
        return []
    try:
        names = _list(descriptor)
    except OSError:  # ENOTSUP, EPERM, or a directory that a FUSE file system cannot ask
        return []
    if not names:
        return []
    found = []
    for name in names:
        if name.startswith(PREFIX):
            with suppress(OSError):
                found.append((os.fsencode(name.removeprefix(PREFIX)), _get(descriptor, name)))
    return sorted(found)
