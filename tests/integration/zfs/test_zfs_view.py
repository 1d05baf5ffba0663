"""A workspace on ZFS: what a view holds still, what the source knows, and what is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from support.zfs import KERNEL_MODULE, run

from committer.storage.zfs.dataset import Dataset
from committer.workspace.source import Dirty
from committer.workspace.zfs import COMMIT, DOT, HOLD, RUNS, ZfsSource, ZfsView, ZfsWorkspace
from dotscience.errors import DatasetMissing, WorkspaceError

NOTHING = Dirty(frozenset(), sees_mappings=True)


@pytest.fixture
def root(folder):
    """A workspace whose state is a dataset of its own, so that writing it changes nothing in the workspace."""
    run("zfs", "create", f"{dataset_of(folder)}/.dotscience")
    return folder


@pytest.fixture(params=["snapshot folder", "clone"] if KERNEL_MODULE.exists() else ["clone"])
def workspace(request, root):
    """A workspace, read in each of the ways there are; `make test-openzfs` runs both."""
    made = ZfsWorkspace(root, "dot", root / ".dotscience" / "views")
    assert made.has_snapshot_folder == KERNEL_MODULE.exists()
    made.has_snapshot_folder = request.param == "snapshot folder"
    yield made
    made.drop()


def dataset_of(folder: Path) -> str:
    return run("zfs", "list", "-H", "-o", "name", str(folder)).strip()


def read(view: ZfsView, name: str) -> bytes:
    root = view.open_root()
    try:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=root)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    finally:
        os.close(root)


def names(workspace: ZfsWorkspace) -> list[str]:
    """The snapshots there are."""
    return [one.name for one in workspace.dataset.versions() if one.is_snapshot]


def commit(workspace: ZfsWorkspace, number: int = 1, runs=()) -> str:
    """Make a commit, as far as ZFS is concerned; the source's cursor of it."""
    cursor = ZfsSource(workspace).mark()
    with ZfsView(workspace) as view:
        view.committed(f"{number:064x}", runs)
    return cursor


def test_a_view_holds_still_what_changes_meanwhile(workspace, root):
    (root / "file").write_text("then")
    (root / "gone").write_text("still here")
    with ZfsView(workspace) as view:
        (root / "file").write_text("now")
        (root / "gone").unlink()
        assert view.consistency == "atomic"
        assert read(view, "file") == b"then"
        assert read(view, "gone") == b"still here"


def test_what_is_mapped_and_not_written_back_is_in_the_snapshot(workspace, root):
    import mmap

    (root / "mapped").write_bytes(bytes(4096))
    with (root / "mapped").open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapped:
        mapped[:3] = b"now"
        with ZfsView(workspace) as view:
            assert read(view, "mapped")[:3] == b"now"


def test_files_look_the_same_in_a_view(workspace, root):
    """The index knows files by inode and times: it must not matter through which view it saw them."""
    (root / "file").write_text("content")
    live = (root / "file").stat()
    with ZfsView(workspace) as view:
        descriptor = view.open_root()
        still = os.stat("file", dir_fd=descriptor)
        os.close(descriptor)
    assert (still.st_ino, still.st_mtime_ns, still.st_ctime_ns) == (live.st_ino, live.st_mtime_ns, live.st_ctime_ns)


def test_a_folder_inside_a_dataset_is_a_workspace_too(root):
    inner = root / "a folder" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("content")
    with ZfsView(ZfsWorkspace(inner, "dot", root / ".dotscience" / "views")) as view:
        assert read(view, "file") == b"content"


def test_leaving_without_a_commit_leaves_nothing(workspace):
    with ZfsView(workspace):
        assert len(names(workspace)) == 1
    assert names(workspace) == []
    assert workspace.dataset.clones_below("dotscience-") == []


def test_an_error_inside_leaves_nothing(workspace):
    with pytest.raises(RuntimeError), ZfsView(workspace):
        raise RuntimeError
    assert names(workspace) == []


def test_a_commit_is_written_on_its_snapshot(workspace):
    runs = [str(uuid4()) for _ in range(60)]
    commit(workspace, 7, runs)
    wanted = [COMMIT, DOT, RUNS, f"{RUNS}.1", f"{RUNS}.2", f"{RUNS}.3"]
    (kept,) = (one for one in workspace.dataset.versions(wanted) if one.is_snapshot)
    assert kept.properties[COMMIT] == f"{7:064x}"
    assert ",".join(kept.properties.get(name, "") for name in wanted[2:5]) == ",".join(runs)
    assert wanted[5] not in kept.properties
    assert kept.holds == 1


def test_the_snapshot_of_the_last_commit_is_the_only_one_kept(workspace):
    for number in range(3):
        commit(workspace, number)
    assert len(names(workspace)) == 1
    assert workspace.dataset.property(COMMIT, of=names(workspace)[0]) == f"{2:064x}"


def test_a_snapshot_that_somebody_else_holds_is_kept_as_long(workspace):
    commit(workspace, 1)
    (held,) = names(workspace)
    workspace.dataset.hold(held, "somebody else")
    commit(workspace, 2)
    assert held in names(workspace)
    workspace.dataset.release(held, "somebody else")
    commit(workspace, 3)
    assert len(names(workspace)) == 1


def test_the_last_commit_is_bookmarked_where_that_can_be(workspace):
    commit(workspace, 1)
    commit(workspace, 2)
    versions = workspace.dataset.versions()
    (snapshot,) = (one for one in versions if one.is_snapshot)
    bookmarks = [(one.name, one.guid) for one in versions if not one.is_snapshot]
    expected = [(f"#{snapshot.name[1:]}", snapshot.guid)]
    assert bookmarks == (expected if workspace.dataset.features.bookmarks else [])


