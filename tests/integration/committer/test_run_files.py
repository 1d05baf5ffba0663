"""A run's files are the run's own, whatever later runs write to the same paths. See ARCHITECTURE 4.5."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import pytest
from support.committer import PATIENCE_S

from committer.storage.objects import decode_commit
from committer.storage.reader import read_file, resolve
from committer.storage.store import StoreReader
from dotscience.errors import NoSuchPath
from dotscience.record import FileRef, ModelArtefact


def script(folder, code):
    """Run a program that uses the library in the folder; its output."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder.root,
        env=folder.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def by_description(folder, count):
    folder.until(lambda status: status["pending_runs"] == 0 and status["runs"] >= count)
    return {run["record"]["description"]: run for run in folder.committed().values()}


def content(folder, run, path):
    """What a run's commit has at a path; None for nothing."""
    with StoreReader(folder.root / ".dotscience" / "store") as reader:
        root = decode_commit(reader.get(bytes.fromhex(run["commit"]))).root
        try:
            return b"".join(read_file(reader, resolve(reader, root, path)))
        except NoSuchPath:
            return None


def hashes(runs, path):
    found = [file["content_hash"] for run in runs for file in run["record"]["outputs"] if file["path"] == path]
    return [one for one in found if one]


SWEEP = """
import dotscience as ds
for number in range(8):
    ds.start(f"sweep {number}")
    with open(ds.output("out.txt"), "w") as file:
        file.write(f"result of run {number}\\n")
    open("model.bin", "wb").write(bytes([number]) * 300_000)
    ds.model("net", "model.bin")
    ds.publish()
"""


@pytest.mark.parametrize("committer", ["before", "after"])
def test_runs_that_write_one_path_keep_what_each_wrote(folder, committer):
    if committer == "before":
        folder.start()
        folder.until(lambda status: status["head"])
    script(folder, SWEEP)
    if committer == "after":
        folder.start()
    runs = by_description(folder, 8)
    for number in range(8):
        run = runs[f"sweep {number}"]
        assert content(folder, run, "out.txt") == f"result of run {number}\n".encode()
        assert content(folder, run, "model.bin") == bytes([number]) * 300_000
    ordered = [runs[f"sweep {number}"] for number in range(8)]
    assert len(set(hashes(ordered, "out.txt"))) == len(set(hashes(ordered, "model.bin"))) == 8
    assert not [run for run in runs.values() if run["record"]["authority"] == "correction"]
    folder.stop()
    assert not list((folder.root / ".dotscience" / "captures").iterdir())


def test_the_command_gives_each_run_its_own_file_back(folder):
    script(folder, SWEEP)
    folder.start()
    runs = by_description(folder, 8)
    for number in (0, 3, 7):
        target = folder.root.parent / f"then{number}"
        result = folder.command("checkout", runs[f"sweep {number}"]["run_id"], "out.txt", "--to", str(target))
        assert result.returncode == 0, result.stderr
        assert (target / "out.txt").read_text() == f"result of run {number}\n"


def test_every_way_to_record_holds_the_files(folder):
    script(
        folder,
        """
        import threading
        import dotscience as ds

        def write(text):
            open("out.txt", "w").write(text)

        for number in range(2):
            with ds.run(f"block {number}") as run:
                write(f"block {number}")
                run.add_outputs("out.txt")

        @ds.track
        def tracked(number):
            ds.set_description(f"tracked {number}")
            write(f"tracked {number}")
            ds.add_output("out.txt")

        for number in range(2):
            tracked(number)

        def worker():
            ds.start("thread")
            write("thread")
            ds.output("out.txt")
            ds.publish()

        thread = threading.Thread(target=worker)
        thread.start()
        thread.join()
        write("nobody's")
        """,
    )
    script(
        folder,
        """
        from concurrent.futures import ProcessPoolExecutor
        import dotscience as ds

        def work(number):
            ds.start(f"process {number}")
            open("out.txt", "w").write(f"process {number}")
            ds.output("out.txt")
            ds.publish()

        with ProcessPoolExecutor(1) as pool:
            list(pool.map(work, range(3)))
        """,
    )
    folder.start()
    names = ["block 0", "block 1", "tracked 0", "tracked 1", "thread", "process 0", "process 1", "process 2"]
    runs = by_description(folder, len(names))
    assert {name: content(folder, runs[name], "out.txt") for name in names} == {name: name.encode() for name in names}


def test_a_folder_as_output_holds_what_the_run_left_in_it_and_nothing_else(folder):
    script(
        folder,
        """
        import os, shutil
        import dotscience as ds

        for number in range(3):
            ds.start(f"run {number}")
            shutil.rmtree("out", ignore_errors=True)
            os.makedirs("out/deep")
            open(f"out/{number}.txt", "w").write("mine")
            open("out/deep/same.txt", "w").write("the same")
            ds.output("out")
            ds.publish()
        """,
    )
    folder.start()
    runs = by_description(folder, 3)
    for number in range(3):
        run = runs[f"run {number}"]
        there = [other for other in range(3) if content(folder, run, f"out/{other}.txt") is not None]
        assert there == [number]
        assert content(folder, run, "out/deep/same.txt") == b"the same"
        assert not any(file.get("overwritten") for file in run["record"]["outputs"])


