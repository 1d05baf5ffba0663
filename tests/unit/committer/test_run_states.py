"""Which runs share a commit, and what its tree holds: the same as replaying what the runs wrote."""

from __future__ import annotations

import random

import pytest
from support.objects import Objects

from committer.captured_files import RunFiles
from committer.run_states import StateTree, group, place
from committer.storage.codec import digest
from committer.storage.reader import walk
from committer.storage.tree import EntryKind, TreeEntry
from committer.storage.tree_edit import TreeEdit


def names(path):
    return tuple(path.encode().split(b"/"))


def file(content, mode=0o644):
    return TreeEntry(b"", EntryKind.FILE, mode, len(content), 0, digest(content.encode()))


def wrote(*folders, **contents):
    held = {names(path.replace("_", "/")): file(content) for path, content in contents.items()}
    return RunFiles(held=held, folders=frozenset(names(folder) for folder in folders))


def tree_of(objects, contents):
    edit = TreeEdit(objects, None)
    for path, content in contents.items():
        edit.put(names(path), file(content))
    return edit.finish(objects.put)


def contents(objects, root):
    return {path.decode(): entry.content for path, entry in walk(objects, root) if entry.is_file}


def expected(contents):
    return {path: digest(content.encode()) for path, content in contents.items()}


def parted(*runs):
    return [one.runs for one in group((number, run, 1) for number, run in enumerate(runs))]


@pytest.mark.parametrize(
    ("runs", "commits"),
    [
        ([], [[]]),
        ([RunFiles(), RunFiles()], [[0, 1]]),
        ([wrote(a="1"), wrote(a="2")], [[0], [1]]),
        ([wrote(a="1"), wrote(b="2"), wrote(a="1")], [[0, 1, 2]]),
        ([wrote(a="1"), RunFiles(), wrote(a="2")], [[0, 1], [2]]),
        ([wrote(a="1"), wrote(b="1"), wrote(a="2", b="1")], [[0, 1], [2]]),
        ([wrote("out", out_a="1"), wrote("out", out_b="1")], [[0], [1]]),
        ([wrote("out", out_a="1"), wrote(out_b="1")], [[0], [1]]),
        ([wrote(out_a="1"), wrote("out", out_b="1")], [[0], [1]]),
        ([wrote("out", out_a="1"), wrote("out", out_a="1"), wrote(a="1")], [[0, 1, 2]]),
        ([wrote("out"), wrote(out_a="1")], [[0], [1]]),
    ],
)
def test_runs_share_a_commit_while_one_tree_can_hold_what_each_left(runs, commits):
    assert parted(*runs) == commits


def test_records_of_a_commit_have_a_limit_together():
    runs = [(number, RunFiles(), 40) for number in range(5)]
    assert [one.runs for one in group(runs, limit=100)] == [[0, 1], [2, 3], [4]]
    assert [one.runs for one in group(runs, limit=10)] == [[0], [1], [2], [3], [4]]


def test_other_permissions_are_another_state():
    runs = [RunFiles(held={(b"a",): file("1", mode)}) for mode in (0o644, 0o755)]
    assert parted(*runs) == [[0], [1]]


def test_what_a_later_run_put_in_the_way_makes_room():
    objects = Objects()
    root = tree_of(objects, {"a/b": "later", "c": "later"})
    (one,) = group([(0, wrote(a="earlier", c_d="earlier"), 1)])
    tree = place(objects, root, one.state, objects.put)
    assert contents(objects, tree.root) == expected({"a": "earlier", "c/d": "earlier"})
    assert (tree.files, tree.size) == (0, 4)


def test_a_tree_that_has_everything_stays_as_it_is():
    objects = Objects()
    root = tree_of(objects, {"a": "1", "out/b": "2"})
    (one,) = group([(0, wrote("out", a="1", out_b="2"), 1)])
    assert place(objects, root, one.state, objects.put) == StateTree(root, 0, 0)


def test_any_sweep_gives_each_run_its_own_files():
    """Runs write at random; what each left is in the tree of its commit, and in the last one all is as it is now."""
    made = random.Random(12)
    for _ in range(300):
        objects, now, runs, left = Objects(), {"data": "x"}, [], []
        for number in range(made.randint(1, 8)):
            chosen = made.sample(["a", "b", "out/c", "out/d"], made.randint(0, 3))
            now |= {path: f"{made.randint(0, 2)}" for path in chosen}
            folders = ["out"] if made.random() < 0.4 else []
            if folders:
                now = {path: text for path, text in now.items() if not path.startswith("out/") or path in chosen}
            mine = {path: now[path] for path in chosen}
            held = {names(path): file(text) for path, text in mine.items()}
            runs.append((number, RunFiles(held=held, folders=frozenset(map(names, folders))), 1))
            left.append((mine, folders))
        root = tree_of(objects, now)
        for one in group(runs):
            root = place(objects, root, one.state, objects.put).root
            there = contents(objects, root)
            for number in one.runs:
                mine, folders = left[number]
                assert expected(mine).items() <= there.items()
                if folders:
                    assert {path for path in there if path.startswith("out/")} == {
                        path for path in mine if path.startswith("out/")
                    }
        assert contents(objects, root) == expected(now)