def test_snapshots_of_others_are_left_alone(workspace):
    workspace.dataset.snapshot("daily", {})
    workspace.dataset.snapshot("dotscience-of-another-dot", {DOT: "another"})
    workspace.recover()
    commit(workspace)
    assert {"@daily", "@dotscience-of-another-dot"} < set(names(workspace))


def test_nothing_changed_where_nothing_was_written(workspace):
    cursor = commit(workspace)
    answer = ZfsSource(workspace).changed_since(cursor)
    assert answer == (NOTHING if workspace.dataset.features.written else None)


@pytest.mark.parametrize("change", ["write", "unlink", "mode", "map"])
def test_any_change_is_seen(workspace, root, change):
    import mmap

    target = root / "file"
    target.write_bytes(bytes(4096))
    cursor = commit(workspace)
    match change:
        case "write":
            target.write_bytes(bytes(4095) + b"1")
        case "unlink":
            target.unlink()
        case "mode":
            target.chmod(0o600)
        case "map":
            with target.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapped:
                mapped[:1] = b"1"
                assert ZfsSource(workspace).changed_since(cursor) is None
    assert ZfsSource(workspace).changed_since(cursor) is None


def test_the_view_reads_what_the_source_compared(workspace, root):
    """Whatever is written after the source's first question belongs to the next commit, and is reported for it."""
    (root / "file").write_text("first")
    before = commit(workspace)
    source = ZfsSource(workspace)
    source.changed_since(before)
    (root / "file").write_text("second")
    cursor = source.mark()
    with ZfsView(workspace) as view:
        assert read(view, "file") == b"first"
        view.committed("c" * 64, ())
    assert ZfsSource(workspace).changed_since(cursor) is None


def test_the_source_is_asked_while_the_view_reads(workspace, root):
    """As a commit does, which must cost no second snapshot, nor leave one to the next commit that is gone by then."""
    source = ZfsSource(workspace)
    before = commit(workspace)
    source.mark()
    with ZfsView(workspace) as view:
        source.changed_since(before)
        assert len(names(workspace)) == 2, "that of the last commit, and the view's"
        view.committed("c" * 64, ())
    (root / "file").write_text("later")
    source.mark()
    with ZfsView(workspace) as view:
        assert read(view, "file") == b"later"


def test_a_commit_that_fails_leaves_nothing_to_the_next(workspace, root):
    source = ZfsSource(workspace)
    before = commit(workspace)
    (root / "file").write_text("first")
    source.mark()
    with ZfsView(workspace):
        source.changed_since(before)
    (root / "file").write_text("second")
    source.mark()
    with ZfsView(workspace) as view:
        assert read(view, "file") == b"second"


def test_a_question_asked_again_is_about_now(workspace, root):
    """A commit that failed before it read anything must not make the next one read what was."""
    source = ZfsSource(workspace)
    (root / "file").write_text("first")
    source.mark()
    (root / "file").write_text("second")
    source.mark()
    with ZfsView(workspace) as view:
        assert read(view, "file") == b"second"
    assert names(workspace) == []


@pytest.mark.parametrize("cursor", ["", "1", "no number", "stat:1"])
def test_a_cursor_of_something_else_is_not_known(workspace, cursor):
    commit(workspace)
    assert ZfsSource(workspace).changed_since(cursor) is None


def test_what_a_crash_left_behind_is_found_and_goes(workspace):
    commit(workspace, 1)
    (kept,) = names(workspace)
    workspace.take("mark")
    crashed = ZfsView(workspace)
    crashed.__enter__()
    workspace.take("mark")
    assert len(names(workspace)) == 3
    again = ZfsWorkspace(workspace.place.mountpoint, "dot", workspace.place.mountpoint / ".dotscience" / "views")
    again.recover()
    assert names(again) == [kept]
    assert again.dataset.clones_below("dotscience-") == []
    assert again.dataset.property("userrefs", of=kept) == "1"
    workspace._taken = None


def test_a_crash_between_two_commits_leaves_the_later(workspace):
    """Both snapshots carry a commit when the earlier has not been destroyed yet."""
    commit(workspace, 1)
    (earlier,) = names(workspace)
    workspace.dataset.hold(earlier, "as if destroying it came to nothing")
    commit(workspace, 2)
    workspace.dataset.release(earlier, "as if destroying it came to nothing")
    workspace.recover()
    assert [workspace.dataset.property(COMMIT, of=name) for name in names(workspace)] == [f"{2:064x}"]


def test_a_snapshot_that_somebody_destroyed_is_not_missed(workspace):
    cursor = commit(workspace)
    (kept,) = names(workspace)
    workspace.dataset.release(kept, HOLD)
    workspace.dataset.destroy(kept)
    assert ZfsSource(workspace).changed_since(cursor) is None
    commit(workspace)
    assert len(names(workspace)) == 1


def test_a_dataset_that_is_gone_stops_the_view(workspace):
    workspace.dataset = Dataset(f"{workspace.dataset.name}-gone")
    with pytest.raises(DatasetMissing), ZfsView(workspace):
        pytest.fail("there is nothing to read")


def test_a_workspace_with_another_dataset_inside_is_not_held(root):
    run("zfs", "create", f"{dataset_of(root)}/data")
    with pytest.raises(WorkspaceError, match="data is mounted inside"):
        ZfsWorkspace(root, "dot", root / ".dotscience" / "views")
    ZfsWorkspace(root / "data", "dot", root / ".dotscience" / "views")


def test_a_folder_elsewhere_is_not_on_zfs(tmp_path):
    with pytest.raises(WorkspaceError, match="not on ZFS"):
        ZfsWorkspace(tmp_path, "dot", tmp_path / "views")
