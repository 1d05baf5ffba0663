"""Damage anywhere in a store is found and named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from committer.storage.objects import Kind
from committer.storage.pack import pack_path
from committer.storage.verify import verify
from dotscience.errors import SnapshotError, StorageUnavailable


@pytest.fixture
def commit(store, snap, root, make_bytes):
    from datetime import UTC, datetime

    from committer.storage.objects import encode_commit
    from dotscience.record import Commit, CommitStats

    (root / "d").mkdir()
    (root / "d" / "a").write_bytes(make_bytes(3000))
    (root / "big").write_bytes(make_bytes(2 * 2**20, 1))
    snapshot = snap()
    made = Commit(
        dot_id="6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0",
        parents=[],
        root=snapshot.root_hash,
        runs=[],
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        message="",
        author="",
        client="",
        consistency="stable",
        unstable=[],
        stats=CommitStats(files=2, size=0, new_bytes=0, duration_ms=0),
    )
    name = store.put(Kind.COMMIT, encode_commit(made))
    store.commit(lambda _: None)
    return name


@pytest.mark.parametrize("read_data", [False, True])
def test_a_whole_store_has_no_damage(store, commit, read_data):
    found = verify(store, [commit], read_data=read_data)
    assert (found.damage, found.packs) == ([], 2)
    assert found.objects > 4


def test_progress_goes_to_the_end(store, commit):
    told = []
    found = verify(store, [commit], progress=told.append)
    assert sum(told) == found.size


def test_a_flipped_bit_anywhere_is_found(store, commit):
    for pack, size in store.pack_sizes().items():
        path = pack_path(store.folder, pack)
        whole = path.read_bytes()
        for position in range(0, size, max(1, size // 40)):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            damage = verify(store, [commit], read_data=True).damage
            assert any(pack.hex() in one.what for one in damage), position
        path.write_bytes(whole)


def test_a_pack_that_is_gone_or_cut_off_is_named(store, commit):
    first, second = store.packs()
    pack_path(store.folder, first).unlink()
    pack_path(store.folder, second).write_bytes(b"")
    found = verify(store, [commit])
    assert {one.what for one in found.damage} >= {f"pack {first.hex()}", f"pack {second.hex()}"}


def test_content_that_no_pack_holds_is_named(store, commit):
    row = store.connection.execute("SELECT hash FROM object WHERE kind = ?", (Kind.BLOB,)).fetchone()
    with store.transaction() as connection:
        connection.execute("DELETE FROM object WHERE hash = ?", row)
    assert [one.what for one in verify(store, [commit]).damage] == [f"content {row[0].hex()}"]


def test_a_commit_that_is_not_there_is_damage_and_no_error(store):
    (damage,) = verify(store, [b"\1" * 32]).damage
    assert damage.what == "commit " + "01" * 32
    with pytest.raises(SnapshotError):
        store.get(b"\1" * 32)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("failing", ["stat", "open", "read", "record"])
def test_what_passes_is_no_damage_and_ends_it(store, commit, monkeypatch, failing, number):
    fail_packs(monkeypatch, failing, number)
    with pytest.raises(StorageUnavailable, match=os.strerror(number)):
        verify(store, [commit], read_data=True)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT])
@pytest.mark.parametrize("failing", ["stat", "open", "read", "record"])
def test_what_a_disk_has_lost_is_damage(store, commit, monkeypatch, failing, number):
    fail_packs(monkeypatch, failing, number)
    assert verify(store, [commit], read_data=True).damage


def fail_packs(monkeypatch, failing, number):
    """Have the files of packs fail with this error: to be looked at, opened or read, as a whole or at a record."""
    error = OSError(number, os.strerror(number))

    def fail(*_arguments, **_more):
        raise error

    def fail_for_packs(before):
        return lambda path, *more, **named: (fail if "packs" in str(path) else before)(path, *more, **named)

    if failing == "record":
        monkeypatch.setattr(os, "pread", fail)
    elif failing == "read":
        monkeypatch.setattr("committer.storage.verify.hash_file", fail)
    else:
        monkeypatch.setattr(Path, failing, fail_for_packs(getattr(Path, failing)))
