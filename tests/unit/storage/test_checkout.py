"""Writing snapshots out: everything comes back, nothing goes astray, and an interruption only delays."""

from __future__ import annotations

import os
import stat

import pytest
from support.objects import Objects

from committer.storage.census import MAX_DEPTH, take_census
from committer.storage.checkout import write_snapshot
from committer.storage.diff import Change
from committer.storage.placing import Placer
from committer.storage.reader import resolve, root_entry
from committer.storage.target import MARKER, Origin, open_target
from committer.storage.transition import Transition
from committer.storage.tree import Attribute, EntryKind, TreeEntry
from committer.workspace.stat import open_directory
from dotscience.errors import CheckoutRefused, CorruptObject, DiskFull

ORIGIN = Origin(commit="c" * 64, path="")
OTHER = Origin(commit="d" * 64, path="")


@pytest.fixture
def objects():
    return Objects()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def write(objects, entry, target, *, origin=ORIGIN, force=False, **options):
    with open_target(target, origin, force=force) as opened:
        return write_snapshot(objects, entry, opened, **options)


def facts(folder):
    """What is below a folder, by name: everything that a snapshot keeps."""
    found = {}
    for place, names, files in os.walk(os.fsencode(folder)):
        for name in names + files:
            path = os.path.join(place, name)  # noqa: PTH118 - bytes
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)  # noqa: PTH115 - bytes
            elif stat.S_ISDIR(status.st_mode):
                found[os.path.relpath(path, os.fsencode(folder))] = mode
                continue
            else:
                with open(path, "rb") as file:  # noqa: PTH123 - bytes
                    content = file.read()
            found[os.path.relpath(path, os.fsencode(folder))] = (mode, content, status.st_mtime_ns)
    return found


def test_a_workspace_comes_back_as_it_was(store, snap, root, target, make_bytes):
    (root / "d" / "empty").mkdir(parents=True)
    (root / "d").chmod(0o711)
    (root / "big").write_bytes(make_bytes(3 * 2**20))
    (root / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / "none").write_bytes(b"")
    (root / "link").symlink_to("../anywhere")
    for name in (b"\xff\xfe", "déjà vu".encode(), b"new\nline", b"-rf", b"a" * 255):
        (root / "d" / os.fsdecode(name)).write_bytes(name)
    for index, path in enumerate(sorted(root.rglob("*"))):
        os.utime(path, ns=(0, 10**18 + index * 1_000_000_007), follow_symlinks=False)
    (root / "read-only").mkdir(mode=0o555)
    os.link(root / "big", root / "d" / "another name")
    os.setxattr(root / "big", "user.made by", b"us\0")
    written = write(store, root_entry(snap().root_hash), target)
    assert written.problems == []
    assert facts(target) == facts(root)
    assert (target / "big").samefile(target / "d" / "another name")
    assert os.getxattr(target / "big", "user.made by") == b"us\0"


def test_the_zeros_of_a_file_take_no_room(store, snap, root, target):
    with (root / "sparse").open("wb") as file:
        file.truncate(64 * 2**20)
        file.seek(40 * 2**20 + 5)
        file.write(b"x")
    write(store, root_entry(snap().root_hash), target)
    assert (target / "sparse").read_bytes() == (root / "sparse").read_bytes()
    assert (target / "sparse").stat().st_blocks * 512 <= 2**17


def test_names_of_one_file_are_names_of_one_file_again(objects, target):
    first, second = objects.file(b"a", b"x", link=5), objects.file(b"z", b"x", link=5)
    other = objects.file(b"b", b"x", link=6)
    write(objects, objects.folder(b"", first, other, objects.folder(b"d", second)), target)
    inode = (target / "a").stat().st_ino
    assert ((target / "d" / "z").stat().st_ino, (target / "b").stat().st_ino != inode) == (inode, True)


