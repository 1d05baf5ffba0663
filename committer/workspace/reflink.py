"""The view of a workspace on XFS or btrfs: large files are read from clones, and only where they changed.

A clone holds one file as it was at one moment, also while others write to it or store to it through a mapping. That of
the last snapshot and that of this one lie in the same blocks wherever the file was not written to.
docs/design/reflink.md has the reasons.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from committer.log import get_logger
from committer.workspace.source import Frozen
from committer.workspace.stat import DIRECTORY_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from committer.storage.ranges import Range
    from committer.workspace.shadows import Clone, Shadows
    from dotscience.record import Consistency

log = get_logger(__name__)


class ReflinkView:
    """A `View` of the live tree in which large files can be frozen, each by itself."""

    consistency: Consistency = "file-atomic"

    def __init__(self, root: Path, shadows: Shadows) -> None:
        """`shadows` are those of the workspace `root`; they outlive the view."""
        self._path = root
        self._shadows = shadows
        self._root = -1
        self._began_ns = 0
        self._frozen: dict[int, Clone] = {}
        self._kept: dict[bytes, Clone] = {}
        self._confirmed: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        """Let go of the clones of earlier snapshots if the disk is nearly full: it may be they that fill it."""
        if not self._shadows.has_room():
            self._shadows.drop_all()
        self._root = self.open_root()
        self._began_ns = time.time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the clones of a snapshot that became no commit."""
        for descriptor, clone in self._frozen.items():
            os.close(descriptor)
            self._shadows.discard(clone)
        for clone in self._kept.values():
            self._shadows.discard(clone)
        os.close(self._root)

    def open_root(self) -> int:
        """A descriptor of the workspace's root."""
        return os.open(self._path, DIRECTORY_FLAGS)

    def freeze(self, descriptor: int, known: bytes | None) -> Frozen | None:
        """A clone of a large file; None where it cannot be cloned, for whatever reason."""
        try:
            clone = self._shadows.clone(descriptor, self._path_of(descriptor))
        except OSError as error:
            log.debug("reflink.not_cloned", error=str(error))
            return None
        self._frozen[clone.descriptor] = clone
        return Frozen(clone.descriptor, self._changed(known, clone))

    def keep(self, frozen: Frozen, content: bytes) -> None:
        """Have the clone be there for the next snapshot, unless one with this content is, in the very same blocks.

        The frozen file is closed: nothing more is to be read from it.
        """
        clone = self._frozen.pop(frozen.descriptor)
        os.close(clone.descriptor)
        if content in self._shadows and frozen.changed == []:
            self._confirmed[content] = clone.path
        elif content not in self._kept and self._shadows.has_room():
            self._kept[content] = clone
            return
        self._shadows.discard(clone)

    def committed(self, commit: str, run_ids: Sequence[str]) -> None:  # noqa: ARG002 - clones know no commits
        """Keep the clones for the next snapshot, and drop those that it will not ask for."""
        held = [content for content in list(self._kept) if self._hand_over(content)]
        held += [content for content, path in self._confirmed.items() if self._confirm(content, path)]
        self._shadows.sweep(self._root, self._began_ns, set(held))

    def _hand_over(self, content: bytes) -> bool:
        """Whether the clone that was kept for `content` is there for the next snapshot."""
        clone = self._kept.pop(content)
        try:
            self._shadows.keep(content, clone)
        except OSError as error:
            log.debug("reflink.not_kept", error=str(error))
            self._shadows.discard(clone)
            return False
        return True

    def _confirm(self, content: bytes, path: bytes) -> bool:
        """Whether the clone of `content` that was there before is still, for the file at `path`."""
        try:
            self._shadows.confirm(content, path)
        except OSError as error:
            log.debug("reflink.not_confirmed", error=str(error))
            return False
        return True

    def _changed(self, known: bytes | None, clone: Clone) -> Sequence[Range] | None:
        if known is None:
            return None
        try:
            return self._shadows.changed(known, clone.descriptor)
        except OSError as error:
            log.debug("reflink.not_compared", error=str(error))
            return None

    def _path_of(self, descriptor: int) -> bytes:
        """Where an open file lies in the workspace.

        Raises:
            OSError: the path is too long, or there is no /proc.
        """
        return os.path.relpath(_place_of(descriptor), _place_of(self._root))


def _place_of(descriptor: int) -> bytes:
    """The path of an open file as the kernel has it now (proc(5), /proc/pid/fd)."""
    return os.fsencode(Path(f"/proc/self/fd/{descriptor}").readlink())
