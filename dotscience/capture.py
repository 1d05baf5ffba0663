"""Holding what a run's outputs are when it is published, so that a later run that writes to them changes nothing.

In this order: a clone of the file, where the file system shares blocks (XFS, btrfs); a copy, of what is small enough
to be copied while the user's code waits; else a living committer is asked to store it. docs/design/captures.md says
what each costs and why. What cannot be held is said in a warning, and the run's record never claims a later content.

Imported when the first run is published in a tracked folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.json import encode
from msgspec.structs import replace

from dotscience import paths
from dotscience.capture_manifest import (
    MANIFEST_FILE,
    CapturedFile,
    CaptureManifest,
    InputSignature,
    captures_folder,
)
from dotscience.file_signature import TICK_NS
from dotscience.values import clean_text
from dotscience.warning import warn
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from dotscience.record import RunRecord
    from dotscience.recording import Run

CLONE_FROM = 8 * 2**20
"""Bytes from which on a clone costs less than a copy: it first writes to the disk what is in memory only."""
MAX_COPIED_BYTES = 2**30
MAX_COPIED_FILES = 4_000
"""Beyond, a committer is asked first: it stores only what is new, and knows most unchanged files by a look."""
MAX_COPIED_BYTES_ALONE = 16 * 2**30
"""Where no committer answers."""
STORE_TIMEOUT_S = 300.0
MIN_FREE_BYTES = 2**30
"""As much of the disk stays free; snapshots stop there as well."""
ATTEMPTS = 3

# linux/fs.h (ioctl_ficlone(2)); where the number is another one, the kernel answers ENOTTY and files are copied.
_FICLONE = 0x40049409


class _Earlier(NamedTuple):
    """A capture that this process has made before: of which state of a file, and where it is."""

    signature: tuple[int, ...]
    place: str


_cannot_clone: set[int] = set()
_earlier: dict[str, _Earlier] = {}
_MAX_EARLIER = 20_000


def capture(record: RunRecord, run: Run, root: str, *, hold: bool) -> None:
    """Hold the contents of the record's outputs, and note what its inputs were.

    Returns when the user's code may go on to write to them. `hold` is false where the user wants no waiting: then only
    the files' signatures are noted. Blocks; safe for threads, as each run has a folder of its own.
    """
    manifest = CaptureManifest(
        outputs=_outputs(record, root),
        folders=_folders(run, root),
        inputs=_inputs(run, root),
    )
    if not (manifest.outputs or manifest.folders or manifest.inputs):
        return
    folder = captures_folder(Path(root)) / record.run_id
    try:
        folder.mkdir(mode=0o700, parents=True)
        if hold:
            manifest = replace(manifest, outputs=_hold(manifest.outputs, root, folder))
        _write_manifest(folder, manifest)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        warn(
            f"the run's outputs could not be held as they are now ({error.strerror or error}): "
            "if a later run writes to them before the next snapshot, this run's contents are lost"
        )


def _write_manifest(folder: Path, manifest: CaptureManifest) -> None:
    """Appear whole or not at all to whoever looks after a kill; after a power cut it may be gone, as `capture` says."""
    temporary = folder / f".{MANIFEST_FILE}.tmp"
    temporary.write_bytes(encode(manifest))
    temporary.rename(folder / MANIFEST_FILE)


# ---------------------------------------------------------------------------------- what there is


def _outputs(record: RunRecord, root: str) -> list[CapturedFile]:
    found = [_look_at(file.path, root) for file in record.outputs if not (file.outside or file.missing)]
    return [one for one in found if one is not None]


def _look_at(path: str, root: str) -> CapturedFile | None:
    """A file or link as it is now; None for what no snapshot holds."""
    if STATE_DIR in path.split("/"):
        return None
    place = os.path.join(root, path)  # noqa: PTH118 - paths are strings in the library
    try:
        status = os.lstat(place)
        target = os.readlink(place) if stat.S_ISLNK(status.st_mode) else None  # noqa: PTH115
    except (OSError, ValueError):
        return None
    if target is None and not stat.S_ISREG(status.st_mode):
        return None
    return CapturedFile(
        path=path, size=status.st_size, mtime_ns=status.st_mtime_ns, mode=status.st_mode & 0o7777, target=target
    )


def _folders(run: Run, root: str) -> list[str]:
    named = [paths.rooted(path, root) for path in run.outputs if os.path.isdir(path)]  # noqa: PTH112
    return sorted({clean_text(one.path) for one in named if not one.outside and one.path != "."})


def _inputs(run: Run, root: str) -> list[InputSignature]:
    found = []
    for path, signature in run.inputs.items():
        seen = paths.rooted(path, root)
        if signature is not None and not seen.outside:
            found.append(InputSignature(path=clean_text(seen.path), size=signature.size, mtime_ns=signature.mtime_ns))
    return found


# ---------------------------------------------------------------------------------- holding it


class _Budget:
    """How much may be copied; what keeps the disk from filling up is part of it."""

    def __init__(self, folder: Path, size: int, files: int) -> None:
        self._bytes = min(size, shutil.disk_usage(folder).free - MIN_FREE_BYTES)
        self._files = files

    def take(self, size: int) -> bool:
        """Whether a file of this size may be copied; counts it if so."""
        if self._files <= 0 or size > self._bytes:
            return False
        self._files -= 1
        self._bytes -= size
        return True


def _hold(files: list[CapturedFile], root: str, folder: Path) -> list[CapturedFile]:
    held = _hold_here(files, root, folder, _Budget(folder, MAX_COPIED_BYTES, MAX_COPIED_FILES))
    left = [file.path for file in held if not file.is_held]
    if left:
        stored = _store(left, root)
        held = [file if file.is_held else stored.get(file.path, file) for file in held]
        held = _hold_here(held, root, folder, _Budget(folder, MAX_COPIED_BYTES_ALONE, len(held)))
    _warn_about([file for file in held if not file.is_held])
    return held


def _hold_here(files: list[CapturedFile], root: str, folder: Path, budget: _Budget) -> list[CapturedFile]:
    """The same files, those that were not held and could be by a clone or copy with their content in `folder`."""
    return [
        file if file.is_held else _hold_one(file, root, os.fspath(folder / str(number)), budget) or file
        for number, file in enumerate(files)
    ]


def _hold_one(file: CapturedFile, root: str, target: str, budget: _Budget) -> CapturedFile | None:
    """The file with its content in `target`; None where it could not be held, and `target` is not there then."""
    path = os.path.join(root, file.path)  # noqa: PTH118
    try:
        source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        for _ in range(ATTEMPTS):
            before = os.fstat(source)
            if not stat.S_ISREG(before.st_mode):
                return None
            if not (_link_earlier(path, before, target) or _take(source, before, target, budget)):
                return None
            if _signature(os.fstat(source)) == _signature(before):
                _remember(path, before, target)
                return CapturedFile(
                    path=file.path,
                    size=before.st_size,
                    mtime_ns=before.st_mtime_ns,
                    mode=before.st_mode & 0o7777,
                    file=os.path.basename(target),  # noqa: PTH119
                )
            os.unlink(target)  # noqa: PTH108
    except OSError:
        _unlink(target)
    finally:
        os.close(source)
    return None


def _take(source: int, status: os.stat_result, target: str, budget: _Budget) -> bool:
    """Clone or copy an open file; whether that was allowed.

    Raises:
        OSError: it could not be read or written.
    """
    if status.st_size >= CLONE_FROM and status.st_dev not in _cannot_clone and _clone(source, status.st_dev, target):
        return True
    if not budget.take(status.st_size):
        return False
    with _new_file(target) as made:
        _copy(source, made.descriptor)
    return True


class _new_file:  # noqa: N801 - a context manager
    """A new file for this user alone, open for writing; gone again where the block fails."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> _new_file:
        self.descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        os.close(self.descriptor)
        if kind is not None:
            _unlink(self._path)


