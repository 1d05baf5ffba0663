"""A disk whose power can be cut: its content can be looked at as a machine would find it at its next start.

The disk is a file with an ext4 in it, mounted by a loop device. A cut is a clone of that file (ioctl_ficlone(2)): it
holds what had reached the disk at one instant, and nothing of what was still in memory. So the file lies in an XFS,
which can clone, in another loop device. Needs root.
"""

from __future__ import annotations

import itertools
import subprocess
from contextlib import contextmanager
from pathlib import Path

from support.requirements import require_root_and

DISK_SIZE = "96M"
HOST_SIZE = "1G"


class Disk:
    """`root` is where it is mounted; `cut` gives what survives of it."""

    def __init__(self, folder: Path, host: Path) -> None:
        self.root = folder / "disk"
        self._folder = folder
        self._image = host / "disk.img"
        self._host = host
        self._numbers = itertools.count()

    @contextmanager
    def cut(self):
        """Where the disk is mounted as it would be found if the power were cut now."""
        number = next(self._numbers)
        clone, place = self._host / f"cut-{number}.img", self._folder / f"cut-{number}"
        run("cp", "--reflink=always", str(self._image), str(clone))
        with mounted(clone, place):
            yield place
        clone.unlink()


@contextmanager
def disk(folder: Path):
    """A new disk, with a place in `folder` for itself and its cuts."""
    require_root_and(mkfs_xfs="xfsprogs", mkfs_ext4="e2fsprogs")
    outer, host = folder / "host.img", folder / "host"
    run("truncate", "-s", HOST_SIZE, str(outer))
    run("mkfs.xfs", "-q", "-m", "reflink=1", str(outer))
    with mounted(outer, host):
        made = Disk(folder, host)
        image = host / "disk.img"
        run("truncate", "-s", DISK_SIZE, str(image))
        run("mkfs.ext4", "-q", "-F", str(image))
        with mounted(image, made.root):
            yield made


@contextmanager
def mounted(image: Path, place: Path, options: str = "loop"):
    place.mkdir()
    run("mount", "-o", options, str(image), str(place))
    try:
        yield
    finally:
        run("umount", str(place))
        place.rmdir()


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
