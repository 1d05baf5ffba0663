"""What a hub leaves in its data folder for the other programs of its user: where it answers, and a token."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from dotscience.errors import HubError
from dotscience.record import UtcTime

DATA_VARIABLE = "DS_HUB_DATA"
HUB_FILE = "hub.json"
TOKEN_FILE = "admin.token"  # noqa: S105 - a file's name


class HubFile(Struct, frozen=True, kw_only=True):
    """A running hub: where it answers, its process, since when."""

    url: str
    pid: int
    started_at: UtcTime


class RunningHub(Struct, frozen=True):
    """A hub that runs, and the token that lets this user administer it."""

    url: str
    admin_token: str


def default_data_folder() -> Path:
    """The hub's data folder for this user."""
    import platformdirs

    return Path(os.environ.get(DATA_VARIABLE) or Path(platformdirs.user_data_dir("dotscience")) / "hub")


def hub_on(data: Path) -> RunningHub | None:
    """The hub of this user that runs on a data folder, as that says; it is not asked whether it answers."""
    written, token = read_hub_file(data), read_token(data)
    return None if written is None or token is None else RunningHub(written.url, token)


def find_hub(data: Path) -> RunningHub | None:
    """The hub that runs on a data folder, when there is one, it answers, and this user may read its token."""
    from dotscience.client.hub import HubClient, Timeouts

    found = hub_on(data)
    if found is None:
        return None
    with HubClient(found.url, timeouts=Timeouts(connect_s=2.0, read_s=5.0), retries=0) as client:
        try:
            client.version()
        except HubError:
            return None
    return found


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
