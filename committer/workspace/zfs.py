"""Workspaces on ZFS: a snapshot of the dataset holds the whole workspace still, and tells whether anything changed.

The source and the views of one workspace share a `ZfsWorkspace`. What the source's answer is compared with and what the
view reads is one and the same snapshot, taken when a commit first asks either of the source's questions: `written@` of
the live dataset leaves out what the pool has not on disk yet, `written@` between two snapshots leaves out nothing.

Between commits one snapshot remains, that of the last commit, and older ones only while others hold them. Each carries
the dot's id from its first moment on, and the commit's once there is one: so what a crash left behind is known for what
it is, and goes at the next start. docs/zfs.md says what an unprivileged user must be allowed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self
from uuid import uuid4

from committer.log import get_logger
from committer.storage.durability import sync_file_system
from committer.storage.zfs.command import is_installed
from committer.storage.zfs.dataset import MAX_VALUE, Dataset
from committer.workspace.mounts import Mount, mount_of, mounts_below, read_mounts
from committer.workspace.source import Dirty
from committer.workspace.stat import DIRECTORY_FLAGS, open_directory
from dotscience.errors import DatasetBusy, WorkspaceError, ZfsError
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from committer.storage.zfs.dataset import Version
    from committer.workspace.source import Frozen
    from dotscience.record import Consistency

log = get_logger(__name__)

FILE_SYSTEMS = frozenset({"zfs", "fuse.zfs"})
PREFIX = "dotscience-"
HOLD = "dotscience"

DOT = "io.dotscience:dot"
COMMIT = "io.dotscience:commit"
RUNS = "io.dotscience:runs"
RUNS_PER_PROPERTY = MAX_VALUE // 37

BUSY_TRIES = 20
BUSY_PAUSE_S = 0.1
"""An unmounted file system lets go of its dataset a moment later; with zfs-fuse another process has to."""


class Place(NamedTuple):
    """Where a folder lies in ZFS."""

    dataset: str
    mountpoint: Path
    inside: Path
    """The folder relative to the dataset's root."""


SNAPSHOTS = Path(".zfs", "snapshot")
"""Where a dataset shows its snapshots, from its root."""


class Taken(NamedTuple):
    """A snapshot of ours, and the questions that it was the answer to."""

    name: str
    guid: int
    asked: set[str]


def find_place(root: Path, mounts: list[Mount] | None = None) -> Place:
    """The dataset that holds the folder `root`.

    A snapshot of a dataset holds nothing of what is mounted inside it, be it another dataset. A workspace with such a
    mount is not held by one dataset, except that anything may be mounted in its `.dotscience`, which is never part of a
    snapshot, and that snapshots stay mounted in `.zfs` for a while after somebody has looked into them (zfs(4),
    zfs_expire_snapshot).

    Raises:
        WorkspaceError: no dataset holds all of it; the text says why.
    """
    seen = read_mounts() if mounts is None else mounts
    real = Path(os.path.realpath(root))
    mount = mount_of(real, seen)
    if mount is None or mount.kind not in FILE_SYSTEMS:
        raise WorkspaceError(f"{root} is not on ZFS")
    if mount.part != "/" or "@" in mount.source:
        raise WorkspaceError(f"{root} is only a part of the dataset {mount.source}, or a snapshot, mounted there")
    apart = real / STATE_DIR, mount.place / SNAPSHOTS
    inside = mounts_below(real, seen)
    inner = next((one for one in inside if not any(one.place.is_relative_to(place) for place in apart)), None)
    if inner is not None:
        raise WorkspaceError(f"{inner.place} is mounted inside {root}: a ZFS snapshot would leave it out")
    return Place(mount.source, mount.place, real.relative_to(mount.place))


