"""Running `zfs` and `zpool`, and what their complaints mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from dotscience.errors import (
    DatasetBusy,
    DatasetExists,
    DatasetMissing,
    DelegationMissing,
    NotSupported,
    PoolFull,
    PoolSuspended,
    ResumeTokenInvalid,
    ZfsError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 60.0
"""For commands that wait for a transaction group at most; one of these takes five seconds on a busy pool."""

MAX_MESSAGE = 500

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where distributions put the commands, which is not on every user's PATH."""

MEANINGS: tuple[tuple[type[ZfsError], str], ...] = (
    (
        NotSupported,
        r"unrecognized command|invalid option|invalid property|invalid type|bad property list|must be upgraded",
    ),
    (NotSupported, r"feature|not supported|unsupported"),
    (
        ResumeTokenInvalid,
        r"resume token|cannot resume|used in the initial send no longer exists|partially-complete state",
    ),
    (DelegationMissing, r"permission denied|must be run as root|only root can"),
    (PoolFull, r"out of space|no space left|quota exceeded"),
    (PoolSuspended, r"I/O is currently suspended|pool I/O failure"),
    (DatasetBusy, r"is busy|has dependent clones|is cloned|has children|being held|currently in use"),
    (DatasetExists, r"already exists|bookmark exists|destination .* exists"),
    (DatasetMissing, r"does not exist|no such (pool|dataset|snapshot)|could not find any snapshots|no longer exists"),
)
"""Read in order; the texts are those of libzfs, whatever the version, as LC_ALL=C gives them."""

_NAMES = re.compile(r"(?<!\w)'[^']*'|\S+@\S+")
"""What is quoted, but not what follows the apostrophe of "it's"; and snapshots, which libzfs does not always quote."""

HINTS = {
    DelegationMissing: "; allow it to this user with `zfs allow` (see docs/zfs.md)",
    PoolFull: "; make room in the pool or raise the quota",
    PoolSuspended: "; bring its disks back and run `zpool clear`",
}


def environment() -> dict[str, str]:
    """The environment for the commands: messages in English, and the folders where they are installed."""
    return {"LC_ALL": "C", "PATH": f"{os.environ.get('PATH', os.defpath)}:{SBIN}"}


def is_installed() -> bool:
    """Whether there is a `zfs` command here."""
    return shutil.which("zfs", path=environment()["PATH"]) is not None


def run(*arguments: str, timeout_s: float = TIMEOUT_S) -> str:
    """Run a command to its end; what it printed.

    Args:
        arguments: The command, `zfs` or `zpool`, and its arguments. Never goes through a shell.
        timeout_s: After how long the command is killed, in seconds.

    Raises:
        ZfsError: it is not installed, it failed, or it took too long.
    """
    try:
        ended = subprocess.run(
            arguments,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise ZfsError(f"the command {arguments[0]!r} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ZfsError(f"`{_shown(arguments)}` did not end within {timeout_s:g} s; is the pool healthy?") from error
    if ended.returncode:
        raise failure(arguments, ended.returncode, ended.stderr)
    return os.fsdecode(ended.stdout)


def failure(arguments: Sequence[str], status: int, complaint: bytes) -> ZfsError:
    """The error for a command that ended with `status` and said `complaint`."""
    text = " ".join(complaint.decode("utf-8", "replace").partition("usage:")[0].split())[:MAX_MESSAGE]
    kind = _meaning(text)
    said = text or f"exit status {status}"
    return kind(f"`{_shown(arguments)}` failed: {said}{HINTS.get(kind, '')}")


def _meaning(text: str) -> type[ZfsError]:
    said = _NAMES.sub("''", text)  # a name may read like anything
    return next((kind for kind, pattern in MEANINGS if re.search(pattern, said, re.IGNORECASE)), ZfsError)


def _shown(arguments: Sequence[str]) -> str:
    line = " ".join(arguments)
    return line if len(line) <= 200 else f"{line[:200]}…"