def _clone(source: int, device: int, target: str) -> bool:
    """Whether the file system could; if it cannot, this device is not asked again."""
    try:
        with _new_file(target) as made:
            fcntl.ioctl(made.descriptor, _FICLONE, source)
    except OSError:
        _cannot_clone.add(device)
        return False
    return True


def _copy(source: int, target: int) -> None:
    position = 0
    copy_range = getattr(os, "sendfile", None)
    while copy_range is not None:
        try:
            copied = copy_range(target, source, position, 2**30)
        except OSError:
            if position:
                raise
            break  # not between these two files: read and write
        if copied == 0:
            return
        position += copied
    os.lseek(source, 0, os.SEEK_SET)
    while piece := os.read(source, 2**20):
        view = memoryview(piece)
        while view:
            view = view[os.write(target, view) :]


def _link_earlier(path: str, status: os.stat_result, target: str) -> bool:
    """Have a second name for what this process has captured before, if the file has not changed since."""
    earlier = _earlier.get(path)
    if earlier is None or earlier.signature != _signature(status):
        return False
    try:
        os.link(earlier.place, target)
    except OSError:  # the committer has it in a commit by now, and removed it here
        return False
    return True


def _remember(path: str, status: os.stat_result, target: str) -> None:
    """Only what was still for a tick before it was captured: a later change in the same tick would look the same."""
    newest_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    if len(_earlier) >= _MAX_EARLIER:
        _earlier.clear()
    if os.stat(target).st_ctime_ns - newest_ns >= TICK_NS:  # noqa: PTH116
        _earlier[path] = _Earlier(_signature(status), target)


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _unlink(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except OSError:
        return


# ---------------------------------------------------------------------------------- the committer's help


def _store(files: list[str], root: str) -> dict[str, CapturedFile]:
    """What a living committer has stored of the files, by path; empty where none lives, or it cannot."""
    from dotscience.client.committer import CommitterClient
    from dotscience.errors import DotscienceError

    try:
        stored = CommitterClient(Path(root), timeout_s=STORE_TIMEOUT_S).capture(files)
    except DotscienceError:
        return {}
    return {file.path: file for file in stored}


def _warn_about(files: list[CapturedFile]) -> None:
    if files:
        size = sum(file.size for file in files)
        warn(
            f"{len(files)} outputs of the run ({size} bytes; the first is {files[0].path}) could not be held as they "
            "are now: if a later run writes to them before the next snapshot, this run's contents are lost; "
            "free some disk space, or run `ds committer`, which stores them at once"
        )
