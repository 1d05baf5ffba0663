"""Reading `.dotscience/runs/`: the sidecars of published runs, and the environments that they name.

Writers replace these files whole, so one that cannot be parsed is broken, not half written. It is reported and kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from committer.detect.sighting import Sighting, is_inside, sighting
from dotscience.errors import WireFormatError
from dotscience.notebook import read_sidecar
from dotscience.record import Environment, decode_json

ENVIRONMENT_SUFFIX = ".environment.json"
EXECUTION_SUFFIX = ".execution.json"
MAX_SIDECAR_BYTES = 64 << 20


class SidecarFile(Struct, frozen=True):
    """A file as it was when it was about to be read: one that replaces it has other marks."""

    path: Path
    marks: tuple[int, int]


class SidecarScan(Struct, frozen=True, kw_only=True):
    """What the folder holds: the runs with the files that carry them, why other files cannot be read, and brackets."""

    runs: list[tuple[SidecarFile, Sighting]]
    broken: list[str]
    brackets: Brackets


class Execution(Struct, frozen=True):
    """A bracket around an execution; see docs/design/interfaces.md, 6."""

    notebook: str
    pid: int
    ended_at: str | None = None


class Brackets(Struct, frozen=True):
    """The notebooks that `ds run` executes right now, and those of executions that are over, by their files.

    Saves after each cell of a notebook that is being executed are one execution.
    """

    executing: frozenset[str]
    ended: dict[Path, str]


def scan_sidecars(folder: Path) -> SidecarScan:
    """Read every sidecar in `folder`; a missing folder is an empty one."""
    runs, broken = [], []
    for path in sidecar_paths(folder):
        try:
            file = SidecarFile(path, _marks(path))
            seen = sighting(read_sidecar(read_regular(path), str(path)), seen_in=None)
        except FileNotFoundError:
            continue
        except (OSError, WireFormatError) as error:
            broken.append(str(error))
            continue
        if seen is not None:
            runs.append((file, seen))
    return SidecarScan(runs=runs, broken=broken, brackets=read_brackets(folder))


def remove_read(files: Iterable[SidecarFile]) -> None:
    """Remove files that were read; what has taken the place of one since then stays, to be read as well."""
    for file in files:
        with suppress(FileNotFoundError):
            if _marks(file.path) == file.marks:
                file.path.unlink()


def _marks(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns


def read_brackets(folder: Path) -> Brackets:
    """The brackets in `folder`; an execution is over when its bracket says so or its process is gone."""
    executing, ended = set(), {}
    for path in folder.glob(f"*{EXECUTION_SUFFIX}"):
        try:
            execution = msgspec.json.decode(read_regular(path), type=Execution)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if not is_inside(execution.notebook):
            continue
        if execution.ended_at is None and _lives(execution.pid):
            executing.add(execution.notebook)
        else:
            ended[path] = execution.notebook
    return Brackets(frozenset(executing), ended)


def remove_ended(folder: Path, notebooks: Collection[str]) -> None:
    """Remove the brackets of executions of these notebooks that are over: whoever waits learns that they are closed."""
    for path, notebook in read_brackets(folder).ended.items():
        if notebook in notebooks:
            path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    """Whether a process has this id (kill(2) with signal 0); another user's counts."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def sidecar_paths(folder: Path) -> Iterator[Path]:
    """The run sidecars in `folder`, oldest first, so that runs are numbered in the order of their publication."""
    try:
        entries = [entry for entry in os.scandir(folder) if is_sidecar(entry.name)]
    except FileNotFoundError:
        return
    found = []
    for entry in entries:
        try:
            found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path))
        except FileNotFoundError:
            continue
    yield from (Path(path) for _, path in sorted(found))


def is_sidecar(name: str) -> bool:
    """Whether a file name is that of a run's sidecar."""
    other = name.startswith(".") or name.endswith((ENVIRONMENT_SUFFIX, EXECUTION_SUFFIX))
    return name.endswith(".json") and not other


def read_environment(folder: Path, environment_id: str) -> Environment | None:
    """The environment with this id, or None while its file is not there or where it cannot be read."""
    path = environment_path(folder, environment_id)
    if path is None:
        return None
    try:
        return decode_json(read_regular(path), Environment)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def environment_path(folder: Path, environment_id: str) -> Path | None:
    """Where an environment's file is; None for an id that is no plain file name, as a forged record may have."""
    if not environment_id or "/" in environment_id or "\0" in environment_id or environment_id.startswith("."):
        return None
    return folder / f"{environment_id}{ENVIRONMENT_SUFFIX}"


def read_regular(path: Path, limit: int = MAX_SIDECAR_BYTES) -> bytes:
    """The bytes of a regular file that is no link; never blocks on a FIFO (open(2), O_NONBLOCK).

    Raises:
        OSError: it cannot be read, is something else, or is larger than `limit`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        if status.st_size > limit:
            raise OSError(f"{path} has {status.st_size} bytes, more than the {limit} that are read")
        return file.read()
