"""The folder that a snapshot is written into: one that is empty, or that an interrupted checkout of the same began.

While it is written it holds `.dotscience/checkout.json`, which says of what; no snapshot has anything of that name.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from committer.storage.placing import new_temporary
from committer.storage.replacing import is_tracked
from committer.workspace.stat import open_directory, open_file
from dotscience.errors import CheckoutRefused
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKER = b"checkout.json"
MAX_MARKER = 2**16
_STATE = os.fsencode(STATE_DIR)


class Origin(Struct, frozen=True, kw_only=True):
    """What is being written: a commit's id and the path in it."""

    commit: str
    path: str


class Target(NamedTuple):
    """An open folder to write into; `resumed` says that an interrupted checkout of the same is in it."""

    descriptor: int
    resumed: bool
    folds_case: bool
    """Whether names that differ only in case are one name there."""

    replaces: bool
    """Whether what is of another kind there gives way."""


@contextmanager
def open_target(path: Path, origin: Origin, *, force: bool = False) -> Iterator[Target]:
    """The folder at `path`, made where it is missing, for this process alone; marked until `finish`.

    Raises:
        CheckoutRefused: it is not empty and nothing that the same checkout began (`force` allows other content, but not
            a tracked folder), another process writes to it, or it cannot be written.
    """
    descriptor = _open(path)
    try:
        with _refusing(path):
            _take_lock(descriptor, path)
            resumed = _check(descriptor, path, origin, force=force)
            _mark(descriptor, origin)
            target = Target(descriptor, resumed, _folds_case(descriptor), force)
        yield target
    finally:
        os.close(descriptor)


def finish(target: Target) -> None:
    """Take the mark away: all of the snapshot is there."""
    with open_directory(_STATE, parent=target.descriptor) as state:
        os.unlink(MARKER, dir_fd=state)
    with suppress(OSError):  # something else is in it
        os.rmdir(_STATE, dir_fd=target.descriptor)


def _open(path: Path) -> int:
    with _refusing(path):
        path.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckoutRefused(f"{path} cannot be written: {error.strerror}; choose another folder") from error


def _take_lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CheckoutRefused(f"another process is writing a checkout to {path}") from error


def _check(descriptor: int, path: Path, origin: Origin, *, force: bool) -> bool:
    names = set(os.listdir(descriptor))
    if not names:
        return False
    if STATE_DIR in names and is_tracked(descriptor):
        raise CheckoutRefused(f"{path} is a tracked folder; use --in-place there, or choose another folder")
    begun = _read_marker(descriptor) if STATE_DIR in names else None
    if begun == origin:
        return True
    if force:
        return False
    if begun is not None:
        raise CheckoutRefused(
            f"{path} holds an unfinished checkout of {begun.commit[:12]}; finish that one, empty the folder, or --force"
        )
    raise CheckoutRefused(f"{path} is not empty; choose another folder, or overwrite what is in it with --force")


def _read_marker(descriptor: int) -> Origin | None:
    try:
        with open_directory(_STATE, parent=descriptor) as state, open_file(MARKER, parent=state) as file:
            return msgspec.json.decode(os.read(file, MAX_MARKER), type=Origin)
    except (OSError, msgspec.DecodeError):
        return None


def _mark(descriptor: int, origin: Origin) -> None:
    with suppress(FileExistsError):
        os.mkdir(_STATE, 0o700, dir_fd=descriptor)
    with open_directory(_STATE, parent=descriptor) as state:
        temporary = new_temporary()
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=state)
        try:
            os.write(file, msgspec.json.encode(origin))
        finally:
            os.close(file)
        os.rename(temporary, MARKER, src_dir_fd=state, dst_dir_fd=state)


def _folds_case(descriptor: int) -> bool:
    """Ask the file system itself: some fold case in some folders only."""
    name = new_temporary()
    os.mkdir(name, dir_fd=descriptor)
    try:
        os.stat(name.upper(), dir_fd=descriptor)
    except FileNotFoundError:
        return False
    finally:
        os.rmdir(name, dir_fd=descriptor)
    return True