class ZfsWorkspace:
    """A workspace whose whole content one dataset holds. Belongs to the store's thread.

    Attributes:
        dataset: The dataset.
        place: Where the workspace lies in it.
    """

    def __init__(self, root: Path, dot_id: str, mounts: Path) -> None:
        """Find the dataset of `root`.

        Args:
            root: The workspace.
            dot_id: Its dot, which marks the snapshots that are ours.
            mounts: A folder in which to mount snapshots, where a pool gives no other access to them.

        Raises:
            WorkspaceError: the workspace is not on ZFS; the text says why.
            ZfsError: ZFS does not answer.
        """
        self.place = find_place(root)
        if not is_installed():
            raise WorkspaceError(f"{root} is on ZFS, but there is no `zfs` command to take snapshots with")
        self.dataset = Dataset(self.place.dataset)
        self._dot_id = dot_id
        self._mounts = mounts
        self._taken: Taken | None = None
        self._handed_over = ""
        self.has_snapshot_folder = (self.place.mountpoint / SNAPSHOTS).is_dir()

    def recover(self) -> None:
        """Destroy what a crash left behind; call it before the first snapshot, holding the workspace's lock.

        What is still in use is left for the next time.

        Raises:
            ZfsError: this user may not, or ZFS does not answer.
        """
        for clone in self.dataset.clones_below(PREFIX):
            if clone.property(DOT) == self._dot_id:
                self._destroy_clone(clone)
        ours = _ours(self.dataset, self._dot_id)
        committed = [one.name for one in ours if COMMIT in one.properties]
        self._destroy_all(one for one in ours if one.name not in committed[-1:])

    def take(self, question: str) -> Taken:
        """The snapshot to answer a question of the source with: a new one when the question is asked again."""
        if self._taken is None or question in self._taken.asked:
            self.drop()
            self._taken = self._take_new()
        self._taken.asked.add(question)
        return self._taken

    def hand_over(self) -> str:
        """The snapshot for a view to read, which is its to keep or destroy; it answers the source until `let_go`."""
        self._handed_over = self.take("read").name
        return self._handed_over

    def let_go(self, snapshot: str) -> None:
        """The view of a snapshot is at its end: from now on another one answers the source."""
        if self._taken is not None and self._taken.name == snapshot:
            self._taken = None

    def drop(self) -> None:
        """Let go of a snapshot that no view took."""
        if self._taken is not None and self._taken.name != self._handed_over:
            self.destroy(self._taken.name)
        self._taken = None

    def destroy(self, snapshot: str) -> None:
        """Destroy one of our snapshots, with its bookmark; one that others hold stays, and is logged."""
        self.dataset.release(snapshot, HOLD)
        try:
            self.dataset.destroy(snapshot)
        except DatasetBusy as error:
            log.info("zfs.snapshot_kept", snapshot=snapshot, reason=str(error))
            return
        if self.dataset.features.bookmarks:
            self.dataset.destroy(f"#{snapshot[1:]}")

    def keep(self, snapshot: str, commit: str, run_ids: Sequence[str]) -> None:
        """Make a snapshot that of a commit, and destroy the earlier ones that nobody holds."""
        for name, value in _run_properties(run_ids):
            self.dataset.set_property(name, value, of=snapshot)
        self.dataset.set_property(COMMIT, commit, of=snapshot)
        if self.dataset.features.bookmarks:
            self.dataset.bookmark(snapshot, snapshot[1:])
        self._destroy_all(one for one in _ours(self.dataset, self._dot_id) if one.name != snapshot)

    def open_snapshot(self, snapshot: str) -> Path:
        """A folder with the workspace as it is in a snapshot; let go of it with `close_snapshot`."""
        if self.has_snapshot_folder:
            return self.place.mountpoint / SNAPSHOTS / snapshot[1:] / self.place.inside
        mountpoint = self._mounts / snapshot[1:]
        mountpoint.mkdir(mode=0o700, parents=True, exist_ok=True)
        clone = self.dataset.child(snapshot[1:])
        properties = {"readonly": "on", "canmount": "noauto", "mountpoint": str(mountpoint), DOT: self._dot_id}
        self.dataset.clone(snapshot, clone, properties)
        clone.mount()
        return mountpoint / self.place.inside

    def close_snapshot(self, snapshot: str) -> None:
        """Let go of the folder of `open_snapshot`; nothing in it may be open any more."""
        if not self.has_snapshot_folder:
            self._destroy_clone(self.dataset.child(snapshot[1:]))

    def _take_new(self) -> Taken:
        """A snapshot that nobody else destroys; it goes at once where this user may not hold it."""
        name = f"{PREFIX}{uuid4()}"
        _flush(self.place.mountpoint)
        taken = Taken(f"@{name}", self.dataset.snapshot(name, {DOT: self._dot_id}), set())
        try:
            self.dataset.hold(taken.name, HOLD)
        except ZfsError:
            self.destroy(taken.name)
            raise
        return taken

    def _destroy_all(self, snapshots: Iterable[Version]) -> None:
        for one in snapshots:
            self.destroy(one.name)

    def _destroy_clone(self, clone: Dataset) -> None:
        mountpoint = self._mounts / clone.name.rpartition("/")[2]
        try:
            _persist(clone.destroy)
        except DatasetBusy as error:
            log.warning("zfs.clone_kept", dataset=clone.name, reason=str(error))
            return
        if mountpoint.is_dir():
            mountpoint.rmdir()


def committed_snapshots(dataset: Dataset, dot_id: str) -> list[tuple[str, str]]:
    """The snapshots of a workspace that stand for commits, each with its commit's id, oldest first. From any thread.

    Raises:
        ZfsError: ZFS does not answer.
    """
    versions = _ours(dataset, dot_id)
    return [(one.name, one.properties[COMMIT]) for one in versions if COMMIT in one.properties]


