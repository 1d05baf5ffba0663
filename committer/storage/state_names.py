"""Which names are those of our own state, whatever file system a snapshot is written to."""

from __future__ import annotations

import os
import unicodedata

from dotscience.workspace import STATE_DIR


def is_state(name: bytes) -> bool:
    """Whether a name is that of our own state's folder, on file systems that fold case as well (CVE-2014-9390)."""
    return folded(name) == STATE_DIR


def folded(name: bytes) -> str:
    """What file systems that fold case compare; they normalise, too (APFS, ext4 with casefold)."""
    return unicodedata.normalize("NFD", os.fsdecode(name)).casefold()
