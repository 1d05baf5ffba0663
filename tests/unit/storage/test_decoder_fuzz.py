"""Whatever bytes arrive: what reads them answers or refuses, with an error of its own, at once and in little memory.

Bytes are arbitrary, or those of something valid with a few edits, which get further into a decoder.
"""

from __future__ import annotations

import io
import itertools
import json
import tracemalloc
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from committer.storage.chunks import Chunk, ChunkList
from committer.storage.codec import digest, encode
from committer.storage.objects import Kind, encode_commit, references
from committer.storage.pack import PackWriter, iterate_records, pack_path
from committer.storage.tree import Attribute, EntryKind, TreeEntry, encode_tree
from committer.storage.zfs.dataset import parse_versions
from committer.storage.zfs.streams import parse_token
from dotscience.errors import CorruptObject, DotscienceError, NotebookError, ResumeTokenInvalid, ZfsError
from dotscience.notebook import find_runs
from dotscience.record import Commit, FileRef, RunRecord, encode_json
from dotscience.wire import mime_bundle

NAME = digest(b"x")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LENGTHS = [
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xf0",
    b"\xdb\x7f\xff\xff\xff",
]
"""Lengths of up to 4 GiB: bare ones, and those of an array, of bytes and of a string in msgpack."""
MEMORY = 8 * 2**20


def make_pack(folder) -> bytes:
    writer = PackWriter(folder)
    for data in (b"raw", b"compressed " * 30):
        writer.add(Kind.BLOB, digest(data), data)
    return pack_path(folder, writer.seal().hash).read_bytes()


def a_tree() -> bytes:
    attributes = (Attribute(b"comment", b"text"),)
    return encode_tree(
        [
            TreeEntry(b"file", EntryKind.FILE, 0o644, 5, 10**18, NAME, 0, attributes),
            TreeEntry(b"folder", EntryKind.DIRECTORY, 0o755, 0, 0, NAME),
            TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 4, 10**18, b"file"),
        ]
    )


def a_commit() -> bytes:
    return encode_commit(
        Commit(
            dot_id="dot",
            parents=[NAME],
            root=NAME,
            runs=[("run", NAME)],
            created_at=START,
            message="text",
            author="someone",
            client="tests",
            consistency="stable",
            unstable=[b"path"],
        )
    )


def a_run() -> RunRecord:
    return RunRecord(
        run_id="3b241101-e2bb-4255-8caf-4136c566a962",
        started_at=START,
        parameters={"a": [1, {"b": None}]},
        outputs=[FileRef(path="out")],
        environment=NAME.hex(),
    )


def a_notebook() -> bytes:
    output = {"output_type": "display_data", "data": mime_bundle(a_run()), "metadata": {}}
    stream = {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}
    cell = {
        "cell_type": "code",
        "id": "c",
        "execution_count": 1,
        "metadata": {},
        "source": "1",
        "outputs": [output, stream],
    }
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


class Decoder(NamedTuple):
    """Something valid, what reads it, and the one error that this may raise."""

    sample: bytes
    read: object
    error: type[DotscienceError]


def of_kind(kind):
    return lambda data: list(references(kind, data))


def as_text(read):
    return lambda data: read(data.decode("utf-8", "replace"))


TOKEN = (
    b"resume token contents:\nnvlist version: 0\n\tobject = 0x6\n\ttoguid = 0xa1\n\tfromguid = 0xb2\n\ttoname = p/d@s\n"
)
VERSIONS = b"".join(
    b"p/d%s\tguid\t%d\np/d%s\tcreatetxg\t%d\np/d%s\tuserrefs\t%s\n" % (name, number, name, number, name, held)
    for name, number, held in ((b"@a", 123, b"1"), (b"#b", 5, b"-"))
)

DECODERS = {
    "tree": Decoder(a_tree(), of_kind(Kind.TREE), CorruptObject),
    "chunks": Decoder(
        encode(ChunkList(1, 0, (Chunk(NAME, 5), Chunk(None, 2**40)))), of_kind(Kind.CHUNKS), CorruptObject
    ),
    "commit": Decoder(a_commit(), of_kind(Kind.COMMIT), CorruptObject),
    "run": Decoder(encode_json(a_run()), of_kind(Kind.RUN), CorruptObject),
    "notebook": Decoder(a_notebook(), lambda data: find_runs(data, path="a.ipynb", dot_id="dot"), NotebookError),
    "resume token": Decoder(TOKEN, as_text(lambda text: parse_token("1-2", text)), ResumeTokenInvalid),
    "ZFS versions": Decoder(VERSIONS, as_text(lambda text: list(parse_versions(text, "p/d"))), ZfsError),
}


@pytest.fixture(scope="module")
def decoders(tmp_path_factory):
    """All of them; that of packs needs a file to make one."""
    pack = Decoder(
        make_pack(tmp_path_factory.mktemp("pack")), lambda data: list(iterate_records(io.BytesIO(data))), CorruptObject
    )
    return {**DECODERS, "pack": pack}


def attempt(decoder: Decoder, data: bytes) -> bool:
    """Whether the bytes could be read; any other error than the decoder's own is one of the test."""
    try:
        decoder.read(data)
    except decoder.error:
        return False
    return True


positions = st.integers(0, 2**16)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), positions, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("insert"), positions, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), positions, st.sampled_from([*LENGTHS, b"[" * 99, b'{"a":' * 99, "²".encode()])),
        st.tuples(st.just("replace"), positions, st.sampled_from([*LENGTHS, b"\xc0", b"null", b"-1", b"1e999"])),
        st.tuples(st.just("delete"), positions, st.binary(min_size=1, max_size=30)),
        st.tuples(st.just("repeat"), positions, st.binary(min_size=1, max_size=30)),
        st.tuples(st.just("cut"), positions, st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, changes) -> bytes:
    """The bytes after the edits; the length of an edit's own bytes is how many are deleted or repeated."""
    for what, place, new in changes:
        at = place % (len(data) + 1)
        end = at + len(new)
        pieces = {
            "replace": (data[:at], new, data[end:]),
            "insert": (data[:at], new, data[at:]),
            "delete": (data[:at], data[end:]),
            "repeat": (data[:end], data[at:]),
            "cut": (data[:at],),
        }
        data = b"".join(pieces[what])
    return data


@pytest.mark.parametrize("what", [*DECODERS, "pack"])
def test_what_is_valid_is_read(decoders, what):
    assert attempt(decoders[what], decoders[what].sample)


@pytest.mark.parametrize("what", [*DECODERS, "pack"])
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(decoders, what, data):
    attempt(decoders[what], data)


@pytest.mark.parametrize("what", [*DECODERS, "pack"])
@given(changes=edits)
def test_edited_bytes_are_read_or_refused(decoders, what, changes):
    attempt(decoders[what], edited(decoders[what].sample, changes))


@pytest.mark.parametrize("what", [*DECODERS, "pack"])
def test_no_length_makes_a_decoder_take_memory_for_it(decoders, what):
    decoder = decoders[what]
    tracemalloc.start()
    try:
        for at, length in itertools.product(range(len(decoder.sample)), LENGTHS):
            attempt(decoder, decoder.sample[:at] + length + decoder.sample[at + len(length) :])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY
