"""Reading the points of runs that are going on, or were (docs/design/live-metrics.md, 2).

Whatever code runs in the workspace can write to these files, so nothing in them is believed.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from dotscience.errors import WireFormatError
from dotscience.points import SUFFIX, Point
from dotscience.record import RunRecord, decode_json, encode_json

MAX_BATCH = 5_000
MAX_PIECE_BYTES = 512 * 1024
MAX_FIRST_LINE = 4 * 2**20
MAX_RECORD_BYTES = 256 * 1024
"""What a hub takes of a record; of larger ones it gets neither parameters nor labels before they are published."""

_LINES = msgspec.json.Decoder(Point)


class Piece(Struct, frozen=True, kw_only=True):
    """Points that lie between two positions; with `more` to read after them. Lines that cannot be read are counted."""

    start: int
    end: int
    points: list[Point]
    unreadable: int = 0
    more: bool = False


class PointsFile:
    """A run's file, open for reading; belongs to a `with` block.

    Raises:
        OSError: it is gone, or is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name.removesuffix(SUFFIX)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise OSError(f"{path} is not a regular file")

    def __enter__(self) -> PointsFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def size(self) -> int:
        """How many bytes it has now."""
        return os.fstat(self._descriptor).st_size

    def is_held(self) -> bool:
        """Whether the process that records the run still has it (flock(2))."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

    def record(self) -> bytes:
        """The run as it was at its first point, as JSON that a hub takes.

        Raises:
            WireFormatError: the first line is no record of this run.
        """
        line = self._first_line()
        try:
            record = decode_json(line, RunRecord)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireFormatError(f"{self.path} does not begin with a run's record: {error}") from error
        if record.run_id != self.run_id:
            raise WireFormatError(f"{self.path} begins with the record of another run, {record.run_id!r:.80}")
        data = encode_json(record)
        if len(data) <= MAX_RECORD_BYTES:
            return data
        return encode_json(RunRecord(run_id=record.run_id, started_at=record.started_at, place=record.place))

    def read(self, start: int, *, to_the_end: bool) -> Piece:
        """The points from a position on: from 0, or from where a piece before this one ended.

        A last line that has no end is left for later, unless nobody will ever end it.
        """
        first = len(self._first_line()) + 1 if start == 0 else start
        data = os.pread(self._descriptor, MAX_PIECE_BYTES, first)
        lines = data.split(b"\n")
        tail = lines.pop()
        more = len(lines) > MAX_BATCH or len(data) == MAX_PIECE_BYTES
        if len(lines) > MAX_BATCH:
            lines = lines[:MAX_BATCH]
        elif (more and not lines) or (to_the_end and not more and tail):  # longer than any line of ours, or cut off
            return self._piece(start, first + len(data), [*lines, tail], more=more)
        return self._piece(start, first + sum(map(len, lines)) + len(lines), lines, more=more)

    @staticmethod
    def _piece(start: int, end: int, lines: list[bytes], *, more: bool) -> Piece:
        points = list(_points(lines))
        return Piece(start=start, end=end, points=points, unreadable=len(lines) - len(points), more=more)

    def _first_line(self) -> bytes:
        data = os.pread(self._descriptor, MAX_RECORD_BYTES, 0)
        while b"\n" not in data and len(data) < MAX_FIRST_LINE:
            following = os.pread(self._descriptor, MAX_RECORD_BYTES, len(data))
            if not following:
                break
            data += following
        line, newline, _ = data.partition(b"\n")
        if not newline:
            raise WireFormatError(f"the first line of {self.path} has no end")
        return line


def points_files(folder: Path) -> list[Path]:
    """The files in `folder`, in no order; a missing folder is an empty one."""
    with suppress(FileNotFoundError):
        return [Path(entry.path) for entry in os.scandir(folder) if _is_points_file(entry.name)]
    return []


def drop_beyond(folder: Path, limit: int) -> list[Path]:
    """Remove the oldest files of runs that are over until all together have at most `limit` bytes; what was removed."""
    found = sorted(
        (status.st_mtime_ns, status.st_size, path) for path in points_files(folder) if (status := _status(path))
    )
    excess = sum(size for _, size, _ in found) - limit
    dropped = []
    for _, size, path in found:
        if excess <= 0:
            break
        if _is_over(path):
            path.unlink(missing_ok=True)
            dropped.append(path)
            excess -= size
    return dropped


def _points(lines: list[bytes]) -> Iterator[Point]:
    for line in lines:
        with suppress(msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield _LINES.decode(line)


def _is_points_file(name: str) -> bool:
    run_id = name.removesuffix(SUFFIX)
    if run_id == name:
        return False
    try:
        return str(UUID(run_id)) == run_id
    except ValueError:
        return False


def _status(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return path.lstat()
    return None


def _is_over(path: Path) -> bool:
    try:
        with PointsFile(path) as file:
            return not file.is_held()
    except FileNotFoundError:
        return False
    except OSError:
        return True
