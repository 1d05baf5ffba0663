"""What a hub leaves in its data folder for the other programs of its user: where it answers, and a token."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from dotscience.record import UtcTime

HUB_FILE = "hub.json"
TOKEN_FILE = "admin.token"  # noqa: S105 - a file's name


class HubFile(Struct, frozen=True, kw_only=True):
    """A running hub: where it answers, its process, since when."""

    url: str
    pid: int
    started_at: UtcTime


def read_hub_file(folder: Path) -> HubFile | None:
    """The hub that runs on a data folder; None where there is none, or it is gone and could not say so.

    Somebody else may answer at the address of a hub that was killed, and must not be shown its token.
    """
    try:
        written = msgspec.json.decode((folder / HUB_FILE).read_bytes(), type=HubFile)
    except (OSError, msgspec.DecodeError):
        return None
    return written if _is_ours(written.pid) else None


def read_token(folder: Path) -> str | None:
    """The administrator's token, where this user may read it."""
    try:
        return (folder / TOKEN_FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _is_ours(pid: int) -> bool:
    """Whether a process of this user has this id (kill(2) with signal 0)."""
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return pid > 0
