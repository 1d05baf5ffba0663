from __future__ import annotations

import struct
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from committer.storage.chunks import Chunk, ChunkList, decode_chunks, store_chunks
from committer.storage.codec import encode
from committer.storage.objects import Kind, decode_commit, decode_run, digest, encode_commit, references
from committer.storage.tree import Attribute, EntryKind, Tree, TreeEntry, decode_tree, encode_tree
from dotscience.errors import CorruptObject, SnapshotError
from dotscience.record import Commit, Environment, RunRecord, encode_json

HASH = digest(b"x")
names = st.binary(min_size=1, max_size=40).filter(lambda n: n not in (b".", b"..") and b"/" not in n and b"\0" not in n)
hashes = st.binary(min_size=32, max_size=32)
attributes = st.lists(
    st.builds(Attribute, st.binary(min_size=1, max_size=9).filter(lambda n: b"\0" not in n), st.binary(max_size=20)),
    unique_by=lambda a: a.name,
    max_size=3,
).map(lambda found: tuple(sorted(found, key=lambda a: a.name)))
entries = st.one_of(
    st.builds(
        TreeEntry,
        names,
        st.sampled_from([EntryKind.FILE, EntryKind.CHUNKED_FILE]),
        st.integers(0, 0o7777),
        st.integers(0, 2**63 - 1),
        st.integers(-(2**63) + 1, 2**63 - 1),
        hashes,
        st.integers(0, 2**63 - 1),
        attributes,
    ),
    st.builds(TreeEntry, names, st.just(EntryKind.DIRECTORY), st.integers(0, 0o7777), st.just(0), st.just(0), hashes),
)


def entry(name: bytes, kind: EntryKind = EntryKind.FILE, content: bytes = HASH, **more) -> TreeEntry:
    return msgspec.structs.replace(TreeEntry(name, kind, 0o644, 0, 0, content), **more)


def commit(**more) -> Commit:
    fields = {
        "dot_id": "d",
        "parents": [],
        "root": HASH,
        "runs": [("r", HASH)],
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        "message": "m",
        "author": "a",
        "client": "c",
        "consistency": "stable",
    }
    return Commit(**(fields | more))


@given(st.lists(entries, unique_by=lambda e: e.name, max_size=20))
def test_a_tree_is_read_back_sorted_whatever_order_it_was_given_in(given_entries):
    tree = decode_tree(encode_tree(given_entries))
    assert list(tree.entries) == sorted(given_entries, key=lambda e: e.name)
    assert all(tree.find(e.name) == e for e in given_entries)
    assert encode_tree(reversed(given_entries)) == encode_tree(given_entries)


@pytest.mark.parametrize(
    "bad",
    [
        [entry(b"")],
        [entry(b".")],
        [entry(b"..")],
        [entry(b"a/b")],
        [entry(b"a\0b")],
        [entry(b"n" * 1025)],
        [entry(b"a"), entry(b"a")],
        [entry(b"b"), entry(b"a")],
        [entry(b"a", content=b"short")],
        [entry(b"a", content=b"")],
        [entry(b"a", EntryKind.SYMLINK, b"")],
        [entry(b"a", EntryKind.SYMLINK, b"a\0b")],
        [entry(b"a", EntryKind.SYMLINK, b"t" * 4097)],
        [entry(b"a", EntryKind.DIRECTORY, size=1)],
        [entry(b"a", EntryKind.DIRECTORY, mtime_ns=1)],
        [entry(b"a", mode=0o10000)],
        [entry(b"a", mode=-1)],
        [entry(b"a", size=-1)],
        [entry(b"a", size=2**63)],
        [entry(b"a", mtime_ns=2**63)],
        [entry(b"a", kind=9)],
        [entry(b"a", link=-1)],
        [entry(b"a", EntryKind.DIRECTORY, link=7)],
        [entry(b"a", EntryKind.SYMLINK, b"t", link=7)],
        [entry(b"a", EntryKind.SYMLINK, b"t", attributes=(Attribute(b"n", b"v"),))],
        [entry(b"a", attributes=(Attribute(b"", b"v"),))],
        [entry(b"a", attributes=(Attribute(b"a\0b", b"v"),))],
        [entry(b"a", attributes=(Attribute(b"n", b"v"), Attribute(b"n", b"w")))],
        [entry(b"a", attributes=(Attribute(b"o", b"v"), Attribute(b"n", b"v")))],
        [entry(b"a", attributes=tuple(Attribute(b"%02d" % n, bytes(2**15)) for n in range(3)))],
    ],
)
def test_a_hostile_tree_is_refused(bad):
    with pytest.raises(CorruptObject):
        decode_tree(encode(Tree(1, tuple(bad))))


@pytest.mark.parametrize("bad", [[entry(b"..")], [entry(b"a"), entry(b"a")], [entry(b"a/b")]])
def test_what_could_not_be_read_back_is_not_written(bad):
    with pytest.raises(SnapshotError):
        encode_tree(bad)


def test_a_count_that_the_bytes_cannot_back_costs_no_memory():
    absurd = b"\x92\x01\xdd\xff\xff\xff\xff" + b"\xc0" * 8
    with pytest.raises(CorruptObject):
        decode_tree(absurd)
    with pytest.raises(CorruptObject):
        decode_chunks(b"\x93\x01\x00\xdd\xff\xff\xff\xff")


def test_another_version_is_named():
    with pytest.raises(CorruptObject, match="version 2"):
        decode_tree(encode(Tree(2, ())))


def test_bytes_in_another_form_are_refused():
    canonical = encode_tree([entry(b"a")])
    longer = canonical.replace(b"\xcd\x01\xa4", b"\xce\x00\x00\x01\xa4")
    assert longer != canonical
    with pytest.raises(CorruptObject, match="canonical"):
        decode_tree(longer)
    with pytest.raises(CorruptObject):
        decode_tree(canonical + b"\xc0")


