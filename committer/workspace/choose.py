"""Choosing, by trying, the change source and the view of a workspace: the best that its file system and user allow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from committer.log import get_logger
from committer.workspace.live import LiveView
from committer.workspace.reflink import ReflinkView
from committer.workspace.reflink_probe import require_reflink
from committer.workspace.shadows import Shadows
from committer.workspace.stat import StatSource
from committer.workspace.watch import DirtySet, WatchSource
from committer.workspace.zfs import ZfsSource, ZfsView, ZfsWorkspace
from dotscience.errors import ConfigError, WorkspaceError, ZfsError
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from committer.workspace.source import ChangeSource, View
    from dotscience.record import Consistency
    from dotscience.workspace import Workspace

log = get_logger(__name__)

ChangeSourceName = Literal["auto", "zfs", "reflink", "watch", "stat"]
SHADOWS = "shadow"
MOUNTS = "mounts"


class Refusal(NamedTuple):
    """Something faster or firmer that is not to be had, and why."""

    name: str
    reason: str


class Reading(NamedTuple):
    """How a workspace is read for snapshots. Belongs to the store's thread, as do the views; end it with `close`."""

    name: ChangeSourceName
    source: ChangeSource
    new_view: Callable[[], View]
    """Makes the view of one snapshot; it is entered after `source.mark`."""
    consistency: Consistency
    refusals: list[Refusal]
    close: Callable[[], None]
    dataset: str | None = None
    """The ZFS dataset that holds the workspace and nothing else, where its snapshots are read."""


def choose_reading(
    workspace: Workspace, *, wanted: ChangeSourceName = "auto", dirty: DirtySet | None = None, min_free_bytes: int
) -> Reading:
    """The best way to read a workspace, or the one that is `wanted`.

    `dirty` is what a watcher of the workspace tells; without one nothing is watched, as in a command that ends at once.

    Raises:
        ConfigError: what is wanted is not to be had here; the text says why.
    """
    chooser = _Chooser(workspace, dirty, min_free_bytes)
    if wanted != "auto":
        return chooser.only(wanted)
    for name in ("zfs", "reflink"):
        found = chooser.attempt(name)
        if found is not None:
            return found
    return chooser.live("watch") if dirty is not None else chooser.live("stat")


def look_everywhere(root: Path) -> Reading:
    """The way that is always there: the live tree, all of it."""
    return Reading("stat", StatSource(), lambda: LiveView(root), "stable", [], _nothing)


class _Chooser:
    def __init__(self, workspace: Workspace, dirty: DirtySet | None, min_free_bytes: int) -> None:
        self._workspace = workspace
        self._state = workspace.root / STATE_DIR
        self._dirty = dirty
        self._min_free_bytes = min_free_bytes
        self._refusals: list[Refusal] = []

    def only(self, name: ChangeSourceName) -> Reading:
        if name in ("stat", "watch"):
            return self.live(name)
        found = self.attempt(name)
        if found is None:
            raise ConfigError(f"change_source {name!r} cannot be used here: {self._refusals[-1].reason}")
        return found

    def attempt(self, name: str) -> Reading | None:
        """Zfs or reflink, or None, with the reason noted."""
        try:
            return self._zfs() if name == "zfs" else self._reflink()
        except (WorkspaceError, ZfsError, OSError) as error:
            log.debug("reading.refused", name=name, reason=str(error))
            self._refusals.append(Refusal(name, str(error)))
            return None

    def live(self, name: Literal["watch", "stat"]) -> Reading:
        source = self._watching() if name == "watch" else StatSource()
        root = self._workspace.root
        return Reading(name, source, lambda: LiveView(root), "stable", self._refusals, _nothing)

    def _zfs(self) -> Reading:
        place = ZfsWorkspace(self._workspace.root, self._workspace.dot_id, self._state / MOUNTS)
        place.recover()
        place.take("is it allowed?")
        place.drop()
        own = place.dataset.name if place.place.inside == Path() else None
        return Reading("zfs", ZfsSource(place), lambda: ZfsView(place), "atomic", self._refusals, place.drop, own)

    def _reflink(self) -> Reading:
        root = self._workspace.root
        require_reflink(self._state)
        shadows = Shadows(self._state / SHADOWS, min_free_bytes=self._min_free_bytes)
        return Reading(
            "reflink",
            self._watching(),
            lambda: ReflinkView(root, shadows),
            "file-atomic",
            self._refusals,
            shadows.close,
        )

    def _watching(self) -> ChangeSource:
        return StatSource() if self._dirty is None else WatchSource(self._workspace.root, self._dirty)


def _nothing() -> None:
    """There is nothing to close."""
