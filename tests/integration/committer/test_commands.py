"""The commands that people have for snapshots, in a tracked folder without a hub."""

from __future__ import annotations

import json
import os
import stat

import pytest

from committer.storage.in_place import Plan, open_in_place


def as_json(folder, *arguments, **options):
    done = folder.command(*arguments, "--json", **options)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def refusal(folder, *arguments, **options):
    """The one line that a command says which does nothing."""
    done = folder.command(*arguments, **options)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def facts(root):
    found = {}
    for path in root.rglob("*"):
        if ".dotscience" in path.parts:
            continue
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None  # noqa: PTH115
        mtime = None if path.is_dir() else status.st_mtime_ns
        found[path.relative_to(root).as_posix()] = (stat.S_IMODE(status.st_mode), content, mtime)
    return found


@pytest.fixture
def work(folder):
    folder.write("a.txt", b"one\ntwo\n")
    folder.write("data/big.bin", os.urandom(2**20 + 17))
    (folder.root / "link").symlink_to("a.txt")
    (folder.root / "run.sh").write_bytes(b"")
    (folder.root / "run.sh").chmod(0o750)
    with (folder.root / "sparse").open("wb") as file:
        file.truncate(8 * 2**20)
    (folder.root / "empty").mkdir()
    return folder


def test_a_round_trip_through_the_commands_alone(work, tmp_path):
    before = facts(work.root)
    first = as_json(work, "snapshot")
    assert set(first) == {
        *("commit", "files", "new_bytes", "consistency", "runs"),
        *("left_out_count", "unreadable_count", "left_out"),
    }
    assert (first["files"], first["consistency"]) == (6, "stable")
    work.write("a.txt", b"three\n")
    (work.root / "link").unlink()
    second = as_json(work, "snapshot")
    assert 0 < second["new_bytes"] < 4096
    target = tmp_path / "target"
    written = as_json(work, "checkout", first["commit"], "--to", str(target))
    assert (written["files"], written["problems"]) == (6, [])
    assert facts(target) == before
    assert (target / "sparse").stat().st_blocks == 0


@pytest.mark.parametrize("alive", [False, True])
def test_what_is_left_out_is_named_and_everything_else_is_saved(work, alive):
    for number in range(12):
        os.mkfifo(work.root / f"fifo{number:02}")
    if alive:
        work.start()
    said = work.command("snapshot")
    assert said.returncode == 0
    assert "Committed" in said.stdout
    assert said.stderr.count("fifo") == 10
    assert "12 paths left out" in said.stderr
    assert "and 2 more" in said.stderr
    taken = as_json(work, "snapshot")
    assert (taken["files"], taken["left_out_count"]) == (6, 12)
    assert [one["path"] for one in taken["left_out"]] == [f"fifo{number:02}" for number in range(12)]


def test_a_file_that_may_not_be_read_is_named_by_the_exit_status_too(work):
    """As root without the capabilities that let root read everything (capabilities(7))."""
    (work.root / "secret").write_bytes(b"x")
    (work.root / "secret").chmod(0)
    (work.root / "closed").mkdir(mode=0)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    said = work.command("snapshot", "--json", under=powerless)
    (work.root / "closed").chmod(0o700)
    assert said.returncode == 3, said.stderr
    taken = json.loads(said.stdout)
    assert (taken["files"], taken["left_out_count"], taken["unreadable_count"]) == (6, 2, 2)
    assert {one["path"]: one["reason"] for one in taken["left_out"]} == {
        "closed": "cannot be read: Permission denied",
        "secret": "cannot be read: Permission denied",
    }


def test_in_place_and_back_again(work):
    first, before = as_json(work, "snapshot")["commit"], facts(work.root)
    work.write("a.txt", b"changed\n")
    work.write("new/file", b"1")
    (work.root / "data" / "big.bin").unlink()
    (work.root / "link").unlink()
    (work.root / "link").mkdir()
    changed = facts(work.root)
    done = as_json(work, "checkout", first, "--in-place")
    assert (facts(work.root), done["problems"]) == (before, [])
    as_json(work, "checkout", done["saved"], "--in-place")
    assert facts(work.root) == changed


def test_in_place_leaves_what_snapshots_leave_out(work):
    first = as_json(work, "snapshot")["commit"]
    work.write("new/.env", b"SECRET=1")
    work.write("new/file", b"1")
    as_json(work, "checkout", first, "--in-place")
    assert [path.name for path in (work.root / "new").iterdir()] == [".env"]


def test_in_place_in_a_read_only_folder(work):
    """As root without the capabilities that let root write everywhere, where tests run as root."""
    (work.root / "data").chmod(0o555)
    first, before = as_json(work, "snapshot")["commit"], facts(work.root)
    (work.root / "data").chmod(0o755)
    work.write("data/new", b"1")
    (work.root / "data" / "big.bin").unlink()
    (work.root / "data").chmod(0o555)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = work.command("checkout", first, "--in-place", "--json", under=powerless)
    assert (json.loads(done.stdout)["problems"], done.returncode) == ([], 0)
    assert facts(work.root) == before


