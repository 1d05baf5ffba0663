from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from committer.storage.codec import digest
from committer.storage.compression import Encoding
from committer.storage.objects import Kind
from committer.storage.pack import (
    HEADER,
    PACK_MAGIC,
    RECORD_MAGIC,
    TRAILER,
    PackWriter,
    hash_file,
    iterate_records,
    pack_path,
    parse_records,
    read_index,
    read_record,
)
from dotscience.errors import CorruptObject


def write(folder: Path, *contents: bytes) -> bytes:
    writer = PackWriter(folder)
    for content in contents:
        writer.add(Kind.BLOB, digest(content), content)
    pack = writer.seal()
    data = pack_path(folder, pack.hash).read_bytes()
    assert digest(data) == pack.hash
    assert len(data) == pack.size
    return data


def forge(*records: tuple[bytes, int, int, bytes, int], index: bytes | None = None) -> bytes:
    """A pack with a valid index and trailer around any records (hash, kind, encoding, payload, claimed size)."""
    body, entries = b"", []
    for name, kind, encoding, payload, size in records:
        entries.append([name, kind, len(body), len(payload), size, encoding])
        body += HEADER.pack(RECORD_MAGIC, kind, encoding, name, len(payload), size) + payload
    packed = zstandard.compress(msgspec.msgpack.encode(entries)) if index is None else index
    return body + packed + TRAILER.pack(len(packed), digest(packed), PACK_MAGIC)


def is_readable(data: bytes) -> bool:
    try:
        read(data)
    except CorruptObject:
        return False
    return True


def read(data: bytes, **limits: int) -> list[bytes]:
    return [record.data for record in iterate_records(io.BytesIO(data), **limits)]


def test_objects_come_back_in_order(tmp_path, make_bytes):
    contents = [b"", b"a", b"text " * 50_000, make_bytes(300_000), b"\0" * 1_000_000]
    data = write(tmp_path, *contents)
    assert read(data) == contents
    assert hash_file(io.BytesIO(data)) == digest(data)
    encodings = [entry.encoding for entry in read_index(io.BytesIO(data))]
    assert encodings == [Encoding.RAW, Encoding.RAW, Encoding.ZSTD, Encoding.RAW, Encoding.ZSTD]


def test_an_object_can_be_read_while_its_pack_is_written(tmp_path):
    writer = PackWriter(tmp_path)
    entry = writer.add(Kind.TREE, digest(b"one"), b"one")
    writer.add(Kind.BLOB, digest(b"two"), b"two")
    assert writer.read(entry) == b"one"
    writer.discard()
    assert list((tmp_path / "packs").iterdir()) == []


def test_one_object_is_read_by_its_entry(tmp_path):
    write(tmp_path, b"first", b"second " * 1000)
    path = next((tmp_path / "packs").glob("??/*"))
    with path.open("rb") as file:
        entries = read_index(file)
        assert read_record(file.fileno(), entries[1]) == b"second " * 1000
        moved = msgspec.structs.replace(entries[1], offset=0)
        with pytest.raises(CorruptObject, match=entries[1].hash.hex()):
            read_record(file.fileno(), moved)


@pytest.fixture(scope="module")
def small_pack(tmp_path_factory) -> bytes:
    return write(tmp_path_factory.mktemp("pack"), b"raw", b"compressed " * 30, b"")


def test_a_bit_flipped_anywhere_is_noticed(small_pack):
    """By a check of its record, but for one bit that zstd ignores (RFC 8878, 3.1.1.1.1.3); by the name, always."""
    unnoticed = []
    for position in range(len(small_pack)):
        for bit in range(8):
            damaged = bytearray(small_pack)
            damaged[position] ^= 1 << bit
            assert digest(damaged) != digest(small_pack)
            if is_readable(bytes(damaged)):
                assert read(bytes(damaged)) == read(small_pack)
                unnoticed.append((position, bit))
    second = read_index(io.BytesIO(small_pack))[1]
    assert unnoticed == [(second.offset + HEADER.size + 4, 4)]


def test_a_pack_cut_off_anywhere_is_noticed(small_pack):
    for length in range(len(small_pack)):
        with pytest.raises(CorruptObject):
            read(small_pack[:length])


def test_bytes_added_are_noticed(small_pack):
    for extra in (small_pack + b"\0", b"\0" + small_pack):
        with pytest.raises(CorruptObject):
            read(extra)


@pytest.fixture(scope="module")
def records(small_pack) -> bytes:
    """The records of the pack, as they are sent without it."""
    return small_pack[: read_index(io.BytesIO(small_pack))[-1].end]


def test_records_are_read_without_an_index(records, small_pack):
    assert [record.data for record in parse_records(records)] == read(small_pack)
    assert list(parse_records(b"")) == []


