"""File systems to test with, each in a file that a loop device mounts. Needs root.

The loop device goes with its mount: mount(8) has it cleared when nothing uses it any more.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.disk import mounted, run
from support.requirements import require_root_and

PROGRAMS = {"mkfs_xfs": "xfsprogs", "mkfs_btrfs": "btrfs-progs"}
NOBODY = 65534


class Kind(NamedTuple):
    """How to make and to mount one."""

    make: tuple[str, ...]
    options: str = "loop"


KINDS = {
    "xfs": Kind(("mkfs.xfs", "-q", "-m", "reflink=1")),
    "btrfs": Kind(("mkfs.btrfs", "-q")),
    "btrfs-zstd": Kind(("mkfs.btrfs", "-q"), "loop,compress=zstd"),
    "btrfs-nodatacow": Kind(("mkfs.btrfs", "-q"), "loop,nodatacow"),
}


@contextmanager
def file_system(kind: str, size: str = "1G"):
    """The root of a new file system, where everybody may write; `size` is what it may grow to."""
    require_root_and(**PROGRAMS)
    folder = Path(tempfile.mkdtemp(prefix="dstest"))
    folder.chmod(0o755)
    try:
        image, place = folder / "image", folder / "root"
        run("truncate", "-s", size, str(image))
        run(*KINDS[kind].make, str(image))
        with mounted(image, place, KINDS[kind].options):
            place.chmod(0o777)
            yield place
    finally:
        shutil.rmtree(folder)


@contextmanager
def as_nobody():
    """Be an ordinary user, without the rights of root (capabilities(7), "Effect of user ID changes")."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
