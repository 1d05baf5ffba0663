from __future__ import annotations

import pytest
from support.objects import Objects

from committer.storage.chunks import Chunk, ChunkList, store_chunks
from committer.storage.codec import digest, encode
from committer.storage.diff import diff
from committer.storage.reader import list_directory, read_file, resolve, walk
from committer.storage.tree import EntryKind, TreeEntry
from dotscience.errors import CorruptObject, MissingObject, NoSuchPath


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def tree(objects) -> bytes:
    return objects.folder(
        b"",
        objects.file(b"a.txt", b"alpha"),
        objects.folder(b"d", objects.file(b"b\xff", b"beta"), objects.folder(b"empty")),
        TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 5, 0, b"/etc/"),
    ).content


def test_paths_are_resolved(objects, tree):
    assert resolve(objects, tree, "").kind is EntryKind.DIRECTORY
    assert b"".join(read_file(objects, resolve(objects, tree, "a.txt"))) == b"alpha"
    assert b"".join(read_file(objects, resolve(objects, tree, "d/b\udcff"))) == b"beta"
    assert [entry.name for entry in list_directory(objects, tree)] == [b"a.txt", b"d", b"link"]
    assert list_directory(objects, tree, "d/empty") == ()


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "d/..",
        "d/../a.txt",
        "/a.txt",
        "/",
        "a.txt/",
        "d//empty",
        "./a.txt",
        "d/.",
        "nope",
        "a.txt/x",
        "link/passwd",
        "\x00",
        "�",
        "d\\b",
        "A.TXT",
        "a" * 100000,
    ],
)
def test_a_path_that_leads_nowhere_is_refused(objects, tree, path):
    with pytest.raises(NoSuchPath):
        resolve(objects, tree, path)


def test_only_directories_are_listed_and_only_files_are_read(objects, tree):
    with pytest.raises(NoSuchPath):
        list_directory(objects, tree, "a.txt")
    for path in ("d", "link"):
        with pytest.raises(NoSuchPath):
            list(read_file(objects, resolve(objects, tree, path)))


def test_a_walk_names_everything_in_order(objects, tree):
    assert [path for path, _ in walk(objects, tree)] == [b"a.txt", b"d", b"d/b\xff", b"d/empty", b"link"]


def chunked(objects: Objects, *chunks: Chunk, size: int | None = None) -> TreeEntry:
    total = sum(chunk.size for chunk in chunks) if size is None else size
    return TreeEntry(b"f", EntryKind.CHUNKED_FILE, 0o644, total, 0, store_chunks(chunks, objects.put))


def test_every_range_of_a_chunked_file(objects):
    parts = [b"abc", b"d", b"efgh"]
    pieces = [Chunk(objects.put(part), len(part)) for part in parts]
    entry = chunked(objects, *pieces[:2], Chunk(None, 3), pieces[2])
    whole = b"abcd\0\0\0efgh"
    for start in range(len(whole) + 2):
        for stop in range(len(whole) + 2):
            assert b"".join(read_file(objects, entry, start, stop)) == whole[start:stop]
    assert b"".join(read_file(objects, entry)) == whole


def test_ranges_across_nested_lists_read_only_what_they_need(objects):
    pieces = [Chunk(objects.put(i.to_bytes(4)), 4) for i in range(3000)]
    entry = chunked(objects, *pieces)
    whole = b"".join(i.to_bytes(4) for i in range(3000))
    assert b"".join(read_file(objects, entry)) == whole
    for i in range(3000):
        if not 1020 <= i <= 1030:
            objects.pop(digest(i.to_bytes(4)))
    assert b"".join(read_file(objects, entry, 1021 * 4 + 1, 1029 * 4 + 3)) == whole[1021 * 4 + 1 : 1029 * 4 + 3]
    with pytest.raises(MissingObject):
        list(read_file(objects, entry))


def test_a_large_hole_is_read_in_bounded_pieces(objects):
    entry = chunked(objects, Chunk(None, 10 * 2**20 + 1))
    pieces = list(read_file(objects, entry))
    assert max(map(len, pieces)) <= 2**20
    assert b"".join(pieces) == bytes(10 * 2**20 + 1)


def test_a_file_that_is_not_what_its_entry_says_is_refused(objects):
    blob = objects.put(b"four")
    for entry in (
        TreeEntry(b"f", EntryKind.FILE, 0, 5, 0, blob),
        TreeEntry(b"f", EntryKind.CHUNKED_FILE, 0, 4, 0, blob),
        chunked(objects, Chunk(blob, 3)),
        chunked(objects, Chunk(blob, 4), size=5),
        chunked(objects, Chunk(objects.put(encode(ChunkList(1, 1, (Chunk(blob, 4),)))), 4)),
    ):
        with pytest.raises(CorruptObject):
            list(read_file(objects, entry))


def test_a_list_that_claims_a_wrong_level_is_refused(objects):
    leaf = objects.put(encode(ChunkList(1, 0, (Chunk(objects.put(b"four"), 4),))))
    top = objects.put(encode(ChunkList(1, 2, (Chunk(leaf, 4),))))
    with pytest.raises(CorruptObject, match="does not fit"):
        list(read_file(objects, TreeEntry(b"f", EntryKind.CHUNKED_FILE, 0, 4, 0, top)))


def test_differences(objects, tree):
    after = objects.folder(
        b"",
        objects.folder(b"a.txt", objects.file(b"inside", b"x")),
        objects.folder(b"d", objects.file(b"b\xff", b"gamma"), objects.file(b"new", b"")),
        TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 5, 99, b"/etc/"),
    ).content
    changes = {change.path: change for change in diff(objects, tree, after)}
    assert set(changes) == {b"a.txt", b"a.txt/inside", b"d/b\xff", b"d/new", b"d/empty", b"link"}
    content = {path for path, change in changes.items() if change.is_content}
    assert content == {b"a.txt", b"a.txt/inside", b"d/b\xff", b"d/new"}
    assert list(diff(objects, tree, tree)) == []
    assert {change.path for change in diff(objects, None, tree)} == {path for path, _ in walk(objects, tree)}
    assert all(change.after is None for change in diff(objects, tree, None))


def test_a_damaged_past_counts_as_empty(objects, tree):
    inside = resolve(objects, tree, "d").content
    after = objects.folder(b"", objects.folder(b"d", objects.file(b"b\xff", b"beta"))).content
    objects.pop(inside)
    assert b"d/b\xff" in {change.path for change in diff(objects, tree, after)}
    with pytest.raises(MissingObject):
        list(diff(objects, after, tree))