def test_in_place_refuses_before_the_first_change(work):
    first = as_json(work, "snapshot")["commit"]
    work.write("a.txt", b"changed")
    work.write("run.sh", b"mine")
    with (work.root / ".dotscienceignore").open("a") as file:
        file.write("\nrun.sh\n")
    before = facts(work.root)
    said = refusal(work, "checkout", first, "--in-place")
    assert "nothing was changed: 'run.sh' is not in snapshots, and would be overwritten" in said
    assert facts(work.root) == before
    assert as_json(work, "restore", "--from", first, "a.txt")["problems"] == []


@pytest.mark.parametrize("alive", [False, True])
def test_an_interrupted_checkout_is_shown_until_it_is_finished_or_undone(work, alive):
    first = as_json(work, "snapshot")["commit"]
    plan = Plan(commit="d" * 64, paths=[""], saved=first)
    with open_in_place(work.root / ".dotscience") as begun:
        begun.begin(plan)
        assert as_json(work, "status")["problems"] == []
    if alive:
        work.start()
    (problem,) = as_json(work, "status")["problems"]
    assert (problem["type"], first[:12] in problem["hint"]) == ("checkout-interrupted", True)
    done = as_json(work, "checkout", first, "--in-place")
    assert done["interrupted"] == {"commit": plan.commit, "saved": first}
    assert as_json(work, "status")["problems"] == []
    assert as_json(work, "checkout", first, "--in-place")["interrupted"] is None


def test_a_file_is_brought_back(work):
    work.command("snapshot")
    (work.root / "a.txt").unlink()
    work.write("run.sh", b"spoilt")
    done = work.command("restore", "a.txt")
    assert done.returncode == 0
    assert "To undo: ds checkout" in done.stdout
    assert (work.root / "a.txt").read_bytes() == b"one\ntwo\n"
    assert (work.root / "run.sh").read_bytes() == b"spoilt"


def test_paths_are_relative_to_the_working_directory(work):
    work.command("snapshot")
    (work.root / "data" / "big.bin").unlink()
    assert work.command("restore", "big.bin", cwd=work.root / "data").returncode == 0
    assert (work.root / "data" / "big.bin").exists()
    assert "not in the workspace" in refusal(work, "restore", "../a.txt")


def test_the_log_is_paged(work):
    for number in range(5):
        work.write("n", b"%d" % number)
        work.command("snapshot", "-m", f"number {number}")
    page = as_json(work, "log", "-n", "2")
    assert [one["message"] for one in page["commits"]] == ["number 4", "number 3"]
    page = as_json(work, "log", "-n", "9", "--before", page["next_before"])
    assert ([one["message"] for one in page["commits"]], page["next_before"]) == (
        ["number 2", "number 1", "number 0"],
        None,
    )
    work.command("snapshot", "-m", "nothing changed")
    changing = as_json(work, "log", "n")
    assert [one["message"] for one in changing["commits"]] == [f"number {number}" for number in (4, 3, 2, 1, 0)]
    assert "number 4" in work.command("log").stdout


def test_before_the_first_commit_the_commands_say_so(folder):
    assert folder.command("log").stdout.endswith("ds snapshot` makes one.\n")
    assert as_json(folder, "log") == {"commits": [], "next_before": None}
    assert folder.command("snapshot").returncode == 0
    found = as_json(folder, "diff")
    assert (found["before"], [one["change"] for one in found["files"]]) == (None, ["added"])


def test_before_the_first_commit_there_is_nothing_to_bring_back(folder):
    for arguments in (("diff",), ("checkout", "HEAD", "--to", "x"), ("restore", "a")):
        assert "ds snapshot` makes one" in refusal(folder, *arguments)


def test_names_of_commits(work, make_record):
    first = as_json(work, "snapshot")["commit"]
    run = work.publish(make_record())
    second = as_json(work, "snapshot", "-m", "second")
    assert second["runs"] == [run.run_id]

    def means(name):
        return as_json(work, "diff", name, name)["before"]

    assert {means(name) for name in ("HEAD", second["commit"], second["commit"][:8], run.run_id, run.run_id[:8])} == {
        second["commit"]
    }
    assert means("HEAD~1") == means(f"{run.run_id}~") == first
    assert "before the first commit" in refusal(work, "diff", "HEAD~2")
    for name in ("zzzz", "abc", "", "../x", "HEAD~x", "0" * 64):
        assert "commit" in refusal(work, "checkout", name, "--to", "t")
    assert not (work.root / "t").exists()


