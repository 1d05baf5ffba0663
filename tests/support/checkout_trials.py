"""A checkout in place, to be tried with faults (`support.trials`)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from committer.storage.diff import diff
from committer.storage.in_place import Plan, change_in_place, open_in_place
from committer.storage.store import StoreReader
from committer.workspace.stat import open_directory

CAPABILITIES_3 = 0x20080522
OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)), by which root may write everywhere."""


def give_up_overrides() -> None:
    """Be bound by the modes of folders, as everybody but root is; for good."""
    library = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
    if library.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    data[0] &= ~OVERRIDES
    data[1] &= ~OVERRIDES
    if library.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def bring_back(store: str, root: str, saved: str, wanted: str) -> Iterator[str]:
    """Turn the folder, which is as `saved`, into what the tree `wanted` has; says that it was interrupted before."""
    give_up_overrides()
    yield "ready"
    with (
        StoreReader(Path(store)) as reader,
        open_directory(os.fsencode(root)) as descriptor,
        open_in_place(Path(root, ".dotscience")) as in_place,
    ):
        changes = diff(reader, bytes.fromhex(saved), bytes.fromhex(wanted))
        plan = Plan(commit=wanted, paths=[""], saved=saved)
        change_in_place(reader, descriptor, in_place, plan, list(changes))
