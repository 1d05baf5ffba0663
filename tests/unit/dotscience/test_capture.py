"""What publish() holds of a run's files, and what it says when it cannot."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

import dotscience as ds
from dotscience import capture as capture_module
from dotscience.capture_manifest import CaptureManifest
from dotscience.workspace import new_workspace, write_project


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_project(new_workspace(tmp_path))
    monkeypatch.setenv("DOTSCIENCE_PROJECT_DOT_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(capture_module, "_earlier", {})
    return tmp_path


@pytest.fixture
def tracker(root):
    return ds.Dotscience()


def captured(root, published):
    folder = root / ".dotscience" / "captures" / published.run_id
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=CaptureManifest)
    return folder, manifest


def contents(root, published):
    folder, manifest = captured(root, published)
    return {file.path: (folder / file.file).read_bytes() if file.file else None for file in manifest.outputs}


def test_outputs_are_held_as_they_were(root, tracker):
    Path("a.txt").write_text("first")
    Path("model.bin").write_bytes(b"m" * 100_000)
    tracker.add_output("a.txt")
    tracker.model("net", "model.bin")
    published = tracker.publish()
    Path("a.txt").write_text("second")
    assert contents(root, published) == {"a.txt": b"first", "model.bin": b"m" * 100_000}
    _, manifest = captured(root, published)
    assert [(file.path, file.size, file.mode) for file in manifest.outputs] == [
        ("a.txt", 5, 0o644),
        ("model.bin", 100_000, 0o644),
    ]


def test_a_file_that_has_not_changed_takes_no_more_room(root, tracker, monkeypatch):
    monkeypatch.setattr(capture_module, "TICK_NS", 0)
    Path("big.bin").write_bytes(b"x" * 20_000)
    tracker.add_output("big.bin")
    first, second = (captured(root, tracker.publish())[0] for _ in range(2))
    assert (first / "0").stat().st_ino == (second / "0").stat().st_ino


def test_a_changed_file_of_equal_size_is_held_anew(root, tracker):
    held = []
    for number in range(20):
        Path("out.txt").write_text(f"{number:02}")
        tracker.add_output("out.txt")
        held.append(contents(root, tracker.publish())["out.txt"])
    assert held == [f"{number:02}".encode() for number in range(20)]


def test_a_folder_is_held_with_all_that_is_in_it(root, tracker):
    Path("out/deep").mkdir(parents=True)
    for path in ("out/a", "out/deep/b"):
        Path(path).write_text(path)
    tracker.add_output("out")
    published = tracker.publish()
    assert contents(root, published) == {"out/a": b"out/a", "out/deep/b": b"out/deep/b"}
    assert captured(root, published)[1].folders == ["out"]


def test_links_are_held_as_links_and_what_is_no_file_is_not(root, tracker):
    Path("link").symlink_to("elsewhere")
    os.mkfifo("pipe")
    Path("there").write_text("x")
    tracker.add_outputs("link", "pipe", "there", "missing", "/etc/hostname", ".dotscience/project.toml")
    with pytest.warns(ds.DotscienceWarning):
        published = tracker.publish()
    _, manifest = captured(root, published)
    assert {file.path: (file.target, file.file is not None) for file in manifest.outputs} == {
        "link": ("elsewhere", False),
        "there": (None, True),
    }


def test_in_the_background_only_looks_are_noted(root, tracker):
    Path("a.txt").write_text("first")
    tracker.add_output("a.txt")
    published = tracker.publish(capture="background")
    (file,) = captured(root, published)[1].outputs
    assert (file.path, file.size, file.is_held) == ("a.txt", 5, False)


def test_another_word_for_the_capture_is_refused_and_records_nothing(root, tracker):
    with pytest.raises(ValueError, match="'later'"):
        tracker.publish(capture="later")
    assert not list((root / ".dotscience" / "runs").glob("*.json"))


def test_inputs_are_known_as_they_were_when_they_were_named(root, tracker):
    Path("in.csv").write_text("then")
    tracker.add_input("in.csv")
    Path("in.csv").write_text("now, which is longer")
    published = tracker.publish()
    assert [(one.path, one.size) for one in captured(root, published)[1].inputs] == [("in.csv", 4)]


def test_a_run_without_files_leaves_no_capture(root, tracker):
    tracker.parameter("a", 1)
    tracker.publish()
    assert not (root / ".dotscience" / "captures").exists()


def test_what_is_too_large_to_copy_and_has_nowhere_to_go_is_said(root, tracker, monkeypatch):
    monkeypatch.setattr(capture_module, "MAX_COPIED_BYTES", 10)
    monkeypatch.setattr(capture_module, "MAX_COPIED_BYTES_ALONE", 10)
    monkeypatch.setattr(capture_module, "_cannot_clone", {Path(root).stat().st_dev})
    Path("small").write_text("x")
    Path("large").write_text("x" * 100)
    tracker.add_outputs("small", "large")
    with pytest.warns(ds.DotscienceWarning, match=r"1 outputs .* the first is large"):
        published = tracker.publish()
    assert contents(root, published) == {"small": b"x", "large": None}


def test_a_full_disk_is_not_filled_further(root, tracker, monkeypatch):
    monkeypatch.setattr(capture_module, "MIN_FREE_BYTES", 2**62)
    monkeypatch.setattr(capture_module, "_cannot_clone", {Path(root).stat().st_dev})
    Path("out").write_text("x")
    tracker.add_output("out")
    with pytest.warns(ds.DotscienceWarning, match="free some disk space"):
        published = tracker.publish()
    assert contents(root, published) == {"out": None}


def test_a_state_folder_that_cannot_be_written_is_no_reason_to_fail(root, tracker):
    (root / ".dotscience" / "captures").write_text("in the way")
    Path("out").write_text("x")
    tracker.add_output("out")
    with pytest.warns(ds.DotscienceWarning, match="could not be held"):
        published = tracker.publish()
    assert (root / ".dotscience" / "runs" / f"{published.run_id}.json").is_file()
