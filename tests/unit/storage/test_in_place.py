"""Changing a folder in use: all of it or nothing, and what is interrupted can be finished or undone."""

from __future__ import annotations

import os
import shutil
import stat
from functools import partial

import pytest
from support.objects import Objects
from support.trials import KILLED, Fault, moments, trials

from committer.storage.diff import Change, diff
from committer.storage.ignore import IgnoreRules
from committer.storage.in_place import PLAN, Plan, change_in_place, interrupted, open_in_place
from committer.storage.snapshot import take_snapshot
from committer.storage.tree import EntryKind, TreeEntry
from committer.workspace.stat import open_directory
from dotscience.errors import CheckoutRefused, DiskFull


@pytest.fixture
def begun():
    with trials("support.checkout_trials") as made:
        yield made


def facts(root):
    """Everything in a folder, with folders' modes, by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        if ".dotscience" in path.relative_to(root).parts[:1]:
            continue
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None  # noqa: PTH115
        found[path.relative_to(root).as_posix()] = (
            stat.S_IMODE(status.st_mode),
            content,
            None if path.is_dir() else status.st_mtime_ns,
        )
    return found


def change(reader, root, saved, wanted, *, changes=None):
    """Turn `root` from one tree to another, after what an interrupted call left."""
    with open_directory(os.fsencode(root)) as descriptor, open_in_place(root / ".dotscience") as in_place:
        in_place.close_folders(descriptor)
        wished = changes or list(diff(reader, saved, wanted))
        plan = Plan(commit=wanted.hex(), paths=[""], saved=saved.hex())
        return change_in_place(reader, descriptor, in_place, plan, wished)


def fill_first(root):
    for path, content in {
        "a": b"1",
        "closed/x": b"x1",
        "closed/y": b"y",
        "closed/deep/z": b"z",
        "swap": b"file",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "other").mkdir()
    (root / "other" / "in").write_bytes(b"in")
    (root / "link").symlink_to("a")
    (root / "closed" / "deep").chmod(0o555)
    (root / "closed").chmod(0o555)


def fill_second(root):
    for path in ("closed", "closed/deep"):
        (root / path).chmod(0o755)
    (root / "a").write_bytes(b"22")
    (root / "closed" / "x").write_bytes(b"x22")
    (root / "closed" / "deep" / "z").unlink()
    (root / "closed" / "new").mkdir()
    (root / "closed" / "new" / "n").write_bytes(b"n")
    (root / "swap").unlink()
    (root / "swap").mkdir()
    (root / "swap" / "s").write_bytes(b"s")
    shutil.rmtree(root / "other")
    (root / "other").write_bytes(b"a file")
    (root / "link").unlink()
    for path in ("closed/new", "closed/deep", "closed"):
        (root / path).chmod(0o555)
    (root / "closed" / "new").chmod(0o500)


@pytest.fixture
def two(root, snap):
    """The trees of the folder as it was and as it is, with the facts of both."""
    (root / ".dotscience").mkdir()
    fill_first(root)
    first, first_facts = snap().root_hash, facts(root)
    fill_second(root)
    return first, snap().root_hash, first_facts, facts(root)


CALLS = ("rename", "renameat", "unlinkat", "mkdirat", "symlinkat", "fchmod", "utimensat", "fsync", "syncfs")


def copy_of(root, folder):
    shutil.copytree(root, folder, symlinks=True)
    return folder


def test_killed_at_every_step_it_can_be_finished_and_undone(begun, two, root, store, store_folder, tmp_path):
    first, second, first_facts, second_facts = two

    def attempt(call, when):
        work = copy_of(root, tmp_path / f"{call}{when}")
        plan = work / ".dotscience" / "in-place" / PLAN
        trial = begun.run(
            "bring_back", store_folder, work, second.hex(), first.hex(), fault=Fault(call, "signal=SIGKILL", when)
        )
        status = trial.wait()
        left = facts(work)
        if not plan.exists():
            assert left in (first_facts, second_facts)
        else:
            assert interrupted(work / ".dotscience").saved == second.hex()
        for wanted, expected in ((first, first_facts), (second, second_facts)):
            one = copy_of(work, tmp_path / "one")
            recover(one, wanted)
            assert facts(one) == expected
            assert interrupted(one / ".dotscience") is None
            assert list((one / ".dotscience" / "in-place").iterdir()) == []
            shutil.rmtree(one)
        shutil.rmtree(work)
        return status == KILLED

    def recover(work, wanted):
        with open_directory(os.fsencode(work)) as descriptor, open_in_place(work / ".dotscience") as in_place:
            in_place.close_folders(descriptor)
        now = take_snapshot(store, work, ignore=IgnoreRules("")).root_hash
        store.commit(lambda connection: None)
        change(store, work, now, wanted)

    kills = {call: moments(partial(attempt, call)) for call in CALLS}
    assert sum(kills.values()) > 30
    assert min(kills.values()) > 0, kills


def test_read_only_folders_of_ones_own_are_changed_and_are_read_only_again(begun, two, root, store_folder):
    first, second, first_facts, _ = two
    root.chmod(0o555)
    assert begun.run("bring_back", store_folder, root, second.hex(), first.hex()).wait() == 0
    assert facts(root) == first_facts
    assert stat.S_IMODE(root.stat().st_mode) == 0o555


def refused(objects, root, *changes):
    before = facts(root)
    with pytest.raises(CheckoutRefused) as caught:
        change(objects, root, b"", b"", changes=list(changes))
    assert facts(root) == before
    assert not (root / ".dotscience" / "in-place" / PLAN).exists()
    assert list((root / ".dotscience" / "in-place").iterdir()) == []
    return str(caught.value)


@pytest.fixture
def plain(root):
    """A folder with a file that a change is ready to overwrite, and how it was saved."""
    (root / ".dotscience").mkdir()
    objects = Objects()
    (root / "ok").write_bytes(b"old")
    os.utime(root / "ok", ns=(0, 0))
    (root / "ok").chmod(0o644)
    return objects, Change(b"ok", objects.file(b"ok", b"old"), objects.file(b"ok", b"new"))


def test_what_is_not_in_snapshots_refuses_all_of_it(plain, root):
    objects, fine = plain
    (root / "ignored").write_bytes(b"mine")
    (root / "d").mkdir()
    (root / "d" / "ignored").write_bytes(b"mine")
    said = refused(
        objects,
        root,
        fine,
        Change(b"ignored", None, objects.file(b"ignored", b"theirs")),
        Change(b"d", objects.folder(b"d"), objects.file(b"d", b"a file")),
    )
    assert "'ignored' is not in snapshots, and would be overwritten" in said
    assert "'d' is a folder that is to become a file, and holds 'ignored'" in said


def test_what_is_as_it_is_to_become_is_no_obstacle(plain, root):
    objects, fine = plain
    (root / "ignored").write_bytes(b"equal")
    (root / "ignored").chmod(0o644)
    os.utime(root / "ignored", ns=(0, 5))
    equal = Change(b"ignored", None, objects.file(b"ignored", b"equal", mtime_ns=5))
    assert change(objects, root, b"", b"", changes=[fine, equal]).problems == []
    assert (root / "ok").read_bytes() == b"new"


def test_a_change_since_it_was_saved_refuses_all_of_it(plain, root):
    objects, fine = plain
    (root / "edited").write_bytes(b"an edit")
    edited = Change(b"edited", objects.file(b"edited", b"saved"), None)
    assert "'edited' was changed meanwhile" in refused(objects, root, fine, edited)


def test_a_missing_content_refuses_all_of_it(plain, root):
    objects, fine = plain
    gone = objects.file(b"gone", b"1")
    del objects[gone.content]
    assert "'gone'" in refused(objects, root, fine, Change(b"gone", None, gone))


def test_a_link_on_the_way_refuses_all_of_it(plain, root, tmp_path):
    objects, fine = plain
    (root / "d").symlink_to(tmp_path)
    folder = objects.folder(b"d")
    said = refused(objects, root, fine, Change(b"d", None, folder), Change(b"d/x", None, objects.file(b"x", b"1")))
    assert "'d' is not in snapshots" in said


def test_a_full_disk_changes_nothing(plain, root):
    objects, fine = plain
    before = facts(root)
    objects.failing, objects.error = 1, DiskFull
    with pytest.raises(DiskFull):
        change(objects, root, b"", b"", changes=[fine])
    assert facts(root) == before


def test_two_at_once_are_refused(plain, root):
    objects, fine = plain
    with open_in_place(root / ".dotscience") as first:
        os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=first.descriptor))
        with pytest.raises(CheckoutRefused, match="another checkout in place"):
            change(objects, root, b"", b"", changes=[fine])
        assert [path.name for path in (root / ".dotscience" / "in-place").iterdir()] == ["new"]


def test_folders_keep_their_time_where_no_name_comes_or_goes(plain, root):
    objects, fine = plain
    link = TreeEntry(b"l", EntryKind.SYMLINK, 0o777, 1, 9 * 10**9, b"x")
    made = [Change(b"d", None, objects.folder(b"d")), Change(b"d/l", None, link)]
    (root / "same").mkdir()
    (root / "same" / "f").write_bytes(b"old")
    os.utime(root / "same" / "f", ns=(0, 0))
    (root / "same" / "f").chmod(0o644)
    os.utime(root / "same", ns=(0, 3 * 10**9))
    same = Change(b"same/f", objects.file(b"f", b"old"), objects.file(b"f", b"new"))
    change(objects, root, b"", b"", changes=[fine, *made, same])
    assert [(root / name).stat().st_mtime for name in ("d", "same")] == [9, 3]
