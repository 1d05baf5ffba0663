"""What is mounted where, as proc(5) tells in `/proc/self/mountinfo`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

MOUNT_TABLE = Path("/proc/self/mountinfo")

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A file system, or a part of one, in the tree of files."""

    place: Path
    kind: str
    """The file system's type: `ext4`, `zfs`, `fuse.zfs`, …"""
    source: str
    """What is mounted, as the file system names it: of ZFS, the dataset."""
    part: str
    """The folder of the file system that is seen at `place`; "/" unless it is a bind mount of a part."""


def read_mounts(table: Path = MOUNT_TABLE) -> list[Mount]:
    """Everything that this process sees mounted, in the order of mounting; nothing on systems without such a table."""
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    return [mount for line in lines if (mount := _parse(line)) is not None]


def mount_of(path: Path, mounts: list[Mount]) -> Mount | None:
    """The mount that `path`, which is absolute and free of links, lies in; the later one covers the earlier."""
    holding = [mount for mount in mounts if path.is_relative_to(mount.place)]
    return max(reversed(holding), key=lambda mount: len(mount.place.parts), default=None)


def mounts_below(path: Path, mounts: list[Mount]) -> list[Mount]:
    """What is mounted inside `path`, not at it."""
    return [mount for mount in mounts if mount.place != path and mount.place.is_relative_to(path)]


def _parse(line: str) -> Mount | None:
    """One line: id, parent, device, part, place, options, optional fields, "-", type, source, more options."""
    before, _, after = line.partition(" - ")
    fields, more = before.split(" "), after.split(" ")
    if len(fields) < 5 or len(more) < 2:
        return None
    return Mount(Path(_unescaped(fields[4])), more[0], _unescaped(more[1]), _unescaped(fields[3]))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