def test_runs_whose_files_agree_share_a_commit(folder):
    script(
        folder,
        """
        import dotscience as ds
        for number in range(3):
            ds.start(f"run {number}")
            open(ds.output(f"{number}.txt"), "w").write("mine")
            ds.publish()
        """,
    )
    folder.start()
    assert len({run["commit"] for run in by_description(folder, 3).values()}) == 1


def test_what_was_written_after_the_last_publish_is_in_no_runs_commit(folder):
    script(
        folder,
        """
        import dotscience as ds
        ds.start("the run")
        open(ds.output("out.txt"), "w").write("mine")
        ds.publish()
        open("out.txt", "w").write("later")
        """,
    )
    folder.start()
    assert content(folder, by_description(folder, 1)["the run"], "out.txt") == b"mine"
    assert folder.command("snapshot").returncode == 0
    head = folder.client.status()["head"]
    assert content(folder, {"commit": head}, "out.txt") == b"later"


def test_in_the_background_a_later_content_is_never_taken_for_the_runs(folder):
    script(
        folder,
        """
        import dotscience as ds
        for number in range(2):
            ds.start(f"run {number}")
            open(ds.output("out.txt"), "w").write("x" * (number + 1))
            ds.publish(capture="background")
        """,
    )
    folder.start()
    runs = by_description(folder, 2)
    (first,), (last,) = (runs[name]["record"]["outputs"] for name in ("run 0", "run 1"))
    assert (first["overwritten"], first.get("content_hash")) == (True, None)
    assert last["content_hash"]
    assert not last.get("overwritten")


def test_runs_of_a_library_that_holds_nothing_say_which_files_are_later_ones(folder, make_record):
    """The original library, which leaves no capture."""
    folder.write("out.txt", b"of both")
    folder.write("alone.txt", b"of one")
    ended_at = datetime.now(UTC) + timedelta(seconds=1)
    first = make_record(
        outputs=[FileRef(path="out.txt"), FileRef(path="alone.txt")],
        models=[ModelArtefact(name="net", type="file", files={"model": "out.txt"})],
        ended_at=ended_at - timedelta(minutes=1),
    )
    second = make_record(outputs=[FileRef(path="out.txt")], ended_at=ended_at)
    os.utime(folder.root / "alone.txt", (ended_at.timestamp() - 120,) * 2)
    folder.publish(first)
    folder.publish(second)
    folder.start()
    found = folder.until_committed(first.run_id, second.run_id)
    out, alone = found[first.run_id]["record"]["outputs"]
    assert (out["path"], out["overwritten"], out.get("content_hash")) == ("out.txt", True, None)
    assert alone["content_hash"]
    assert found[second.run_id]["record"]["outputs"][0]["content_hash"]
    target = folder.root.parent / "then"
    result = folder.command("checkout", first.run_id, "--to", str(target))
    assert "out.txt was written again" in result.stderr


def test_an_input_is_what_it_was_when_it_was_read(folder):
    folder.write("kept.csv", b"kept")
    folder.write("known.csv", b"known before")
    folder.start()
    folder.until(lambda status: status["head"])
    script(
        folder,
        """
        import dotscience as ds
        open("fresh.csv", "w").write("fresh")
        ds.start("reads")
        for path in ("kept.csv", "known.csv", "fresh.csv"):
            open(ds.input(path)).read()
        open("known.csv", "w").write("something longer")
        open("fresh.csv", "w").write("something longer, too")
        open(ds.output("made.csv"), "w").write("one")
        ds.publish()
        ds.start("reads what was made")
        ds.input("made.csv")
        open("made.csv", "w").write("longer than one")
        ds.publish()
        """,
    )
    runs = by_description(folder, 2)
    made = runs["reads"]["record"]["outputs"][0]["content_hash"]
    kept, known, fresh = (
        next(file for file in runs["reads"]["record"]["inputs"] if file["path"] == path)
        for path in ("kept.csv", "known.csv", "fresh.csv")
    )
    (read,) = runs["reads what was made"]["record"]["inputs"]
    assert kept["content_hash"]
    assert not kept.get("changed_after_read")
    assert known["content_hash"]
    assert known["changed_after_read"]
    assert (fresh.get("content_hash"), fresh["changed_after_read"]) == (None, True)
    assert read["content_hash"] == made


def test_a_kill_of_the_committer_loses_no_runs_files(folder):
    process = folder.start()
    folder.until(lambda status: status["head"])
    for start in (0, 100):
        script(folder, SWEEP.replace("range(8)", f"range({start}, {start + 8})").replace("bytes([number])", "b'x'"))
        process.kill()
        process = folder.start()
    runs = by_description(folder, 16)
    for number in (*range(8), *range(100, 108)):
        assert content(folder, runs[f"sweep {number}"], "out.txt") == f"result of run {number}\n".encode()
