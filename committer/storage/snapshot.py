"""Taking a snapshot: a folder's content, as objects in a store.

A change source says which directories may have changed; the rest is taken over from the stat index without a system
call. Without one everything is looked at, and what does not look as it did is read.

Files are read while others may be writing them (committer.storage.capture). What never holds still makes the snapshot
"fuzzy" and is named in it. What cannot be read is left out and named. Neither ever stops the rest from being saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from committer.storage.diff import diff
from committer.storage.ingest import FileIngest
from committer.storage.stat_index import Look, StatIndex
from committer.storage.walk import Scope, Walk
from committer.workspace.live import LiveView
from committer.workspace.stat import StatSource

if TYPE_CHECKING:
    from pathlib import Path

    from committer.storage.ignore import IgnoreRules
    from committer.storage.store import ObjectStore
    from committer.workspace.source import ChangeSource, View
    from dotscience.record import Consistency


class Snapshot(NamedTuple):
    """A folder as it was. Paths are raw bytes relative to its root, `/`-separated; sizes are in bytes.

    `unstable` are the files that did not hold still, `skipped` what was left out with the reason, `changed` the files
    and links whose content is not that of the previous snapshot, came or went; it is empty where there is no previous
    one.
    """

    root_hash: bytes
    files: int
    size: int
    new_bytes: int
    consistency: Consistency
    unstable: list[bytes]
    skipped: list[tuple[bytes, str]]
    changed: list[bytes]


def take_snapshot(
    store: ObjectStore,
    root: Path,
    *,
    ignore: IgnoreRules,
    previous: bytes | None = None,
    source: ChangeSource | None = None,
    cursor: str | None = None,
    view: View | None = None,
) -> Snapshot:
    """Put the content of the folder `root` into `store`; the caller commits it, once, or rolls it back.

    `previous` is the tree of the snapshot to compare with. `source` says what may have changed since the last commit;
    without one everything is looked at. `view`, which the caller has entered, is how the folder is read; without one
    it is read as it is. `cursor` is what `source.mark` said before the view was entered; without a view it may be left
    to this function.

    Runs on the store's own thread. Files that turn out to be those of the last commit are not read; their knowledge is
    updated in the transaction of the store's next commit.

    Raises:
        DiskFull: too little room; nothing was written, or what was put has been dropped.
        SnapshotError: the root cannot be read.
    """
    store.require_free_space()
    source = source or StatSource()
    mark = source.mark() if cursor is None else cursor
    view = view or LiveView(root)
    put_before = store.put_bytes()
    index = StatIndex(store.connection, ignore.digest)
    with store.looking_up(), FileIngest(store) as ingest:
        walk = Walk(store, index, ignore, view, ingest)
        summary = walk.snapshot(root, _scope(index, source))
    store.defer(lambda connection: index.save(connection, source.name, mark))
    changes = diff(store, previous, summary.tree) if previous is not None else ()
    return Snapshot(
        root_hash=summary.tree,
        files=summary.files,
        size=summary.size,
        new_bytes=store.put_bytes() - put_before,
        consistency="fuzzy" if walk.unstable else view.consistency,
        unstable=sorted(walk.unstable),
        skipped=sorted(index.left_out()),
        changed=sorted(change.path for change in changes if change.is_content),
    )


def _scope(index: StatIndex, source: ChangeSource) -> Scope | None:
    """What `source` wants to have looked into since the last commit; None for everything."""
    saved = index.cursor(source.name) if index.same_rules else None
    dirty = source.changed_since(saved) if saved is not None else None
    if dirty is None:
        return None
    least = Look.ALWAYS if dirty.sees_mappings else Look.FOR_MAPPINGS
    return Scope(dirty.directories.union(index.to_look_into(least)), dirty.subtrees)
