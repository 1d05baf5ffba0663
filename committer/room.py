"""Making room in a local store: contents that the hub has are dropped, the oldest first.

Directories, commits and runs stay, so history can be listed and compared without the hub. What the hub does not have is
never dropped: while a commit waits to be pushed, nothing is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from msgspec import Struct

from committer.log import get_logger
from committer.storage.objects import Kind
from committer.storage.store import ObjectStore
from committer.sync.journal import Journal

log = get_logger(__name__)


class Dropped(Struct, frozen=True, kw_only=True):
    """What was dropped, or would be; `size` is what the store's packs take now, or would."""

    packs: int
    freed: int
    size: int


def droppable(journal: Journal, *, is_bound: bool) -> set[str]:
    """The packs whose contents may go: those that the hub has, once it has every commit."""
    counts = journal.counts()
    return journal.pushed_packs() if is_bound and counts.commits == counts.pushed else set()


def make_room(store: ObjectStore, pushed: Collection[str], *, keep: int, dry_run: bool = False) -> Dropped:
    """Drop the contents of pushed packs until the store is no larger than `keep` bytes, or nothing more may go.

    `pushed` are the packs that are `droppable`. On the store's thread, between two commits.

    Raises:
        DiskFull: there is not even room for what is kept of a pack.
    """
    sizes = store.pack_sizes()
    size, packs, freed = sum(sizes.values()), 0, 0
    for pack, stored in sizes.items():
        if size - freed <= keep:
            break
        if pack.hex() not in pushed or not _has_contents(store, pack):
            continue
        freed += stored if dry_run else store.evict(pack, _note_pushed)
        packs += 1
    if packs and not dry_run:
        log.info("store.made_room", packs=packs, freed=freed)
    return Dropped(packs=packs, freed=freed, size=size - freed)


def _has_contents(store: ObjectStore, pack: bytes) -> bool:
    return any(entry.kind is Kind.BLOB for entry in store.objects_in_pack(pack))


def _note_pushed(connection: sqlite3.Connection, packs: list[bytes]) -> None:
    """What remains of a pack that the hub has, it has, too."""
    rows = [(pack.hex(),) for pack in packs]
    connection.executemany("INSERT OR IGNORE INTO journal_pushed_packs VALUES (?)", rows)