def test_differences(work):
    work.save_notebook("a.ipynb", cells=1)
    first = as_json(work, "snapshot")["commit"]
    work.write("a.txt", b"one\nTWO\n")
    work.write("evil\x1b[31m", b"1")
    work.save_notebook("a.ipynb", cells=2)
    (work.root / "run.sh").chmod(0o700)
    work.command("snapshot")
    found = as_json(work, "diff")
    kinds = {one["path"]: one["change"] for one in found["files"]}
    assert kinds == {"a.ipynb": "changed", "a.txt": "changed", "evil\x1b[31m": "added", "run.sh": "attributes"}
    cells = next(one["cells"] for one in found["files"] if "cells" in one)
    assert [(one["kind"], one["after"]) for one in cells] == [("added", 1)]
    text = work.command("diff", first).stdout
    assert "-two" in text
    assert "+TWO" in text
    assert "mode 750 → 700" in text
    assert "added code cell 2" in text
    assert "\x1b[31m" not in text
    assert work.command("diff", first, "HEAD", "data").stdout.startswith("No difference")


def test_a_notebook_that_is_expensive_to_compare_is_only_said_to_differ(work):
    lines = [f"{number}\n" for number in range(100)] * 1_000
    for source in (lines, sorted(lines)):
        work.write("costly.ipynb", json.dumps({"cells": [{"id": "x", "source": source}]}).encode())
        work.command("snapshot")
    assert "the contents differ; there is too much to compare" in work.command("diff").stdout
    (found,) = as_json(work, "diff")["files"]
    assert (found["change"], "cells" in found) == ("changed", False)


def test_a_folder_that_must_not_be_written(work, tmp_path):
    work.command("snapshot")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_bytes(b"1")
    assert "not empty" in refusal(work, "checkout", "HEAD", "--to", str(tmp_path / "full"))
    assert "tracked folder" in refusal(work, "checkout", "HEAD", "--to", str(work.root))
    assert "say where to" in refusal(work, "checkout", "HEAD")
    assert "say where to" in refusal(work, "checkout", "HEAD", "--in-place", "--to", "x")
    assert "is not in" in refusal(work, "checkout", "HEAD", "no/such", "--to", str(tmp_path / "new"))
    assert "is not in" in refusal(work, "restore", "no/such")
    assert len(as_json(work, "log")["commits"]) == 1


def test_what_is_of_another_kind_gives_way_on_request(work, tmp_path):
    """As root without the capabilities that let root write everywhere, where tests run as root."""
    work.command("snapshot")
    target, outside = tmp_path / "target", tmp_path / "outside"
    outside.mkdir()
    (target / "a.txt" / "closed").mkdir(parents=True)
    (target / "a.txt" / "closed" / "mine").write_bytes(b"1")
    (target / "a.txt" / "closed").chmod(0o555)
    (target / "empty").write_bytes(b"a file")
    (target / "data").symlink_to(outside)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = work.command("checkout", "HEAD", "--to", str(target), "--force", "--json", under=powerless)
    assert (json.loads(done.stdout)["problems"], done.returncode) == ([], 0)
    assert facts(target) == facts(work.root)
    assert list(outside.iterdir()) == []


def test_damage_is_told(work):
    as_json(work, "snapshot")
    assert as_json(work, "verify", "--read-data")["damage"] == []
    pack = next(path for path in (work.root / ".dotscience/store/packs").glob("*/*") if path.is_file())
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(bytes(data))
    done = work.command("verify", "--read-data")
    assert done.returncode == 1
    assert f"pack {pack.name}" in done.stderr


def test_the_commands_work_beside_a_committer(work, tmp_path):
    work.start()
    first = work.until(lambda status: status["head"])["head"]
    work.write("a.txt", b"changed")
    second = as_json(work, "snapshot", "-m", "by the committer")["commit"]
    assert as_json(work, "diff", first, second)["files"][0]["path"] == "a.txt"
    assert as_json(work, "restore", "--from", first, "a.txt")["files"] == 1
    assert (work.root / "a.txt").read_bytes() == b"one\ntwo\n"
    assert as_json(work, "verify")["damage"] == []


def checks(folder):
    return {one["name"]: one for one in as_json(folder, "doctor")["checks"]}


def test_the_doctor_says_how_snapshots_are_taken_and_why(work):
    alone = checks(work)
    assert alone["committer"]["detail"] == "none runs"
    assert alone["change source"]["detail"].startswith(("watch: ", "reflink: ", "zfs: "))
    assert "is not on ZFS" in alone["zfs"]["detail"]
    work.start()
    work.until(lambda status: status["head"])
    beside = checks(work)
    assert beside["committer"]["state"] == "ok"
    assert beside["change source"] == alone["change source"]
    states = {name: one["state"] for name, one in alone.items()}  # not the details: other programs use the disk, too
    assert {name: one["state"] for name, one in beside.items()} == states | {"committer": "ok"}
    assert "not in use" in work.command("doctor").stdout


def test_the_doctor_says_what_would_be_watched(work):
    work.start(watch="poll", change_source="stat")
    assert checks(work)["watching"]["state"] == "hint"


def test_a_change_source_that_cannot_be_had_is_refused_with_the_reason(work):
    work.write(".dotscience/config.toml", b'[committer]\nchange_source = "zfs"\n')
    said = refusal(work, "snapshot")
    assert "change_source 'zfs' cannot be used here" in said
    assert "is not on ZFS" in said
    done = work.command("doctor")
    assert done.returncode == 1
    assert "PROBLEM change source" in done.stdout
