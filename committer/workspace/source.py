"""The two questions that a snapshot asks about a workspace: what may have changed, and how to read it while it is used.

They are answered apart, because the best answers come from different places: a watcher knows what changed and cannot
hold a file still, a reflink copy holds one file still, a ZFS snapshot holds everything still.

Everything here is called on the store's thread. Paths are raw bytes relative to the workspace's root, `/`-separated;
"" is the root itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from committer.storage.ranges import Range
    from dotscience.record import Consistency


class Dirty(NamedTuple):
    """The directories in which a name or a file's content may have changed; nothing changed in any other."""

    directories: frozenset[bytes]
    sees_mappings: bool
    """Whether that holds for stores through a mapping (mmap(2)) and through hard links from elsewhere, too."""

    subtrees: frozenset[bytes] = frozenset()
    """Directories that came into being or were moved here: these are looked into with everything below them."""


class ChangeSource(Protocol):
    """What may have changed since an earlier snapshot."""

    name: str

    def mark(self) -> str:
        """A cursor for this moment; called before a snapshot reads anything, and before its view is entered.

        The commit keeps it, and the next snapshot asks with it. Whatever changes after this call must be reported then.
        """

    def changed_since(self, cursor: str) -> Dirty | None:
        """What may have changed since `mark` gave `cursor`; None where that is not known: then everything is looked at.

        A cursor of another source, another process or another time is nothing special: it is not known.
        """


class Frozen(NamedTuple):
    """A copy of a file that holds still.

    `changed` are the ranges in which it may differ from the content that was asked about, sorted and apart; None where
    that is not known. What lies beyond the end of either counts as changed.
    """

    descriptor: int
    changed: Sequence[Range] | None


class View(Protocol):
    """A workspace for the time of one snapshot, held as still as its file system can.

    It is a context manager: entering takes what it needs (a ZFS snapshot, say), leaving lets go of what `committed`
    has not kept. One is made for each snapshot.
    """

    consistency: Consistency
    """The best that this view gives when every file that it cannot freeze holds still by itself."""

    def __enter__(self) -> View: ...

    def __exit__(self, *_: object) -> None: ...

    def open_root(self) -> int:
        """A descriptor of the directory to walk, for the caller to close.

        Raises:
            OSError: it cannot be opened.
        """

    def freeze(self, descriptor: int, known: bytes | None) -> Frozen | None:
        """A still copy of an open file, closed by the view; None where the file has to be read as it is.

        `known` is the hash of the content that the file had in the last commit, if it was there.
        """

    def keep(self, frozen: Frozen, content: bytes) -> None:
        """Say what was stored for a frozen file, so that the next snapshot can ask about it."""

    def committed(self, commit: str, run_ids: Sequence[str]) -> None:
        """The snapshot has become this commit: keep what helps the next one. Called at most once, before leaving."""
