"""Objects between `put` and their pack."""

from __future__ import annotations

import random

import pytest

from committer.storage.codec import digest
from committer.storage.compression import PROBE_FROM, Compressor
from committer.storage.objects import Kind
from committer.storage.put_queue import MOST_BYTES, SLICE_OBJECTS, SLICE_SIZE, PutQueue, Queued
from committer.storage.store import ObjectStore


def objects(count: int, seed: int = 1) -> list[bytes]:
    """Different ones: empty, text, noise, and some that are more than a slice each."""
    chance = random.Random(seed)
    found = [b"", chance.randbytes(PROBE_FROM + 1), b"text " * PROBE_FROM, chance.randbytes(2 * SLICE_SIZE)]
    for number in range(count - len(found)):
        size = int(chance.expovariate(1 / 4000))
        found.append(b"%d:" % number + (chance.randbytes(size) if number % 2 else b"word " * (size // 5)))
    chance.shuffle(found)
    return found


@pytest.fixture
def appended() -> list[bytes]:
    """The names of what a queue has let go, in order."""
    return []


@pytest.fixture
def queue(appended):
    made = PutQueue(lambda objects: appended.extend(prepared.name for _, prepared in objects))
    yield made
    made.close()


def queued(data: bytes) -> Queued:
    return Queued(Kind.BLOB, digest(data), data)


def test_many_at_once_are_compressed_as_one_by_one():
    compressor = Compressor()
    data = objects(300)
    found = [(encoding, bytes(payload)) for encoding, payload in compressor.compress_all(data)]
    assert found == [(encoding, bytes(payload)) for encoding, payload in map(compressor.compress, data)]
    assert compressor.compress_all([]) == []
    assert compressor.compress_all([b"", b""]) == [compressor.compress(b"")] * 2


def test_objects_are_in_the_pack_in_the_order_in_which_they_were_put(store):
    data = objects(5 * SLICE_OBJECTS)
    names = [store.put(Kind.BLOB, one) for one in data]
    store.commit(lambda connection: None)
    packed = [entry.hash for pack in store.packs() for entry in store.objects_in_pack(pack)]
    assert packed == names
    assert [store.get(name) for name in names] == data


def test_equal_objects_make_equal_packs(tmp_path):
    packs = []
    for place in ("one", "two"):
        with ObjectStore(tmp_path / place, min_free_bytes=0) as store:
            for one in objects(3 * SLICE_OBJECTS):
                store.put(Kind.BLOB, one)
            store.commit(lambda connection: None)
            packs.append(store.packs())
    assert packs[0] == packs[1]


def test_what_is_still_queued_can_be_read(store):
    data = objects(2 * SLICE_OBJECTS)
    for one in data:
        assert store.get(store.put(Kind.BLOB, one)) == one


def test_what_is_on_its_way_is_bounded(queue, appended):
    piece = SLICE_SIZE // 2
    for number in range(100):
        queue.put(queued(number.to_bytes(4, "big") * (piece // 4)))
    assert 100 - len(appended) <= MOST_BYTES // piece
    queue.drain()
    assert len(appended) == 100


def test_an_object_larger_than_the_bound_passes(queue, appended):
    for one in objects(SLICE_OBJECTS):
        queue.put(queued(one))
    large = queued(bytes(MOST_BYTES + 1))
    queue.put(large)
    queue.drain()
    assert appended[-1] == large.name
    assert len(appended) == SLICE_OBJECTS + 1


def test_clearing_drops_everything_and_leaves_a_queue_that_works(queue, appended):
    for one in objects(3 * SLICE_OBJECTS):
        queue.put(queued(one))
    before = len(appended)
    queue.clear()
    queue.drain()
    assert len(appended) == before
    queue.put(queued(b"next"))
    queue.drain()
    assert appended[before:] == [digest(b"next")]


def test_a_put_that_fails_for_an_earlier_object_drops_all_and_the_store_goes_on(store, store_folder, monkeypatch):
    names = [store.put(Kind.BLOB, one) for one in objects(2 * SLICE_OBJECTS)]
    monkeypatch.setattr(store, "_writer_for", lambda size: (_ for _ in ()).throw(OSError(5, "the disk is broken")))
    slices = [number.to_bytes(4, "big") * (SLICE_SIZE // 4) for number in range(MOST_BYTES // SLICE_SIZE + 2)]
    with pytest.raises(OSError, match="broken"):
        names += [store.put(Kind.BLOB, one) for one in slices]
    assert not any(store.has(name) for name in names)
    monkeypatch.undo()
    name = store.put(Kind.BLOB, b"after")
    store.commit(lambda connection: None)
    assert [entry.hash for pack in store.packs() for entry in store.objects_in_pack(pack)] == [name]