@given(st.binary(max_size=200))
@example(b"\x92\x01\x90")
def test_decoders_answer_or_refuse_and_never_do_anything_else(data):
    for kind in Kind:
        try:
            found = list(references(kind, data))
        except CorruptObject:
            continue
        assert all(len(name) == 32 for _, name in found)


@given(st.lists(entries, unique_by=lambda e: e.name, min_size=1, max_size=5), st.data())
def test_a_flipped_bit_in_a_tree_is_refused_or_another_valid_tree(given_entries, data):
    encoded = bytearray(encode_tree(given_entries))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        tree = decode_tree(bytes(encoded))
    except CorruptObject:
        return
    assert encode_tree(tree.entries) == bytes(encoded)


def test_long_chunk_lists_nest():
    stored: dict[bytes, bytes] = {}

    def put(data: bytes) -> bytes:
        stored[digest(data)] = data
        return digest(data)

    pieces = [Chunk(digest(str(i).encode()), i + 1) for i in range(2500)]
    top = decode_chunks(stored[store_chunks(pieces, put)])
    assert top.level == 1
    assert top.size == sum(piece.size for piece in pieces)
    lists = [decode_chunks(stored[one.hash]) for one in top.chunks]
    assert [piece for one in lists for piece in one.chunks] == pieces
    assert [len(one.chunks) for one in lists] == [1024, 1024, 452]
    assert [kind for kind, _ in references(Kind.CHUNKS, encode(top))] == [Kind.CHUNKS] * 3


@pytest.mark.parametrize(
    "bad",
    [
        ChunkList(1, 0, ()),
        ChunkList(1, 7, (Chunk(HASH, 1),)),
        ChunkList(1, 0, (Chunk(HASH, 0),)),
        ChunkList(1, 0, (Chunk(b"short", 1),)),
        ChunkList(1, 0, (Chunk(HASH, 2**63 - 1), Chunk(HASH, 1))),
        ChunkList(1, 0, tuple(Chunk(HASH, 1) for _ in range(1025))),
    ],
)
def test_a_hostile_chunk_list_is_refused(bad):
    with pytest.raises(CorruptObject):
        decode_chunks(encode(bad))


def test_a_commit_is_read_back():
    one = commit(parents=[digest(b"p")], unstable=[b"a\xff"])
    assert decode_commit(encode_commit(one)) == one
    assert list(references(Kind.COMMIT, encode_commit(one))) == [
        (Kind.TREE, HASH),
        (Kind.RUN, HASH),
        (Kind.COMMIT, digest(b"p")),
    ]


@pytest.mark.parametrize("bad", [{"root": b""}, {"parents": [b"x"]}, {"runs": [("r", b"x")]}, {"version": 2}])
def test_a_commit_that_names_no_objects_is_refused(bad):
    with pytest.raises(CorruptObject):
        decode_commit(encode_commit(commit(**bad)))


def test_a_commit_of_the_year_10000_is_refused():
    """The codec takes one day too many for a datetime, and fails with an error that is not its own."""
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    data = encode_commit(commit(created_at=last))
    seconds = int(last.timestamp())
    with pytest.raises(CorruptObject):
        decode_commit(data.replace(struct.pack(">q", seconds), struct.pack(">q", seconds + 1)))


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_run_at_a_time_that_utc_has_no_year_for_is_refused(time):
    data = encode_json(RunRecord(run_id="r", started_at=datetime(2026, 1, 1, tzinfo=UTC)))
    with pytest.raises(CorruptObject, match="calendar"):
        decode_run(data.replace(b"2026-01-01T00:00:00Z", time.encode()))


def test_what_nests_without_end_is_refused():
    """A field that the decoder does not know is skipped, however deep it is."""
    (first, *_), rest = encode_commit(commit()), encode_commit(commit())[1:]
    with pytest.raises(CorruptObject, match="recursion"):
        decode_commit(bytes([first + 1]) + rest + b"\x91" * 100_000 + b"\xc0")


def test_a_run_refers_to_its_environment():
    run = RunRecord(run_id="r", environment=HASH.hex())
    assert list(references(Kind.RUN, encode_json(run))) == [(Kind.ENVIRONMENT, HASH)]
    assert list(references(Kind.RUN, encode_json(RunRecord(run_id="r")))) == []
    environment = Environment(
        captured_at=datetime.now(UTC), python="3", implementation="c", platform="p", hostname="h", executable="e"
    )
    assert list(references(Kind.ENVIRONMENT, encode_json(environment))) == []


DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_RUN = b'{"schema":"dotscience.run.v1","run_id":"r","unknown":' + DEEP + b"}"


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"schema": "other"}', b"\xff", DEEP_RUN], ids=range(6))
def test_a_run_that_is_none_is_refused(data):
    with pytest.raises(CorruptObject):
        references(Kind.RUN, data)


def test_an_environment_that_is_not_a_hash_is_refused():
    with pytest.raises(CorruptObject, match="environment"):
        references(Kind.RUN, encode_json(RunRecord(run_id="r", environment="../../x")))


def test_a_file_with_the_bytes_of_another_kind_of_object_is_harmless():
    """The reference decides how bytes are read, so a blob that is a tree is still only a blob to who reads a file."""
    tree = encode_tree([entry(b"a")])
    assert list(references(Kind.BLOB, tree)) == []
    with pytest.raises(CorruptObject):
        references(Kind.COMMIT, tree)
    with pytest.raises(CorruptObject):
        references(Kind.CHUNKS, tree)