def test_attributes_come_back(objects, target):
    attributes = (Attribute(b"k", b"v\0"),)
    entry = objects.file(b"a", b"x", attributes=attributes)
    write(objects, objects.folder(b"", entry), target)
    assert os.getxattr(target / "a", "user.k") == b"v\0"


def test_one_file_or_folder_alone(objects, target):
    root = objects.folder(b"", objects.folder(b"d", objects.file(b"a", b"1"), objects.file(b"b", b"2")))
    write(objects, resolve(objects, root.content, "d/b"), target)
    assert facts(target) == {b"b": (0o644, b"2", 0)}


def test_special_bits_are_dropped_unless_asked_for(objects, tmp_path):
    root = objects.folder(b"", objects.file(b"a", b"x", mode=0o6755), objects.folder(b"d", mode=0o3777))
    write(objects, root, tmp_path / "1")
    assert facts(tmp_path / "1") == {b"a": (0o755, b"x", 0), b"d": 0o1777}
    write(objects, root, tmp_path / "2", keep_special=True)
    assert facts(tmp_path / "2") == {b"a": (0o6755, b"x", 0), b"d": 0o3777}


def rich(objects):
    files = [objects.file(b"%02d" % number, b"content %d" % number) for number in range(4)]
    link = TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 1, 0, b"x")
    linked = [objects.file(name, b"same", link=9) for name in (b"p", b"q")]
    return objects.folder(b"", *files, link, *linked, objects.folder(b"d", *files, mode=0o555))


@pytest.mark.parametrize("error", [KeyboardInterrupt, DiskFull])
def test_an_interruption_anywhere_leaves_whole_files_and_the_next_call_goes_on(objects, tmp_path, error):
    root = rich(objects)
    write(objects, root, tmp_path / "whole")
    expected = facts(tmp_path / "whole")
    for number in range(1, 12):
        target = tmp_path / str(number)
        objects.failing, objects.error = number, error
        with pytest.raises(error):
            write(objects, root, target)
        half = {path: fact for path, fact in facts(target).items() if not path.startswith(b".dotscience")}
        contents = {path: fact for path, fact in half.items() if isinstance(fact, tuple)}
        assert contents.items() <= expected.items()
        objects.failing = 0
        again = write(objects, root, target)
        assert facts(target) == expected
        assert again.kept == len(contents)


def test_what_is_missing_is_named_and_the_rest_is_written(objects, target):
    gone, broken = objects.file(b"gone", b"1"), objects.folder(b"broken", objects.file(b"x", b"2"))
    root = objects.folder(b"", gone, broken, objects.file(b"ok", b"3"))
    del objects[gone.content]
    objects[broken.content] = b"\xc1"
    written = write(objects, root, target)
    assert [problem.path for problem in written.problems] == [b"broken", b"gone"]
    assert (target / "ok").read_bytes() == b"3"
    assert (target / ".dotscience" / os.fsdecode(MARKER)).exists()


def test_a_link_that_waits_in_the_target_leads_nowhere(objects, target, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"mine")
    target.mkdir()
    (target / "d").symlink_to(outside)
    (target / "a").symlink_to(outside / "a")
    root = objects.folder(b"", objects.folder(b"d", objects.file(b"a", b"theirs")), objects.file(b"a", b"theirs"))
    written = write(objects, root, target, force=True)
    assert written.problems == []
    assert (target / "d" / "a").read_bytes() == b"theirs"
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"a": b"mine"}
    assert not (target / "a").is_symlink()
    assert not (target / "d").is_symlink()


