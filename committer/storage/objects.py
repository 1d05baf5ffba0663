"""The kinds of objects, and what each kind refers to.

An object is named by its bytes alone: a file that happens to hold the bytes of a run record *is* the same object,
stored once under the kind that came first. Who follows a reference therefore reads the object as the kind that the
reference says, and every decoder is strict, so that no bytes can be taken for what they are not.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec.msgpack import Decoder

from committer.storage.chunks import decode_chunks
from committer.storage.codec import HASH_SIZE, decode, digest, encode
from committer.storage.tree import EntryKind, decode_tree
from dotscience.errors import CorruptObject
from dotscience.record import Commit, RunRecord, decode_json

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_OBJECT_SIZE",
    "Kind",
    "decode_commit",
    "decode_run",
    "digest",
    "encode_commit",
    "references",
]

COMMIT_VERSION = 1
MAX_OBJECT_SIZE = 48 * 2**20
"""No object is larger, so that a pack with one object stays below the 64 MiB that a hub accepts."""


class Kind(IntEnum):
    """How an object's bytes are read; the number is the record's type byte in a pack."""

    BLOB = 1
    CHUNKS = 2
    TREE = 3
    COMMIT = 4
    RUN = 5
    ENVIRONMENT = 6


Reference = tuple[Kind, bytes]

_COMMITS = Decoder(Commit)


def encode_commit(commit: Commit) -> bytes:
    """The commit's object; its `digest` is the commit's id."""
    return encode(commit)


def decode_commit(data: bytes) -> Commit:
    """The commit that `encode_commit` encoded.

    Raises:
        CorruptObject: `data` is not a commit, is one of another version, or names an object by something not a hash.
    """
    commit = decode(data, _COMMITS, "a commit", version=COMMIT_VERSION)
    hashes = [commit.root, *commit.parents, *(record for _, record in commit.runs)]
    if any(len(one) != HASH_SIZE for one in hashes):
        raise CorruptObject("a commit refers to an object by a hash that is not 32 bytes long")
    return commit


def decode_run(data: bytes) -> RunRecord:
    """The run record of a RUN object.

    Raises:
        CorruptObject: `data` is not a run record.
    """
    try:
        return decode_json(data, RunRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptObject(f"a run record cannot be decoded: {error}") from error


def references(kind: Kind, data: bytes) -> Iterator[Reference]:
    """What an object refers to directly, in the order in which it does; a snapshot is complete when all of it is there.

    A commit refers to its tree, its runs and its parents, in that order.

    Raises:
        CorruptObject: `data` is not an object of this kind. Raised before the first reference is yielded.
    """
    match kind:
        case Kind.TREE:
            return _tree_references(data)
        case Kind.CHUNKS:
            return _chunk_references(data)
        case Kind.COMMIT:
            return _commit_references(data)
        case Kind.RUN:
            return _run_references(data)
        case Kind.BLOB | Kind.ENVIRONMENT:
            return iter(())


_ENTRY_KINDS = {
    EntryKind.FILE: Kind.BLOB,
    EntryKind.CHUNKED_FILE: Kind.CHUNKS,
    EntryKind.DIRECTORY: Kind.TREE,
}


def _tree_references(data: bytes) -> Iterator[Reference]:
    entries = decode_tree(data).entries
    return ((_ENTRY_KINDS[one.kind], one.content) for one in entries if one.kind in _ENTRY_KINDS)


def _chunk_references(data: bytes) -> Iterator[Reference]:
    chunks = decode_chunks(data)
    kind = Kind.CHUNKS if chunks.level else Kind.BLOB
    return ((kind, chunk.hash) for chunk in chunks.chunks if chunk.hash is not None)


def _commit_references(data: bytes) -> Iterator[Reference]:
    commit = decode_commit(data)
    return iter(
        [
            (Kind.TREE, commit.root),
            *((Kind.RUN, record) for _, record in commit.runs),
            *((Kind.COMMIT, parent) for parent in commit.parents),
        ]
    )


def _run_references(data: bytes) -> Iterator[Reference]:
    environment = decode_run(data).environment
    if environment is None:
        return iter(())
    try:
        named = bytes.fromhex(environment)
    except ValueError:
        named = b""
    if len(named) != HASH_SIZE:
        raise CorruptObject(f"a run names its environment {environment!r}, which is not a hash")
    return iter([(Kind.ENVIRONMENT, named)])
