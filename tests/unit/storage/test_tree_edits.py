"""Changing a tree object by object: the same as building it anew."""

from __future__ import annotations

import random

import pytest

from committer.storage.codec import digest
from committer.storage.reader import walk
from committer.storage.tree import EntryKind, TreeEntry
from committer.storage.tree_edit import TreeEdit
from dotscience.errors import PathTaken


class Objects(dict):
    """Objects in memory; `read` counts those that were asked for."""

    read = 0

    def get(self, name):
        self.read += 1
        return self[name]

    def put(self, data):
        self[digest(data)] = data
        return digest(data)


@pytest.fixture
def objects():
    return Objects()


def file(size=1, content=b"x"):
    return TreeEntry(b"", EntryKind.FILE, 0o644, size, 0, digest(content))


def names(path):
    return tuple(path.encode().split(b"/"))


def edited(objects, root, *paths):
    edit = TreeEdit(objects, root)
    for path in paths:
        edit.put(names(path), file())
    return edit.finish(objects.put)


def files(objects, root):
    return {path.decode(): entry for path, entry in walk(objects, root) if entry.is_file}


def test_folders_are_made_on_the_way(objects):
    root = edited(objects, None, "a/b/c", "a/d", "e")
    assert set(files(objects, root)) == {"a/b/c", "a/d", "e"}


def test_what_is_not_named_is_not_read(objects):
    root = edited(objects, None, *(f"{number}/x" for number in range(50)))
    objects.read = 0
    edited(objects, root, "7/y")
    assert objects.read == 2


def test_counts(objects):
    root = edited(objects, None, "a/b/c", "a/d", "e")
    edit = TreeEdit(objects, root)
    edit.put(names("a/d"), file(10))
    edit.put(names("new"), file(100))
    assert (edit.files, edit.size) == (1, 109)
    assert edit.remove(names("a"))
    assert (edit.files, edit.size) == (-1, 98)
    assert not edit.remove(names("a"))
    assert not edit.remove(names("e/x"))


def test_a_folder_is_not_replaced_by_a_file_nor_a_file_passed_through(objects):
    edit = TreeEdit(objects, edited(objects, None, "a/b"))
    for path in ("a", "a/b/c"):
        with pytest.raises(PathTaken, match="folder"):
            edit.put(names(path), file())
    with pytest.raises(PathTaken, match="is no folder"):
        edit.make_folder(names("a/b"))


def test_empty_folders(objects):
    edit = TreeEdit(objects, None)
    edit.make_folder(names("a/b"))
    edit.remove_if_empty(names("a"))
    assert edit.find(names("a/b")).kind is EntryKind.DIRECTORY
    edit.remove_if_empty(names("a/b"))
    edit.remove_if_empty(names("a"))
    edit.remove_if_empty(())
    assert edit.find(names("a")) is None
    assert edit.find(names("a/b/c")) is None


def test_any_edits_give_the_tree_that_the_files_alone_would(objects):
    made = random.Random(8)
    kept, root = set(), None
    for _ in range(200):
        edit = TreeEdit(objects, root)
        for _ in range(made.randint(1, 5)):
            path = "/".join(made.choice("abc") for _ in range(made.randint(1, 4)))
            if made.random() < 0.3:
                edit.remove(names(path))
                kept = {one for one in kept if one != path and not one.startswith(path + "/")}
                continue
            try:
                edit.put(names(path), file())
                kept.add(path)
            except PathTaken:
                assert any(one.startswith(path + "/") or path.startswith(one + "/") for one in kept) or edit.find(
                    names(path)
                )
        root = edit.finish(objects.put)
        assert set(files(objects, root)) == kept