def test_a_link_that_comes_while_a_checkout_goes_on_leads_nowhere(objects, target, tmp_path):
    """Without `--force` nothing of another kind gives way, a link least of all."""
    (tmp_path / "outside").mkdir()
    root = objects.folder(b"", objects.folder(b"d", objects.file(b"a", b"theirs")))
    with open_target(target, ORIGIN) as opened:
        (target / "d").symlink_to(tmp_path / "outside")
        written = write_snapshot(objects, root, opened)
    assert [problem.path for problem in written.problems] == [b"d"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_folder_gives_way_to_a_file_and_a_file_to_a_folder_on_request(objects, target, tmp_path):
    (tmp_path / "outside").write_bytes(b"mine")
    (target / "a" / "closed").mkdir(parents=True)
    (target / "a" / "closed" / "link").symlink_to(tmp_path / "outside")
    (target / "a" / "closed").chmod(0o555)
    (target / "link").mkdir()
    (target / "d").write_bytes(b"a file")
    link = TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 1, 0, b"x")
    root = objects.folder(b"", objects.file(b"a", b"1"), objects.folder(b"d", objects.file(b"b", b"2")), link)
    assert write(objects, root, target, force=True).problems == []
    assert sorted(facts(target)) == [b"a", b"d", b"d/b", b"link"]
    assert (target / "link").is_symlink()
    assert (tmp_path / "outside").read_bytes() == b"mine"


def test_a_tracked_folder_never_gives_way(objects, target):
    project = target / "a" / "deep" / ".dotscience" / "project.toml"
    project.parent.mkdir(parents=True)
    project.write_text("")
    written = write(
        objects, objects.folder(b"", objects.file(b"a", b"1"), objects.file(b"b", b"2")), target, force=True
    )
    assert [(one.path, "tracked folder, 'deep'" in one.reason) for one in written.problems] == [(b"a", True)]
    assert (project.exists(), (target / "b").read_bytes()) == (True, b"2")


