"""The local object store: packs in a folder, and the index that says what is in them.

    store/
      index.db       committer.storage.index; the committer's journal lives here too
      lock           held by the store's owner
      packs/ab/…     sealed packs; packs/*.tmp are being written

What is put becomes visible and durable in one step, `commit`: packs are synced and renamed first, then one SQLite
transaction names them. A crash before that transaction leaves only files that no row names, and opening removes those.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Self, TypeVar

from committer.storage import index
from committer.storage.codec import HASH_SIZE, digest
from committer.storage.compression import Compressor
from committer.storage.damage import read_error
from committer.storage.durability import MIN_FREE_BYTES, make_folder, require_free_space
from committer.storage.objects import MAX_OBJECT_SIZE, Kind
from committer.storage.pack import (
    MAX_RECORDS,
    PACKS,
    TEMPORARY_SUFFIX,
    Pack,
    PackEntry,
    PackWriter,
    Prepared,
    hash_file,
    pack_path,
    read_index,
    read_record,
)
from committer.storage.put_queue import PutQueue, Queued
from dotscience.errors import CorruptObject, EvictedObject, MissingObject, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

PACK_SIZE = 16 * 2**20
"""Bytes after which a pack is sealed: a hub takes it in one request, and a lost upload costs no more than this."""

LOCK = "lock"
DAMAGED_SUFFIX = ".damaged"

T = TypeVar("T")


class StoreReader:
    """Reads what has been committed to a store.

    It has an index connection of its own, bound to the thread that made it: give every thread its own reader. Readers
    and the owner do not block each other. Close it, or use it as a context manager.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._connection = index.connect(folder, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        self._connection.close()

    def has(self, name: bytes) -> bool:
        """Whether `get` would find the object; its bytes are not read."""
        return index.contains(self._connection, name)

    def get(self, name: bytes, kind: Kind | None = None) -> bytes:
        """The object of this hash, verified against it. `kind` only makes an error say what was missed.

        Raises:
            MissingObject: no pack holds it.
            CorruptObject: its pack is damaged.
        """
        found = index.find(self._connection, name)
        if found is None:
            what = kind.name.lower().replace("_", " ") if kind else "object"
            raise MissingObject(f"the {what} {name.hex()} is not in the store {self.folder}")
        pack, entry = found
        with self.open_pack(pack) as file:
            return read_record(file.fileno(), entry)

    def following(self, name: bytes, limit: int) -> list[tuple[bytes, int]]:
        """An object and at most `limit` that were put after it, into the same pack: their hashes and sizes, in order.

        Also where that pack was evicted. What a snapshot put together is read together.
        """
        return index.following(self._connection, name, limit)

    def packs(self) -> list[bytes]:
        """The hashes of all packs, oldest first."""
        return [pack for pack, _ in index.packs(self._connection)]

    def pack_sizes(self) -> dict[bytes, int]:
        """Every pack with its size in bytes, oldest first."""
        return dict(index.packs(self._connection))

    def packs_with(self, names: Iterable[bytes]) -> list[bytes]:
        """The packs that hold these objects, as far as any does, each once."""
        found = (index.find(self._connection, name) for name in names)
        return list(dict.fromkeys(place[0] for place in found if place is not None))

    def open_pack(self, pack: bytes) -> IO[bytes]:
        """A pack's file, unbuffered, for the caller to close.

        Raises:
            MissingObject: the file is gone.
            CorruptObject: the disk fails to open it.
            StorageUnavailable: it cannot be opened now.
        """
        path = pack_path(self.folder, pack)
        try:
            return path.open("rb", buffering=0)
        except FileNotFoundError as error:
            if index.is_evicted(self._connection, pack):
                raise EvictedObject("the content was dropped here to make room; the hub still has it") from error
            raise MissingObject(f"the pack {path} is gone; restore it from a backup or from the hub") from error
        except OSError as error:
            raise read_error(f"the pack {path}", error) from error

    def objects_in_pack(self, pack: bytes) -> list[PackEntry]:
        """What a pack holds, as the pack itself says, in the order in which it was put."""
        with self.open_pack(pack) as file:
            return read_index(file)


class ObjectStore(StoreReader):
    """A store and its only writer.

    One process and one thread owns it; other threads read through their own `StoreReader`. Its own `has` and `get` also
    see what was put and is not committed yet.

    Opening creates what is missing, removes what a crash left behind, and builds the index from the packs when there
    is none. Packs that the index names and that are gone are forgotten, with an error in the log, so that what they
    held is stored again when it is next put.
    """

    def __init__(self, folder: Path, *, min_free_bytes: int = MIN_FREE_BYTES, pack_size: int = PACK_SIZE) -> None:
        """Open the store in `folder`; no pack is begun with less than `min_free_bytes` of disk left.

        Raises:
            SnapshotError: another process owns the store.
            NewerStore: a newer version of this program made it.
            CorruptObject: the index cannot be read.
        """
        make_folder(folder / PACKS)
        self.folder = folder
        self._min_free_bytes = min_free_bytes
        self._pack_size = pack_size
        self._lock: int | None = _take_lock(folder)
        self._writer: PackWriter | None = None
        self._sealed: list[Pack] = []
        self._queue = PutQueue(self._append_all)
        self._put: dict[bytes, tuple[PackWriter, PackEntry] | None] = {}
        """Where what has been put is; None while it is in the queue."""
        self._deferred: list[Callable[[sqlite3.Connection], object]] = []
        self._compressor = Compressor()
        self._is_known_empty = False
        self._shared_lock = threading.Lock()
        try:
            self._connection = index.connect(folder)
            self._shared = index.connect(folder, any_thread=True)
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """The owner's connection, to read the tables that share its file; write in `commit` or `transaction`."""
        return self._connection

    def put_bytes(self) -> int:
        """What has been put since the last commit takes on disk.

        Raises:
            DiskFull: there is no room for it. It has been dropped.
        """
        with self._dropping_on_error():
            self._queue.drain()
        return sum(pack.size for pack in self._sealed) + (self._writer.size if self._writer else 0)

    def close(self) -> None:
        """Drop what was not committed and let go of the store. Safe to call again."""
        self.rollback()
        self._queue.close()
        self._shared.close()
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def has(self, name: bytes) -> bool:
        """Whether the object is in the store or has been put."""
        return name in self._put or (not self._is_known_empty and super().has(name))

    def get(self, name: bytes, kind: Kind | None = None) -> bytes:
        """As `StoreReader.get`, and also what has been put since the last commit.

        Raises:
            DiskFull: as `put`, where it was still waiting.
        """
        if name not in self._put:
            return super().get(name, kind)
        place = self._put[name]
        if place is None:
            with self._dropping_on_error():
                self._queue.drain()
            return self.get(name)
        writer, entry = place
        if writer.pack is None:
            return writer.read(entry)
        with self.open_pack(writer.pack.hash) as file:
            return read_record(file.fileno(), entry)

    def put(self, kind: Kind, data: bytes | memoryview) -> bytes:
        """Add an object and return its hash; nothing is stored twice. Durable only after `commit`.

        It may wait in memory for others to be compressed with, so a full disk shows at a later call, at the latest when
        it is committed.

        Raises:
            DiskFull: there is no room for what was put so far. All of it since the last commit has been dropped.
            SnapshotError: it is larger than an object may be.
        """
        name = digest(data)
        if self.has(name):
            return name
        if len(data) > MAX_OBJECT_SIZE:
            raise SnapshotError(f"an object of {len(data)} bytes is larger than the {MAX_OBJECT_SIZE} allowed")
        self._put[name] = None
        try:
            self._queue.put(Queued(kind, name, bytes(data)))
        except BaseException:
            self.rollback()
            raise
        return name

    def add(self, kind: Kind, prepared: Prepared) -> bytes:
        """As `put`, of an object of at most `MAX_OBJECT_SIZE` bytes that somebody else has hashed and compressed."""
        if not self.has(prepared.name):
            self._append(kind, prepared)
        return prepared.name

    def _append(self, kind: Kind, prepared: Prepared) -> None:
        try:
            self._append_all([(kind, prepared)])
        except BaseException:
            self.rollback()
            raise

    def _append_all(self, objects: Iterable[tuple[Kind, Prepared]]) -> None:
        for kind, prepared in objects:
            writer = self._writer_for(len(prepared.payload))
            self._put[prepared.name] = writer, writer.append(kind, prepared)

    def missing(self, names: Iterable[bytes]) -> set[bytes]:
        """Those of the objects that have neither been committed nor put."""
        return {name for name in names if not self.has(name)}

    def knows(self, name: bytes) -> bool:
        """As `has`, from any thread."""
        if name in self._put:
            return True
        with self._shared_lock:
            return index.contains(self._shared, name)

    @contextmanager
    def looking_up(self) -> Iterator[None]:
        """Look up many objects for less each; `commit` and `transaction` have to wait until this is left.

        Without it each look-up is a transaction of its own, and that costs more than finding the row: SQLite takes a
        lock and asks whether the log has grown (https://www.sqlite.org/walformat.html, 2.3).
        """
        connection = self._connection
        connection.execute("BEGIN")
        self._is_known_empty = index.is_empty(connection)
        try:
            yield
        finally:
            self._is_known_empty = False
            if connection.in_transaction:  # SQLite itself rolls back on some errors, such as a full disk
                connection.execute("COMMIT")

    def defer(self, action: Callable[[sqlite3.Connection], object]) -> None:
        """Have `action` run inside the transaction of the next `commit`; `rollback` forgets it."""
        self._deferred.append(action)

    def commit(self, apply: Callable[[sqlite3.Connection], T]) -> T:
        """Make durable and visible, all or nothing: what was put, what was deferred, and what `apply` writes.

        `apply` gets the connection inside the transaction and must not end it. When this raises, nothing has become
        visible and what was put and deferred since the last commit has been dropped.

        Raises:
            DiskFull: there is no room for it.
        """
        with self._dropping_on_error():
            self._queue.drain()
            self._seal()
        try:
            return self._publish(apply)
        finally:
            # Packs are not deleted when this failed: if the log could not be synced, only the next start can tell
            # whether the transaction is in it. That start also removes what no row names.
            self._forget_pending()

    def _publish(self, apply: Callable[[sqlite3.Connection], T]) -> T:
        with self.transaction() as connection:
            for pack in self._sealed:
                index.add_pack(connection, pack)
            for action in self._deferred:
                action(connection)
            return apply(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction on the tables that share the index's file, rolled back when the block raises.

        Raises:
            DiskFull: there is no room for it.
            SnapshotError: the disk failed.
        """
        connection = self._connection
        with index.disk_errors(self.folder):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back on some errors, such as a full disk
                    connection.execute("ROLLBACK")
                raise

    def rollback(self) -> None:
        """Drop what was put and deferred since the last commit."""
        self._queue.clear()
        if self._writer is not None:
            self._writer.discard()
        for pack in self._sealed:
            pack_path(self.folder, pack.hash).unlink(missing_ok=True)
        self._forget_pending()

    def evict(
        self, pack: bytes, apply: Callable[[sqlite3.Connection, list[bytes]], object], *, spare: Collection[bytes] = ()
    ) -> int:
        """Drop the blobs of a pack from this disk and keep everything else of it in a smaller one; the bytes saved.

        Blobs in `spare` are kept, too.

        Only for a pack whose objects are safe elsewhere, and while nothing is put that has not been committed. The
        blobs count as stored still, and reading them raises EvictedObject. `apply` gets the connection, inside the
        transaction, and the hashes of the packs that took over the rest.

        Raises:
            DiskFull: there is no room for the smaller pack.
        """
        size = pack_path(self.folder, pack).stat().st_size
        kept: list[bytes] = []
        with self._dropping_on_error():
            for entry in self.objects_in_pack(pack):
                if entry.kind is not Kind.BLOB or entry.hash in spare:
                    kept.append(entry.hash)
                    data = self.get(entry.hash)
                    self._append(entry.kind, Prepared(entry.hash, entry.size, *self._compressor.compress(data)))
            self._seal()
        try:
            with self.transaction() as connection:
                index.evict_pack(connection, pack, kept)
                for made in self._sealed:
                    index.add_pack(connection, made)
                apply(connection, [made.hash for made in self._sealed])
            saved = size - sum(made.size for made in self._sealed)
        finally:
            self._forget_pending()
        pack_path(self.folder, pack).unlink(missing_ok=True)
        return saved

    def rebuild_index(self) -> list[Path]:
        """Make the index of objects anew from the packs alone; returns the files that turned out to be damaged.

        Those are kept under another name and nothing in them is used. Tables of others are not touched. The next
        snapshot reads every file again.
        """
        self.rollback()
        whole, damaged = self._read_packs()
        with self.transaction() as connection:
            index.clear(connection)
            for pack in whole:
                index.add_pack(connection, pack)
            index.mark_format(connection)
        return [path.rename(path.with_name(f"{path.name}{DAMAGED_SUFFIX}")) for path in damaged]

    def _read_packs(self) -> tuple[list[Pack], list[Path]]:
        whole: list[Pack] = []
        damaged: list[Path] = []
        for path in sorted(self._pack_files(), key=_written_at):
            try:
                whole.append(_read_pack(path))
            except CorruptObject as error:
                log.error("%s is left out of the index: %s", path, error)  # noqa: TRY400 - the message says it all
                damaged.append(path)
        return whole, damaged

    @contextmanager
    def _dropping_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.rollback()
            raise

    def require_free_space(self) -> None:
        """Make sure that a snapshot may start.

        Raises:
            DiskFull: less disk is left than the store was told to leave.
        """
        require_free_space(self.folder, self._min_free_bytes)

    def _writer_for(self, size: int) -> PackWriter:
        writer = self._writer
        if writer is not None and (writer.size + size > self._pack_size or len(writer.entries) >= MAX_RECORDS):
            self._seal()
        if self._writer is None:
            self.require_free_space()
            self._writer = PackWriter(self.folder)
        return self._writer

    def _seal(self) -> None:
        if self._writer is None:
            return
        self._sealed.append(self._writer.seal())
        self._writer = None

    def _forget_pending(self) -> None:
        self._writer = None
        self._sealed.clear()
        self._put.clear()
        self._deferred.clear()

    def _recover(self) -> None:
        """Bring folder and index to agree, whatever moment a crash hit."""
        for path in (self.folder / PACKS).glob(f"*{TEMPORARY_SUFFIX}"):
            path.unlink()
        if index.create_tables(self._connection):
            self.rebuild_index()
            return
        named = {pack_path(self.folder, pack): (pack, size) for pack, size in index.packs(self._connection)}
        for path in self._pack_files():
            if path not in named:
                log.info("removing %s, which a crash left behind", path)
                path.unlink()
        self._forget_lost([pack for path, (pack, size) in named.items() if not _has_size(path, size)])

    def _forget_lost(self, lost: list[bytes]) -> None:
        if not lost:
            return
        log.error("%d packs of %s are gone or cut off, first %s", len(lost), self.folder, lost[0].hex())
        with self.transaction() as connection:
            index.remove_packs(connection, lost)

    def _pack_files(self) -> Iterator[Path]:
        return (path for path in (self.folder / PACKS).glob("??/*") if len(path.name) == 2 * HASH_SIZE)


def _take_lock(folder: Path) -> int:
    """Own the store until the returned descriptor is closed, at the latest when this process ends (flock(2))."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SnapshotError(f"the store {folder} is in use by another process; stop that one first") from error
    return descriptor


def _read_pack(path: Path) -> Pack:
    with path.open("rb") as file:
        name = hash_file(file)
        if name.hex() != path.name:
            raise CorruptObject(f"{path} holds other bytes than its name says")
        return Pack(name, path.stat().st_size, read_index(file))


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _written_at(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
