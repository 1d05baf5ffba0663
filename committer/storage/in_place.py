"""What a checkout in place keeps beside the folder: what is new until it has its name, and what is being done.

`.dotscience/in-place/` belongs to one checkout at a time (flock(2)). `plan.json` is there from the moment before the
first change until all are made, so that one found without its process tells of a checkout that was interrupted in the
midst. Both snapshots are in the store: bringing either of them back finishes or undoes it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from committer.storage.placing import Placer
from committer.storage.transition import Transition
from committer.workspace.stat import DIRECTORY_FLAGS, open_below, open_directory
from dotscience.errors import CheckoutRefused
from dotscience.workspace import IN_PLACE_DIR, write_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from committer.storage.diff import Change
    from committer.storage.placing import Problem
    from committer.storage.reader import Reader

PLAN = "plan.json"


class Plan(Struct, frozen=True, kw_only=True):
    """A checkout in place: of which commit and paths, and the commit that holds the folder as it was before.

    `closed` are the folders, with their modes, that are writable only while it goes on.
    """

    commit: str
    paths: list[str]
    saved: str
    closed: list[tuple[bytes, int]] = []


class Changed(NamedTuple):
    """How many files and links were written and removed, and what was not."""

    files: int
    removed: int
    problems: list[Problem]


class InPlace:
    """The open folder of a checkout in place; `interrupted` is what an earlier one did not finish."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.descriptor = descriptor
        self._plan = folder / PLAN
        self.interrupted = _read(self._plan)

    def begin(self, plan: Plan) -> None:
        """Say durably what is about to be done."""
        write_durably(self._plan, msgspec.json.encode(plan))

    def finish(self) -> None:
        """Say that all of it is done."""
        self._plan.unlink(missing_ok=True)

    def close_folders(self, root: int) -> None:
        """Give folders that an interrupted checkout made writable the modes that they had."""
        for path, mode in self.interrupted.closed if self.interrupted else ():
            with suppress(OSError), open_below(root, path) as descriptor:  # it is gone, or somebody else's by now
                os.fchmod(descriptor, mode)


@contextmanager
def open_in_place(state: Path) -> Iterator[InPlace]:
    """The folder for a checkout in place in a workspace's state folder, for this process alone.

    Raises:
        CheckoutRefused: another one is going on, or the state folder cannot be written.
    """
    folder = state / IN_PLACE_DIR
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, DIRECTORY_FLAGS)
    except OSError as error:
        raise CheckoutRefused(f"{folder} cannot be used: {error.strerror}; nothing was changed") from error
    try:
        _take_lock(descriptor, state.parent)
        _sweep(folder)
        try:
            yield InPlace(folder, descriptor)
        finally:
            _sweep(folder)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove everything but the plan: it is of a checkout that is over."""
    for path in folder.iterdir():
        if path.name != PLAN:
            path.unlink()


def _take_lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CheckoutRefused(f"another checkout in place is going on in {root}") from error


def interrupted(state: Path) -> Plan | None:
    """What a checkout in place left half done, unless it is still going on."""
    plan = _read(state / IN_PLACE_DIR / PLAN)
    if plan is None:
        return None
    try:
        with open_directory(os.fsencode(state / IN_PLACE_DIR)) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return None
    return _read(state / IN_PLACE_DIR / PLAN)


def change_in_place(
    reader: Reader,
    root: int,
    in_place: InPlace,
    plan: Plan,
    changes: Iterable[Change],
    *,
    keep_special: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Make changes to the open folder `root` by a plan, whose `closed` is found out here.

    Raises:
        CheckoutRefused: nothing was changed.
        DiskFull: nothing was changed, or, where the plan is still there, some was.
    """
    with Placer(reader, keep_special=keep_special, progress=progress) as placer:
        transition = Transition(root, in_place.descriptor, reader, placer)
        transition.prepare(changes)
        in_place.begin(msgspec.structs.replace(plan, closed=transition.closed()))
        transition.apply()
    in_place.finish()
    return Changed(placer.files, transition.removed, placer.problems)


def _read(path: Path) -> Plan | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError):
        return None
