from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from committer.storage import index
from committer.storage.codec import digest
from committer.storage.objects import Kind
from committer.storage.pack import pack_path
from committer.storage.store import ObjectStore, StoreReader
from dotscience.errors import CorruptObject, DiskFull, MissingObject, NewerStore, SnapshotError


def nothing(connection: sqlite3.Connection) -> None:
    """A commit without rows of the caller's own."""


def pack_files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "packs").rglob("*") if path.is_file()}


def rows(folder: Path) -> list[tuple]:
    connection = sqlite3.connect(folder / "index.db")
    try:
        query = (
            "SELECT object.hash, pack.hash, kind, position, stored, object.size, encoding"
            " FROM object JOIN pack ON pack.id = object.pack ORDER BY object.hash"
        )
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def open_store(folder: Path, **options) -> ObjectStore:
    return ObjectStore(folder, **({"min_free_bytes": 0} | options))


def test_an_object_is_readable_at_once_and_durable_after_the_commit(store, store_folder):
    name = store.put(Kind.BLOB, b"hello")
    assert name == digest(b"hello")
    assert store.has(name)
    assert store.get(name) == b"hello"
    with StoreReader(store_folder) as reader:
        assert not reader.has(name)
        store.commit(nothing)
        assert reader.has(name)
        assert reader.get(name) == b"hello"


def test_nothing_is_stored_twice(store):
    for _ in range(2):
        store.put(Kind.BLOB, b"same")
        store.put(Kind.RUN, b"same")
        store.commit(nothing)
    assert [len(store.objects_in_pack(pack)) for pack in store.packs()] == [1]


def test_a_missing_object_is_named(store):
    with pytest.raises(MissingObject, match=f"run {digest(b'x').hex()}"):
        store.get(digest(b"x"), Kind.RUN)


def test_the_journal_is_in_the_same_transaction(store):
    with store.transaction() as connection:
        connection.execute("CREATE TABLE journal (run TEXT)")
    name = store.put(Kind.RUN, b"{}")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO journal VALUES ('r')")
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        store.commit(fail)
    assert not store.has(name)
    assert store.connection.execute("SELECT * FROM journal").fetchall() == []

    store.put(Kind.RUN, b"{}")
    assert store.commit(lambda c: c.execute("INSERT INTO journal VALUES ('r')").rowcount) == 1
    assert store.has(name)
    assert store.connection.execute("SELECT * FROM journal").fetchall() == [("r",)]


def test_rollback_drops_objects_packs_and_deferred_rows(store, store_folder, make_bytes):
    with store.transaction() as connection:
        connection.execute("CREATE TABLE deferred (x)")
    store.defer(lambda connection: connection.execute("INSERT INTO deferred VALUES (1)"))
    names = [store.put(Kind.BLOB, make_bytes(7 * 2**20, seed)) for seed in range(4)]
    assert store.put_bytes() > 4 * 7 * 2**20
    assert len(pack_files(store_folder)) == 2
    store.rollback()
    assert pack_files(store_folder) == set()
    assert not any(store.has(name) for name in names)
    assert store.put_bytes() == 0
    store.commit(nothing)
    assert store.connection.execute("SELECT * FROM deferred").fetchall() == []


def test_packs_are_sealed_before_they_grow_too_large(store_folder, make_bytes):
    with open_store(store_folder, pack_size=1000) as store:
        names = [store.put(Kind.BLOB, make_bytes(size, size)) for size in (400, 401, 402, 5000, 10)]
        store.commit(nothing)
        assert [len(store.objects_in_pack(pack)) for pack in store.packs()] == [2, 1, 1, 1]
        assert [len(store.get(name)) for name in names] == [400, 401, 402, 5000, 10]


def test_an_object_too_large_is_refused_and_the_rest_kept(store):
    kept = store.put(Kind.BLOB, b"kept")
    with pytest.raises(SnapshotError, match="larger"):
        store.put(Kind.BLOB, bytes(48 * 2**20 + 1))
    assert store.has(kept)


def test_one_owner_at_a_time(store, store_folder):
    with pytest.raises(SnapshotError, match="in use"):
        open_store(store_folder)
    store.close()
    store.close()
    open_store(store_folder).close()


def test_a_reader_in_another_thread_sees_commits(store, store_folder):
    name = store.put(Kind.BLOB, b"x")
    store.commit(nothing)
    found: list[bytes] = []

    def read() -> None:
        with StoreReader(store_folder) as reader:
            found.append(reader.get(name))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert found == [b"x"]


