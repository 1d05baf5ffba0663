"""Making room: contents that the hub has go from this disk, and nothing else."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from committer.storage.objects import Kind

FIRST = os.urandom(300_000)


def gc(folder, *arguments):
    done = folder.command("gc", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def log(folder):
    """The commits, newest first."""
    return json.loads(folder.command("log", "--json").stdout)["commits"]


def fill(folder, *, commits=3):
    for number in range(commits):
        folder.write("data/file", os.urandom(300_000))
        folder.write(f"data/{number}", b"small")
        folder.client.commit(f"number {number}")


@pytest.fixture
def work(make_folder, hub):
    folder = make_folder(hub=hub)
    folder.start()
    return folder


@pytest.mark.parametrize("alive", [True, False])
def test_only_what_the_hub_has_goes_and_history_stays(work, alive):
    fill(work)
    work.until_pushed()
    if not alive:
        work.stop()
    would = gc(work, "--keep", "0", "--dry-run")
    assert would["packs"] == 2
    dropped = gc(work, "--keep", "0")
    assert dropped["freed"] > 550_000
    assert 300_000 < dropped["size"] < 330_000, "the newest commit's contents stay"
    assert gc(work, "--keep", "0")["packs"] == 0
    assert json.loads(work.command("verify", "--json").stdout)["damage"] == []
    names = json.loads(work.command("diff", "HEAD~1", "HEAD", "--names", "--json").stdout)["files"]
    assert {one["path"] for one in names if one["change"] != "attributes"} == {"data/2", "data/file"}


@pytest.fixture
def emptied(work):
    """A workspace without the contents of its first commits, of which the hub has all; those of the newest stay."""
    fill(work)
    work.until_pushed()
    assert gc(work, "--keep", "0")["freed"] > 0
    return work


def test_what_was_dropped_is_checked_out_from_the_hub(emptied, hub, tmp_path):
    done = emptied.command("checkout", "HEAD~1", "--to", str(tmp_path / "to"))
    assert done.returncode == 0, done.stderr
    assert sum(hub.hub.asked_for) > 0
    emptied.command("restore", "--from", "HEAD~1", "data/file")
    wanted = (emptied.root / "data" / "file").read_bytes()
    assert (tmp_path / "to" / "data" / "file").read_bytes() == wanted


def test_the_newest_commit_stays_whole_without_the_hub(emptied, hub, tmp_path):
    hub.down()
    done = emptied.command("checkout", "HEAD", "--to", str(tmp_path / "to"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "to" / "data" / "file").read_bytes() == (emptied.root / "data" / "file").read_bytes()
    assert (tmp_path / "to" / "data" / "0").read_bytes() == b"small"
    hub.up()


def test_what_is_damaged_here_is_read_from_the_hub(work, hub, tmp_path):
    fill(work)
    work.until_pushed()
    wanted = (work.root / "data" / "file").read_bytes()
    damaged = 0
    for pack in (work.root / ".dotscience" / "store" / "packs").glob("*/*"):
        data = bytearray(pack.read_bytes())
        for at in (data.find(wanted[:1_000]), data.find(wanted[-1_000:])):
            if at >= 0:
                data[at : at + 1_000] = bytes(1_000)
                damaged += 1
        pack.chmod(0o600)
        pack.write_bytes(data)
    assert damaged > 0
    done = work.command("checkout", "HEAD", "--to", str(tmp_path / "to"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "to" / "data" / "file").read_bytes() == wanted
    assert "damaged" in done.stderr
    hub.hub.objects.clear()
    refused = work.command("checkout", "HEAD", "--to", str(tmp_path / "again"))
    assert (refused.returncode, "the hub does not have it" in refused.stderr) == (1, True), refused.stderr


def test_what_was_dropped_is_restored_and_compared_with_the_hub_s_help(emptied):
    now = (emptied.root / "data" / "file").read_bytes()
    restored = emptied.command("restore", "--from", "HEAD~1", "data/file")
    assert restored.returncode == 0, restored.stderr
    assert (emptied.root / "data" / "file").read_bytes() not in (now, b"")
    changed = emptied.command("diff", "HEAD~2", "HEAD~1")
    assert changed.returncode == 0, changed.stderr
    assert "data/file" in changed.stdout


def test_without_the_hub_what_was_dropped_is_said_to_be_there(emptied, hub, tmp_path):
    hub.down()
    refused = emptied.command("checkout", "HEAD~1", "--to", str(tmp_path / "to"))
    assert refused.returncode == 1
    assert "dropped here to make room, and the hub does not give it back: no answer from the hub" in refused.stderr
    hub.up()


def test_what_a_hub_gives_back_is_verified(emptied, hub, tmp_path):
    for name, (kind, data) in hub.hub.objects.items():
        if kind is Kind.BLOB:
            hub.hub.objects[name] = kind, data[:-1] + b"?"
    refused = emptied.command("checkout", "HEAD~1", "--to", str(tmp_path / "to"))
    assert refused.returncode == 1
    assert "holds bytes of another hash" in refused.stderr


def test_what_the_hub_has_lost_is_said_to_be_lost(emptied, hub, tmp_path):
    hub.hub.objects.clear()
    refused = emptied.command("checkout", "HEAD~1", "--to", str(tmp_path / "to"))
    assert refused.returncode == 1
    assert "the hub does not have it" in refused.stderr


def restore_hub(work, hub, backup):
    """Let the hub lose what came since `backup` and be pushed to again; what is said then."""
    head = work.client.status()["head"]
    hub.hub.restore(backup)
    work.client.push()
    return work.until(lambda status: hub.hub.branches.get("main") == head and status["state"] == "pushed")


@pytest.fixture
def backup(work, hub):
    """A backup of the hub from before the first of three commits, of which the contents of two were dropped here."""
    work.until_pushed()
    kept = hub.hub.forget()
    work.write("data/first", FIRST)
    work.client.commit("with what the workspace may have later")
    (work.root / "data" / "first").unlink()
    fill(work, commits=2)
    work.until_pushed()
    assert gc(work, "--keep", "0")["freed"] > 0
    return kept


def test_what_a_restored_hub_lost_and_nobody_has_is_named_and_holds_up_nothing(work, hub, backup, make_record):
    status = restore_hub(work, hub, backup)
    error = status["error"]
    assert error["type"] == "contents-lost"
    assert "1 more commit" in error["detail"]
    lost = {one["id"][:12]: name for one, name in zip(log(work)[1:3], ("data/file", "data/first"), strict=True)}
    commit = next(commit for commit in lost if commit in error["detail"])
    assert lost[commit] in error["detail"]
    assert "data/0" not in error["detail"], "the newest commit has it, so it was sent again"
    run = work.publish(make_record())
    work.until_pushed(runs=1)
    assert hub.hub.runs == [run.run_id]


def test_what_the_workspace_has_still_is_sent_again_from_there(work, hub, backup):
    work.write("data/first", FIRST)
    status = restore_hub(work, hub, backup)
    assert "data/first" not in status["error"]["detail"]
    assert "data/file" in status["error"]["detail"]
    held = b"".join(data for kind, data in hub.hub.objects.values() if kind is Kind.BLOB)
    assert FIRST[:1000] in held
    assert FIRST[-1000:] in held


def test_what_a_dropped_pack_held_is_found_by_its_place(emptied):
    """And not by going through all objects: that is what every batch that is fetched back begins with."""
    connection = sqlite3.connect(emptied.workspace.state_dir / "store" / "index.db")
    query = "SELECT hash FROM object WHERE pack = ? AND position >= ? ORDER BY position LIMIT 9"
    plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", (1, 0)).fetchall()
    connection.close()
    assert len(plan) == 1
    assert "INDEX object_place (pack=? AND position>?)" in plan[0][-1]


def test_what_is_not_pushed_stays(work, hub):
    work.until_pushed()
    hub.down()
    fill(work)
    assert gc(work, "--keep", "0")["packs"] == 0
    hub.up()
    work.client.push()
    work.until_pushed()
    assert gc(work, "--keep", "0")["packs"] > 0


def test_snapshots_and_pushes_go_on_after_it(work):
    fill(work)
    work.until_pushed()
    gc(work, "--keep", "0")
    work.write("data/new", b"new")
    assert work.client.commit("after")["new_bytes"] < 10_000
    work.until_pushed()
    work.kill()
    work.start()
    assert json.loads(work.command("verify", "--json").stdout)["damage"] == []
    assert work.client.commit("again")["new_bytes"] < 10_000


def test_the_committer_does_it_by_itself(make_folder, hub):
    folder = make_folder(hub=hub)
    process = folder.start(local_store_max="1")
    fill(folder)
    process.wait_for_log("store.made_room")
    folder.until_pushed()


def test_without_a_hub_nothing_goes(folder):
    folder.start()
    fill(folder)
    assert "Nothing may go" in folder.command("gc", "--keep", "0").stderr