def test_what_an_interrupted_replacement_set_aside_is_removed_by_the_next(objects, target, monkeypatch):
    (target / "a" / "b").mkdir(parents=True)
    root = objects.folder(b"", objects.file(b"a", b"1"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("committer.storage.placing.remove_folder", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(objects, root, target, force=True)
    write(objects, root, target, force=True)
    assert sorted(facts(target)) == [b"a"]


def test_a_folder_gets_the_time_of_the_newest_file_in_it(objects, tmp_path):
    linked = [objects.file(name, b"x", link=3, mtime_ns=5 * 10**9) for name in (b"p", b"q")]
    deep = objects.folder(b"deep", objects.file(b"f", b"1", mtime_ns=7 * 10**9), linked[0])
    other = objects.folder(b"other", linked[1], objects.file(b"g", b"2", mtime_ns=3 * 10**9), mode=0o555)
    root = objects.folder(b"", objects.folder(b"d", deep, other, objects.file(b"h", b"3", mtime_ns=10**9)))
    write(objects, root, tmp_path / "target")
    times = {path: (tmp_path / "target" / path).stat().st_mtime for path in ("d", "d/deep", "d/other")}
    assert times == {"d": 7, "d/deep": 7, "d/other": 5}


def test_our_own_state_is_never_written(objects, target):
    project = objects.file(b"project.toml", b"x")
    names = [b".DOTSCIENCE", b".DotScience", b".dot\xc5\xbfcience", b".dotscience"]
    states = [objects.folder(name, project) for name in names]
    written = write(objects, objects.folder(b"", *states, objects.folder(b"d", *states)), target)
    assert [problem.path for problem in written.problems] == sorted(names) + sorted(b"d/" + name for name in names)
    assert not list(target.rglob("project.toml"))


def test_our_own_state_is_never_changed_in_place(objects, target):
    names = [b".DOTSCIENCE", b"d/.dotScience", b".dotscience"]
    for name in [*names, b"staging"]:
        (target / os.fsdecode(name)).mkdir(parents=True)
    with open_directory(os.fsencode(target)) as root, open_directory(b"staging", parent=root) as staging:
        for name in names:
            change = Change(name + b"/x", None, objects.file(b"x", b"theirs"))
            with pytest.raises(CheckoutRefused, match="keeps its own state"):
                Transition(root, staging, objects, Placer(objects)).prepare([change])
    assert not list(target.rglob("x"))


TWINS = {"A", "a", "stra\u00dfe", "STRASSE", "\u00e9", "e\u0301", "\U0001f40d", "CON", "x\n", "-rf"}


def test_names_that_some_systems_take_for_one_are_several_here(objects, target):
    root = objects.folder(b"", *[objects.file(name.encode(), name.encode()) for name in TWINS])
    assert write(objects, root, target).problems == []
    assert {path.name: path.read_text() for path in target.iterdir()} == {name: name for name in TWINS}


def test_where_case_is_folded_the_first_of_such_names_is_written_and_the_others_are_named(objects, target, monkeypatch):
    monkeypatch.setattr("committer.storage.target._folds_case", lambda descriptor: True)
    link = TreeEntry(b"D", EntryKind.SYMLINK, 0o777, 4, 0, b"/etc")
    through = objects.folder(b"d", objects.file(b"passwd", b"theirs"))
    root = objects.folder(b"", link, through, *[objects.file(name.encode(), name.encode()) for name in TWINS])
    written = write(objects, root, target)
    refused = {os.fsdecode(problem.path) for problem in written.problems}
    assert refused == {"d", "a", "stra\u00dfe", "\u00e9"}
    assert {path.name for path in target.iterdir()} == (TWINS | {"D"}) - refused | {".dotscience"}


@pytest.mark.parametrize("force", [False, True])
def test_a_tracked_folder_is_no_target(objects, target, force):
    (target / ".dotscience").mkdir(parents=True)
    (target / ".dotscience" / "project.toml").write_text("")
    with pytest.raises(CheckoutRefused, match="tracked folder"):
        write(objects, objects.folder(b""), target, force=force)


def test_a_folder_with_something_in_it_is_a_target_on_request_only(objects, target):
    target.mkdir()
    (target / "mine").write_bytes(b"1")
    with pytest.raises(CheckoutRefused, match="not empty"):
        write(objects, objects.folder(b"", objects.file(b"a", b"2")), target)
    write(objects, objects.folder(b"", objects.file(b"a", b"2")), target, force=True)
    assert sorted(path.name for path in target.iterdir()) == ["a", "mine"]


def test_an_unfinished_checkout_of_something_else_is_left_alone(objects, target):
    root = rich(objects)
    objects.failing = 4
    with pytest.raises(KeyboardInterrupt):
        write(objects, root, target)
    with pytest.raises(CheckoutRefused, match="unfinished checkout of cccccccccccc"):
        write(objects, root, target, origin=OTHER)


def test_two_checkouts_at_once_are_refused(objects, target):
    with open_target(target, ORIGIN), pytest.raises(CheckoutRefused, match="another process"):
        write(objects, objects.folder(b""), target)


def test_a_file_is_no_target(objects, target):
    target.write_bytes(b"")
    with pytest.raises(CheckoutRefused, match="choose another folder"):
        write(objects, objects.folder(b""), target)


def test_a_census_counts_without_unfolding(objects):
    entry = objects.file(b"x", b"12345")
    for _ in range(60):
        entry = objects.folder(b"d", msgspec_named(entry, b"a"), msgspec_named(entry, b"b"))
    census = take_census(objects, entry)
    assert (census.entries, census.size) == (2**61 - 1, 5 * 2**60)


def test_folders_without_end_are_refused(objects, target):
    entry = objects.file(b"x", b"1")
    for _ in range(MAX_DEPTH + 2):
        entry = objects.folder(b"d", entry)
    with pytest.raises(CorruptObject, match="folders in each other"):
        take_census(objects, entry)
    written = write(objects, entry, target)
    assert "folders lie in each other" in written.problems[0].reason


def msgspec_named(entry: TreeEntry, name: bytes) -> TreeEntry:
    import msgspec

    return msgspec.structs.replace(entry, name=name)