def test_too_little_room_stops_before_anything_is_written(store_folder):
    with open_store(store_folder, min_free_bytes=2**62) as store:
        name = store.put(Kind.BLOB, b"x")
        with pytest.raises(DiskFull, match="make room"):
            store.commit(nothing)
        assert not store.has(name)
        with pytest.raises(DiskFull):
            store.require_free_space()
        assert pack_files(store_folder) == set()


def test_opening_removes_what_a_crash_left(store_folder):
    with open_store(store_folder) as store:
        name = store.put(Kind.BLOB, b"committed")
        store.commit(nothing)
        kept = pack_files(store_folder)
    (store_folder / "packs" / "half.tmp").write_bytes(b"DSR1")
    (store_folder / "packs" / "ab").mkdir(exist_ok=True)
    (store_folder / "packs" / "ab" / ("ab" * 32)).write_bytes(b"sealed, but never named")
    with open_store(store_folder) as store:
        assert pack_files(store_folder) == kept
        assert store.get(name) == b"committed"


def test_a_lost_index_is_made_again_from_the_packs(store_folder, make_bytes):
    with open_store(store_folder, pack_size=1000) as store:
        for seed in range(5):
            store.put(Kind.BLOB, make_bytes(600, seed))
        store.put(Kind.TREE, b"tree " * 10)
        store.commit(nothing)
    before = rows(store_folder)
    assert len(before) == 6
    for path in store_folder.glob("index.db*"):
        path.unlink()
    with open_store(store_folder):
        assert rows(store_folder) == before


def test_rebuilding_leaves_the_journal_alone_and_damage_out(store_folder, make_bytes):
    with open_store(store_folder, pack_size=1000) as store:
        first, second = (store.put(Kind.BLOB, make_bytes(900, seed)) for seed in (1, 2))
        store.commit(lambda connection: connection.execute("CREATE TABLE journal AS SELECT 7 AS run"))
        path = pack_path(store_folder, store.packs()[0])
        path.write_bytes(path.read_bytes().replace(b"DSR1", b"DSR2"))
        assert store.rebuild_index() == [path.with_name(f"{path.name}.damaged")]
        assert not store.has(first)
        assert store.get(second) == make_bytes(900, 2)
        assert store.connection.execute("SELECT run FROM journal").fetchall() == [(7,)]
    with open_store(store_folder):
        assert path.with_name(f"{path.name}.damaged").exists()


def test_a_lost_pack_is_forgotten_so_that_its_objects_are_stored_again(store_folder):
    with open_store(store_folder) as store:
        name = store.put(Kind.BLOB, b"precious")
        store.commit(nothing)
        pack = store.packs()[0]
    next((store_folder / "packs").glob("??/*")).unlink()
    with open_store(store_folder) as store:
        assert not store.has(name)
        store.put(Kind.BLOB, b"precious")
        store.commit(nothing)
        assert store.packs() == [pack]
        assert store.get(name) == b"precious"


def test_damage_is_never_served(store_folder):
    with open_store(store_folder) as store:
        name = store.put(Kind.BLOB, b"text " * 100)
        store.commit(nothing)
        path = next((store_folder / "packs").glob("??/*"))
        whole = path.read_bytes()
        for position in range(store.objects_in_pack(store.packs()[0])[0].end):
            damaged = bytearray(whole)
            damaged[position] ^= 0x40
            path.write_bytes(damaged)
            with pytest.raises(CorruptObject, match=name.hex()):
                store.get(name)


def test_a_damaged_index_says_what_to_do(store_folder):
    open_store(store_folder).close()
    (store_folder / "index.db").write_bytes(b"not a database" * 100)
    with pytest.raises(CorruptObject, match="makes a new index"):
        open_store(store_folder)
    with pytest.raises(CorruptObject):
        StoreReader(store_folder)


def test_a_newer_format_is_refused(store_folder):
    with open_store(store_folder) as store, store.transaction() as connection:
        connection.execute("UPDATE store_format SET version = ?", (index.FORMAT + 1,))
    with pytest.raises(NewerStore, match="upgrade"):
        open_store(store_folder)


def test_commits_are_synced(store):
    assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("PRAGMA synchronous").fetchone() == (2,)