def test_what_is_read_without_an_index_has_its_hash_whatever_happened_to_it(records):
    for position in range(len(records)):
        for bit in range(8):
            damaged = bytearray(records)
            damaged[position] ^= 1 << bit
            try:
                assert all(digest(record.data) == record.entry.hash for record in parse_records(bytes(damaged)))
            except CorruptObject:
                continue


def test_records_cut_off_anywhere_but_between_two_are_noticed(records):
    ends = {0, *(record.entry.end for record in parse_records(records))}
    for length in set(range(len(records))) - ends:
        with pytest.raises(CorruptObject):
            list(parse_records(records[:length]))


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_are_refused_as_records(data):
    with pytest.raises(CorruptObject):
        list(parse_records(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    with pytest.raises(CorruptObject):
        read(data)


@given(st.binary(max_size=300))
def test_any_index_is_refused(data):
    with pytest.raises(CorruptObject):
        read(forge(index=data))
    with pytest.raises(CorruptObject):
        read(forge(index=zstandard.compress(data)))


def test_an_index_that_nests_without_end_is_refused():
    entry = msgspec.msgpack.encode([digest(b"x"), 1, 0, 1, 1, 0, None])
    with pytest.raises(CorruptObject, match="recursion"):
        read(forge(index=zstandard.compress(b"\x91" + entry[:-1] + b"\x91" * 100_000 + b"\xc0")))


def test_a_bomb_is_refused_before_it_goes_off():
    bomb = zstandard.compress(bytes(64 * 2**20))
    assert len(bomb) < 10_000
    name = digest(b"x")
    with pytest.raises(CorruptObject, match=name.hex()):
        read(forge((name, 1, 1, bomb, 10)))
    with pytest.raises(CorruptObject, match="more than"):
        read(forge((name, 1, 1, bomb, 64 * 2**20)))
    with pytest.raises(CorruptObject, match="claims"):
        read(forge(index=bomb))


def test_a_frame_that_hides_its_size_is_refused():
    data = b"text " * 100
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    with pytest.raises(CorruptObject, match="claims"):
        read(forge((digest(data), 1, 1, hidden, len(data))))


def test_a_record_is_refused_for_each_lie():
    data = b"text " * 100
    packed = zstandard.compress(data)
    name = digest(data)
    assert read(forge((name, 1, 1, packed, len(data)))) == [data]
    lies = {
        "another hash": (digest(b"other"), 1, 1, packed, len(data)),
        "a larger size": (name, 1, 1, packed, len(data) + 1),
        "a smaller size": (name, 1, 1, packed, len(data) - 1),
        "an unknown kind": (name, 99, 1, packed, len(data)),
        "an unknown encoding": (name, 1, 7, packed, len(data)),
        "raw that is packed": (name, 1, 0, packed, len(packed)),
        "packed that is raw": (name, 1, 1, data, len(data)),
        "more than a frame": (name, 1, 1, packed + packed, len(data)),
        "an empty frame": (digest(b""), 1, 1, zstandard.compress(b""), 0),
    }
    believed = [lie for lie, record in lies.items() if is_readable(forge(record))]
    assert believed == []


def test_records_must_lie_end_to_end():
    data = forge((digest(b"a"), 1, 0, b"a", 1), (digest(b"b"), 1, 0, b"b", 1))
    body = data[: 2 * (HEADER.size + 1)]
    for offsets in ([0, 0], [0, 46], [47, 0], [0, 48]):
        entries = [[digest(c), 1, o, 1, 1, 0] for c, o in zip((b"a", b"b"), offsets, strict=True)]
        packed = zstandard.compress(msgspec.msgpack.encode(entries))
        with pytest.raises(CorruptObject):
            read(body + packed + TRAILER.pack(len(packed), digest(packed), PACK_MAGIC))


def test_a_record_larger_than_allowed_is_named(tmp_path):
    data = write(tmp_path, b"12345", b"123456")
    assert len(read(data, max_record=6)) == 2
    with pytest.raises(CorruptObject, match=digest(b"123456").hex()):
        read(data, max_record=5)


def test_a_pack_appears_under_its_name_only_when_it_is_whole(tmp_path):
    writer = PackWriter(tmp_path)
    writer.add(Kind.BLOB, digest(b"a"), b"a")
    assert [path.suffix for path in (tmp_path / "packs").iterdir()] == [".tmp"]
    pack = writer.seal()
    assert [path.name for path in (tmp_path / "packs").rglob("*") if path.is_file()] == [pack.hash.hex()]
    assert pack_path(tmp_path, pack.hash).parent.stat().st_mode & 0o777 == 0o700
