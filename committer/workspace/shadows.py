"""The clones of large files that a snapshot leaves for the next one to compare with.

They lie in a folder inside the workspace's file system, each under the hash of its content. A clone takes no room of
its own until its file is written to or deleted; then it keeps the old blocks. So one goes as soon as nobody will ask
for it: its file has other content now, is gone, or is no part of snapshots any more. What carries another name is the
rest of something that did not end, and goes at the next start.

A clone that reached its name is whole, also after a power cut: XFS and btrfs bring changes of names and extent maps to
the disk in the order in which they were made, and what an extent map names before it.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from committer.log import get_logger
from committer.storage.codec import HASH_SIZE
from committer.storage.durability import MIN_FREE_BYTES, make_folder
from committer.workspace.fiemap import changed_ranges, clone
from committer.workspace.reflink_probe import require_reflink
from committer.workspace.stat import GRANULARITY_NS

if TYPE_CHECKING:
    from collections.abc import Collection

    from committer.storage.ranges import Range

log = get_logger(__name__)

TEMPORARY_SUFFIX = ".tmp"
PATH_ATTRIBUTE = "user.dotscience.path"
"""Of which file a clone was made, relative to the workspace's root."""


class Clone(NamedTuple):
    """A clone under a name that does not last. `path` is the file's, relative to the workspace's root."""

    descriptor: int
    place: Path
    path: bytes


class Shadows:
    """The clones of one workspace. Belongs to the store's thread; the process that holds the store has it alone.

    Dropping a clone can take btrfs most of a second, so a thread does it. `close` waits for that.
    """

    def __init__(self, folder: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        """Open or make `folder`, and remove what a crash left in it.

        Args:
            folder: Where to keep the clones; inside the workspace's file system, and never part of a snapshot.
            min_free_bytes: With less room than this, none are kept.

        Raises:
            WorkspaceError: the file system cannot clone or has no extent maps to be trusted; the text says why.
            OSError: the folder cannot be used.
        """
        make_folder(folder)
        require_reflink(folder)
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._janitor = ThreadPoolExecutor(1, "shadows")
        self._paths = self._recover()

    def close(self) -> None:
        """Wait until everything is removed that was dropped. Safe to call again; nothing else is after."""
        self._janitor.shutdown()

    def __contains__(self, content: bytes) -> bool:
        return content in self._paths

    def has_room(self) -> bool:
        """Whether the disk has as much room left as it has to have."""
        return shutil.disk_usage(self._folder).free >= self._min_free_bytes

    def clone(self, descriptor: int, path: bytes) -> Clone:
        """A clone of an open file, for the caller to close and then to `keep` or `discard`. `path` is the file's.

        Raises:
            OSError: it cannot be cloned, or the disk is full.
        """
        place = self._new_place()
        made = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            clone(descriptor, made)
            os.setxattr(made, PATH_ATTRIBUTE, path)
        except BaseException:
            os.close(made)
            self._remove(place)
            raise
        return Clone(made, place, path)

    def changed(self, content: bytes, descriptor: int) -> list[Range] | None:
        """Where an open clone may differ from `content`; None where that is not known.

        Raises:
            OSError: the clone of `content` cannot be opened or compared.
        """
        if content not in self:
            return None
        with self._place_of(content).open("rb", buffering=0) as known:
            return changed_ranges(known.fileno(), descriptor)

    def discard(self, unwanted: Clone) -> None:
        """Drop a clone that is closed."""
        self._remove(unwanted.place)

    def keep(self, content: bytes, wanted: Clone) -> None:
        """Have a clone that is closed be the one of its `content`.

        Raises:
            OSError: it cannot be.
        """
        if content in self:
            self._drop(content)
        wanted.place.rename(self._place_of(content))
        self._paths[content] = wanted.path

    def confirm(self, content: bytes, path: bytes) -> None:
        """Note that the file at `path` has `content`, which is here, at this moment.

        Raises:
            OSError: it cannot be noted.
        """
        os.setxattr(self._place_of(content), PATH_ATTRIBUTE, path)
        self._paths[content] = path

    def sweep(self, root: int, began_ns: int, held: Collection[bytes]) -> None:
        """After a snapshot that began at `began_ns` (Unix time): drop what no later one will ask for.

        `root` is the workspace, open; `held` are the contents that the snapshot kept or confirmed. A file that was
        changed after it was cloned and before `began_ns` is no part of snapshots, or it would have been cloned again.
        """
        replaced = {self._paths[content] for content in held}
        for content, path in list(self._paths.items()):
            if content not in held and (path in replaced or not self._is_wanted(content, path, root, began_ns)):
                self._drop(content)

    def drop_all(self) -> None:
        """Drop every clone: the next snapshot does not know where files changed."""
        for content in list(self._paths):
            self._drop(content)

    def _is_wanted(self, content: bytes, path: bytes, root: int, began_ns: int) -> bool:
        try:
            changed_ns = os.stat(path, dir_fd=root, follow_symlinks=False).st_ctime_ns
            noted_ns = self._place_of(content).stat().st_ctime_ns
        except OSError:
            return False
        return not noted_ns < changed_ns < began_ns - GRANULARITY_NS

    def _recover(self) -> dict[bytes, bytes]:
        """The paths, by content, of the clones that are here; what else is here goes."""
        paths = {}
        for place in self._folder.iterdir():
            try:
                paths[_content_at(place)] = os.getxattr(place, PATH_ATTRIBUTE)
            except (ValueError, OSError):
                self._remove(place)
        return paths

    def _drop(self, content: bytes) -> None:
        """Drop the clone of `content`; its name is free at once."""
        del self._paths[content]
        aside = self._new_place()
        with suppress(FileNotFoundError):
            self._place_of(content).rename(aside)
            self._remove(aside)

    def _remove(self, place: Path) -> None:
        self._janitor.submit(_unlink, place)

    def _place_of(self, content: bytes) -> Path:
        return self._folder / content.hex()

    def _new_place(self) -> Path:
        return self._folder / f"{uuid4().hex}{TEMPORARY_SUFFIX}"


def _content_at(place: Path) -> bytes:
    """The content that a clone's name says.

    Raises:
        ValueError: it is no such name.
    """
    content = bytes.fromhex(place.name)
    if len(content) != HASH_SIZE:
        raise ValueError(f"{place} is not named by a hash")
    return content


def _unlink(place: Path) -> None:
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        log.warning("shadow.left", path=str(place), error=str(error))
