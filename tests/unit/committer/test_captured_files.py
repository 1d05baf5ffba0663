"""Reading captures that anybody may have written: only what the record names and a snapshot may hold is taken."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from committer.captured_files import NOTHING, CaptureReader, remove_abandoned, remove_captures
from committer.storage.ingest import FileIngest
from committer.storage.store import ObjectStore
from dotscience.capture_manifest import CapturedFile, CaptureManifest, InputSignature, captures_folder
from dotscience.record import FileRef, RunRecord
from dotscience.workspace import new_workspace, write_project

DAY_S = 86_400


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    write_project(new_workspace(root))
    return root


@pytest.fixture
def store(tmp_path):
    store = ObjectStore(tmp_path / "store", min_free_bytes=1)
    yield store
    store.close()


@pytest.fixture
def read(root, store):
    def read(record):
        with FileIngest(store) as ingest:
            return CaptureReader(root, store, ingest, lambda path: path.startswith(b"ignored")).read(record)

    return read


def run(*outputs, run_id=None, inputs=()):
    return RunRecord(
        run_id=run_id or str(uuid4()),
        ended_at=datetime.now(UTC),
        outputs=[FileRef(path=path) for path in outputs],
        inputs=[FileRef(path=path) for path in inputs],
    )


def capture(root, record, *files, contents=(), **more):
    folder = captures_folder(root) / record.run_id
    folder.mkdir(parents=True)
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    manifest = CaptureManifest(outputs=list(files), **more)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def held(path, size, file="0", **more):
    return CapturedFile(path=path, size=size, mtime_ns=5, mode=0o644, file=file, **more)


def test_a_capture_is_taken_into_the_store(root, store, read):
    record = run("a/b.txt", inputs=["in"])
    capture(
        root,
        record,
        held("a/b.txt", 3),
        contents=[b"abc"],
        folders=["a"],
        inputs=[InputSignature(path="in", size=1, mtime_ns=2)],
    )
    files = read(record)
    entry = files.held[b"a", b"b.txt"]
    assert (entry.size, entry.mtime_ns, entry.mode, store.get(entry.content)) == (3, 5, 0o644, b"abc")
    assert files.folders == {(b"a",)}
    assert files.read == {"in": (1, 2)}


@pytest.mark.parametrize(
    "path",
    ["../out", "/etc/passwd", "a/../../b", "", "a//b", "./a", ".dotscience/project.toml", ".DotScience/x", "ignored/x"],
)
def test_paths_that_no_snapshot_holds_are_not_taken(root, read, path):
    record = run(path)
    capture(root, record, held(path, 3), contents=[b"abc"])
    assert not read(record).held


def test_what_the_record_does_not_name_is_not_taken(root, read):
    record = run("a")
    capture(root, record, held("b", 3), contents=[b"abc"], inputs=[InputSignature(path="c", size=1, mtime_ns=1)])
    files = read(record)
    assert (files.held, files.read) == ({}, {})


def test_a_folder_that_is_tracked_on_its_own_or_a_link_keeps_its_files(root, read, tmp_path):
    inner = root / "inner" / "deep"
    inner.mkdir(parents=True)
    write_project(new_workspace(root / "inner"))
    (root / "link").symlink_to(tmp_path)
    record = run("inner/deep/a", "link/b")
    capture(root, record, held("inner/deep/a", 3), held("link/b", 3), contents=[b"abc"])
    assert not read(record).held


@pytest.mark.parametrize(
    "file",
    [
        held("a", 4),  # cut short by a power cut
        held("a", 3, file="1"),
        held("a", 3, file="../0"),
        held("a", 3, file="link"),
        CapturedFile(path="a", size=3, mtime_ns=5, mode=0o644, content="ab" * 32),
        CapturedFile(path="a", size=3, mtime_ns=5, mode=0o644, content="no hash"),
    ],
)
def test_a_content_that_is_not_what_was_captured_leaves_only_the_look(root, read, file):
    record = run("a")
    folder = capture(root, record, file, contents=[b"abc"])
    (folder / "link").symlink_to("0")
    files = read(record)
    assert (files.held, files.seen["a"].size) == ({}, file.size)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"outputs": 5}', b'{"version": 2}', b"\xff" * 100])
def test_a_manifest_that_cannot_be_read_is_none(root, read, data):
    record = run("a")
    (capture(root, record) / "manifest.json").write_bytes(data)
    assert read(record) == NOTHING


def test_an_id_from_outside_is_no_path(root, read):
    assert read(run("a", run_id="../../x")) == NOTHING
    remove_captures(root, ["../runs"])
    assert (root / ".dotscience" / "runs").is_dir()


def test_captures_go_with_their_runs_and_abandoned_ones_once_they_are_old(root):
    committed, pending, old, young, ahead = (run("a") for _ in range(5))
    folders = [capture(root, record) for record in (committed, pending, old, young, ahead)]
    for folder in folders[1:3]:
        os.utime(folder, (time.time() - 2 * DAY_S,) * 2)
    for folder, seconds in zip(folders[3:], (-DAY_S, DAY_S), strict=True):  # the clock was set by a day
        os.utime(folder, (time.time() + seconds,) * 2)
    remove_captures(root, [committed.run_id, committed.run_id])
    remove_abandoned(root, {pending.run_id})
    assert [folder.exists() for folder in folders] == [False, True, False, True, True]
