"""Several processes that want to save one workspace: each waits its turn, and all succeed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from support.committer import DS, PATIENCE_S

from committer import process
from committer.settings import load_settings
from committer.tenure import hold_root
from dotscience.client.committer import ENDPOINT_FILE
from dotscience.errors import RootIsTaken


def begin(folder, *arguments):
    return subprocess.Popen(
        [*DS, *arguments],
        cwd=folder.root,
        env=folder.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(started):
    """What processes say on stderr; all of them succeed."""
    said = [one.communicate(timeout=PATIENCE_S)[1] for one in started]
    assert [one.returncode for one in started] == [0] * len(started), said
    return said


def messages(folder):
    return sorted(
        line.partition("number ")[2][:1] for line in folder.command("log").stdout.splitlines() if "number" in line
    )


def test_snapshots_at_once_all_succeed(folder):
    folder.write("a", b"1")
    for _ in range(2):
        ends([begin(folder, "snapshot", "-m", f"number {number}") for number in range(3)])
    assert messages(folder) == ["0", "0", "1", "1", "2", "2"]


def test_snapshots_succeed_while_a_committer_starts_and_stops(folder):
    folder.write("a", b"1")
    committer = begin(folder, "committer")
    ends([begin(folder, "snapshot", "-m", "number 0")])
    assert committer.poll() is None
    committer.terminate()
    late = [begin(folder, "snapshot", "-m", f"number {number}") for number in (1, 2)]
    ends(late)
    committer.communicate(timeout=PATIENCE_S)
    assert messages(folder) == ["0", "1", "2"]


def test_a_committer_waits_for_a_snapshot_and_not_for_another_committer(folder):
    """The lock stands for a snapshot that is taken; nobody has announced that it will last."""
    with hold_root(folder.root):
        committer = begin(folder, "committer")
        assert committer.stderr.readline().startswith("Waiting for another process")
    for line in committer.stderr:
        if "committer.started" in line:
            break
    second = folder.command("committer")
    assert (second.returncode, "already has a committer" in second.stderr) == (1, True)
    committer.terminate()
    ends([committer])


def test_a_snapshot_that_takes_long_can_be_asked_and_a_short_one_needs_no_server(folder, make_hub):
    """What takes long is the push to a hub that holds on to a pack."""
    folder.write("a", b"1")
    short = subprocess.run(
        [sys.executable, "-X", "importtime", *DS[1:], "snapshot"],
        cwd=folder.root,
        env=folder.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "tornado" not in short.stderr
    server = make_hub()
    folder.bind(server)
    folder.write("a", b"2")
    with server.holding_packs():
        long = begin(folder, "snapshot")
        until = time.monotonic() + PATIENCE_S
        while not (folder.root / ".dotscience" / ENDPOINT_FILE).exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert folder.client.status()["unpushed"] > 0
    ends([long])


def test_a_snapshot_says_what_it_waits_for(folder):
    with hold_root(folder.root):
        waiting = begin(folder, "snapshot")
        line = waiting.stderr.readline()
        assert line.startswith(f"Waiting for another process, which is the committer of {folder.root}")
        assert waiting.poll() is None
    ends([waiting])


WAITING = {
    "save": lambda *place: process.save(*place, "", lambda *_: None),
    "drop": lambda *place: process.drop_pushed(*place, keep=None, dry_run=True),
}


@pytest.mark.parametrize("command", WAITING)
def test_the_wait_has_an_end_and_a_typed_error(folder, monkeypatch, command):
    monkeypatch.setattr(process, "TURN_PATIENCE_S", 0.3)
    settings = load_settings(folder.root, folder.environment)
    began = time.monotonic()
    with hold_root(folder.root), pytest.raises(RootIsTaken, match="still is after"):
        WAITING[command](folder.workspace, settings)
    assert time.monotonic() - began < 5
