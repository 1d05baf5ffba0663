"""The view that every workspace has: its live tree, while others may be writing to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from committer.workspace.stat import DIRECTORY_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from committer.workspace.source import Frozen
    from dotscience.record import Consistency


class LiveView:
    """A `View` that holds nothing still; the snapshot looks at every file before and after it has read it."""

    consistency: Consistency = "stable"

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def open_root(self) -> int:
        """A descriptor of the workspace's root."""
        return os.open(self._root, DIRECTORY_FLAGS)

    def freeze(self, descriptor: int, known: bytes | None) -> Frozen | None:  # noqa: ARG002 - a View's
        """Nothing can be frozen."""
        return None

    def keep(self, frozen: Frozen, content: bytes) -> None:
        """Never called, as nothing is frozen."""

    def committed(self, commit: str, run_ids: Sequence[str]) -> None:
        """Nothing helps the next one."""