class ZfsSource:
    """A `ChangeSource` that knows when nothing at all has changed; good for `ZfsView` only, which reads its snapshot.

    Its cursor is the guid of a snapshot.
    """

    name = "zfs"

    def __init__(self, workspace: ZfsWorkspace) -> None:
        self._workspace = workspace

    def mark(self) -> str:
        """A cursor for the snapshot that the next view reads.

        Raises:
            ZfsError: there can be no snapshot.
        """
        return str(self._workspace.take("mark").guid)

    def changed_since(self, cursor: str) -> Dirty | None:
        """Nothing, where no block was written since the snapshot that `cursor` names; else it is not known.

        Raises:
            ZfsError: there can be no snapshot.
        """
        taken = self._workspace.take("changed")
        dataset = self._workspace.dataset
        if not dataset.features.written:
            return None
        earlier = next((one for one in dataset.versions() if str(one.guid) == cursor and one.is_snapshot), None)
        if earlier is None or dataset.written_since(earlier.name, until=taken.name):
            return None
        return Dirty(frozenset(), sees_mappings=True)


class ZfsView:
    """A `View` of the workspace in a snapshot of its dataset."""

    consistency: Consistency = "atomic"

    def __init__(self, workspace: ZfsWorkspace) -> None:
        self._workspace = workspace
        self._snapshot = ""
        self._folder = Path()
        self._kept = False

    def __enter__(self) -> Self:
        """Take the snapshot, unless the source has, and make it readable.

        Raises:
            ZfsError: that cannot be done.
        """
        self._snapshot = self._workspace.hand_over()
        try:
            self._folder = self._workspace.open_snapshot(self._snapshot)
        except (ZfsError, OSError):
            self._workspace.let_go(self._snapshot)
            self._workspace.close_snapshot(self._snapshot)
            self._workspace.destroy(self._snapshot)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the snapshot; that of a commit stays. What cannot be let go of now is at the next start."""
        self._workspace.let_go(self._snapshot)
        try:
            self._workspace.close_snapshot(self._snapshot)
            if not self._kept:
                self._workspace.destroy(self._snapshot)
        except ZfsError as error:
            log.warning("zfs.snapshot_left", snapshot=self._snapshot, error=str(error))

    def open_root(self) -> int:
        """A descriptor of the workspace's root in the snapshot."""
        return os.open(self._folder, DIRECTORY_FLAGS)

    def freeze(self, descriptor: int, known: bytes | None) -> Frozen | None:  # noqa: ARG002 - a View's
        """Nothing needs freezing: everything holds still."""
        return None

    def keep(self, frozen: Frozen, content: bytes) -> None:
        """Never called, as nothing is frozen."""

    def committed(self, commit: str, run_ids: Sequence[str]) -> None:
        """Keep the snapshot for the next commit to compare with, and for sending; it says which commit and runs it is.

        The commit is safe without: where ZFS refuses, the snapshot is destroyed and the next commit looks everywhere.
        """
        try:
            self._workspace.keep(self._snapshot, commit, run_ids)
        except ZfsError as error:
            log.warning("zfs.snapshot_not_kept", snapshot=self._snapshot, commit=commit, error=str(error))
            return
        self._kept = True


def _ours(dataset: Dataset, dot_id: str) -> list[Version]:
    """The snapshots of a workspace, oldest first."""
    versions = dataset.versions((DOT, COMMIT))
    return [one for one in versions if one.is_snapshot and one.properties.get(DOT) == dot_id]


def _run_properties(run_ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The ids, which are UUIDs, as user properties `io.dotscience:runs`, `….1` and so on, separated by commas."""
    for number, start in enumerate(range(0, len(run_ids), RUNS_PER_PROPERTY)):
        yield f"{RUNS}.{number}" if number else RUNS, ",".join(run_ids[start : start + RUNS_PER_PROPERTY])


def _flush(mountpoint: Path) -> None:
    """Hand what is written through mappings over to the file system, or a snapshot would not hold it.

    Raises:
        ZfsError: the disk failed.
    """
    try:
        with open_directory(os.fsencode(mountpoint)) as descriptor:
            sync_file_system(descriptor)
    except OSError as error:
        raise ZfsError(f"{mountpoint} cannot be synced: {error.strerror}; look at the pool (zpool status)") from error


def _persist(destroy: Callable[[], None]) -> None:
    """Destroy something that may be busy for a moment yet.

    Raises:
        DatasetBusy: it is for longer.
    """
    for _ in range(BUSY_TRIES - 1):
        try:
            destroy()
        except DatasetBusy:
            time.sleep(BUSY_PAUSE_S)
        else:
            return
    destroy()
