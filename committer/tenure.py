"""Being the committer of a root: one lock, one socket, and the file that names it.

The lock is flock(2) on a file in the state folder, so the kernel releases it when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import blake3
import msgspec
import platformdirs

from dotscience.client.committer import ENDPOINT_FILE, Endpoint
from dotscience.errors import RootIsTaken, WorkspaceError
from dotscience.workspace import STATE_DIR, write_durably

LOCK_FILE = "committer.lock"
MAX_SOCKET_PATH = 100
"""sun_path holds 108 bytes on Linux and 104 on macOS (unix(7), unix(4))."""


@contextmanager
def hold_root(root: Path) -> Iterator[None]:
    """Be the only committer of `root` while the block runs.

    Raises:
        RootIsTaken: another process is.
        WorkspaceError: the state folder cannot be written.
    """
    path = root / STATE_DIR / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _not_writable(root, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RootIsTaken(f"{root} already has a committer; `ds status` shows what it does") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def announce(root: Path, socket_path: Path, *, lasts: bool = True) -> Iterator[None]:
    """Name the socket in `committer.json` while the block runs.

    Raises:
        WorkspaceError: the state folder cannot be written.
    """
    path = root / STATE_DIR / ENDPOINT_FILE
    now = datetime.now(UTC).isoformat()
    endpoint = Endpoint(pid=os.getpid(), socket=str(socket_path), started_at=now, lasts=lasts)
    try:
        write_durably(path, msgspec.json.encode(endpoint))
    except OSError as error:
        raise _not_writable(root, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # a file that names a dead committer misleads nobody: its socket is gone
            path.unlink()


def _not_writable(root: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"the committer of {root} cannot start: {error.strerror} at {error.filename or root / STATE_DIR}; runs stay in"
        f" {STATE_DIR} and are committed once that can be written"
    )


def socket_path(root: Path) -> Path:
    """Where the committer of `root` listens: a short path in a folder that only this user may enter."""
    name = f"{blake3.blake3(os.fsencode(root)).hexdigest()[:16]}.sock"
    candidates = [_runtime_folder(), Path(tempfile.gettempdir()) / f"dotscience-{os.getuid()}"]
    for folder in candidates:
        path = folder / name
        if len(os.fsencode(path)) < MAX_SOCKET_PATH and _is_private(folder):
            return path
    raise WorkspaceError(
        f"no folder for the committer's socket: {' and '.join(map(str, candidates))} cannot be used; "
        "set XDG_RUNTIME_DIR to a short path that only you can write to"
    )


def _runtime_folder() -> Path:
    with warnings.catch_warnings():
        # platformdirs warns where XDG_RUNTIME_DIR is not set, as in most containers; its substitute serves us as well.
        warnings.simplefilter("ignore", UserWarning)
        return Path(platformdirs.user_runtime_dir("dotscience"))


def _is_private(folder: Path) -> bool:
    """Make the folder if need be; whether it is a real folder, ours, and closed to others."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    is_ours = status.st_uid == os.getuid() and (status.st_mode & 0o170000) == 0o040000
    return is_ours and not status.st_mode & 0o077
