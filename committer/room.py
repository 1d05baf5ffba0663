"""Making room in a local store: contents that the hub has are dropped, the oldest first.

Directories, commits and runs stay, so history can be listed and compared without the hub, and the newest commit's
contents. What the hub does not have is never dropped: while a commit waits to be pushed, nothing is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from msgspec import Struct

from committer.log import get_logger
from committer.storage.objects import Kind, decode_commit, references
from committer.storage.store import ObjectStore
from committer.sync.journal import Journal

log = get_logger(__name__)


class Dropped(Struct, frozen=True, kw_only=True):
    """What was dropped, or would be; `size` is what the store's packs take now, or would."""

    packs: int
    freed: int
    size: int


class Droppable(Struct, frozen=True, kw_only=True):
    """The packs whose contents may go, but for those of the newest commit."""

    packs: set[str]
    newest: str | None


def droppable(journal: Journal, *, is_bound: bool) -> Droppable:
    """What the hub has, once it has every commit."""
    counts, head = journal.counts(), journal.head()
    packs = journal.pushed_packs() if is_bound and counts.commits == counts.pushed else set()
    return Droppable(packs=packs, newest=head.id if head is not None else None)


def make_room(store: ObjectStore, may_go: Droppable, *, keep: int, dry_run: bool = False) -> Dropped:
    """Drop the contents of pushed packs until the store is no larger than `keep` bytes, or nothing more may go.

    The newest commit's contents stay: a hub that is restored from an older backup gets them again from here. On the
    store's thread, between two commits.

    Raises:
        DiskFull: there is not even room for what is kept of a pack.
        CorruptObject, MissingObject: what the newest commit needs cannot be read, so nothing is dropped.
    """
    sizes = store.pack_sizes()
    size, packs, freed = sum(sizes.values()), 0, 0
    spare = _contents_of(store, may_go.newest) if size > keep and may_go.packs else set()
    for pack in sizes:
        if size - freed <= keep:
            break
        if pack.hex() not in may_go.packs or not (contents := _droppable_size(store, pack, spare)):
            continue
        freed += contents if dry_run else store.evict(pack, _note_pushed, spare=spare)
        packs += 1
    if packs and not dry_run:
        log.info("store.made_room", packs=packs, freed=freed)
    return Dropped(packs=packs, freed=freed, size=size - freed)


def _contents_of(store: ObjectStore, commit: str | None) -> set[bytes]:
    """The blobs of a commit's files."""
    if commit is None:
        return set()
    blobs: set[bytes] = set()
    seen: set[bytes] = set()
    waiting = [(Kind.TREE, decode_commit(store.get(bytes.fromhex(commit), Kind.COMMIT)).root)]
    while waiting:
        kind, name = waiting.pop()
        if kind is Kind.BLOB:
            blobs.add(name)
        elif name not in seen:
            seen.add(name)
            waiting.extend(references(kind, store.get(name, kind)))
    return blobs


def _droppable_size(store: ObjectStore, pack: bytes, spare: Collection[bytes]) -> int:
    """The bytes that the contents in a pack take which may go."""
    entries = store.objects_in_pack(pack)
    return sum(entry.stored for entry in entries if entry.kind is Kind.BLOB and entry.hash not in spare)


def _note_pushed(connection: sqlite3.Connection, packs: list[bytes]) -> None:
    """What remains of a pack that the hub has, it has, too."""
    rows = [(pack.hex(),) for pack in packs]
    connection.executemany("INSERT OR IGNORE INTO journal_pushed_packs VALUES (?)", rows)
