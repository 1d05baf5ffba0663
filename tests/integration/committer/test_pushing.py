"""From a local commit to the hub: exactly once, whatever is killed, down, restored or moved meanwhile."""

from __future__ import annotations

import os
import subprocess

import pytest
from support.committer import DS, PATIENCE_S

from committer.storage.objects import decode_commit
from dotscience.client import credentials

TERMINAL = {"TERM": "xterm", "COLUMNS": "100"}


def test_everything_arrives_and_nothing_is_sent_twice(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.start()
    run = folder.publish(make_record())
    status = folder.until_pushed(runs=1)
    assert hub.hub.runs == [run.run_id]
    assert hub.hub.branches == {"main": status["head"]}
    assert status["hub"]["reachable"] is True
    assert status["message"] == "Everything is pushed"
    sent = hub.hub.put_packs
    entry = folder.committed()[run.run_id]
    assert entry["state"] == "pushed"
    assert entry["hub_url"] == f"{hub.url}/p/p1/runs/{run.run_id}"
    folder.stop()
    folder.start()
    folder.until(lambda status: status["state"] == "pushed" and status["hub"]["reachable"])
    assert hub.hub.put_packs == sent


def test_a_hub_that_is_down_is_said_to_be_and_gets_everything_later(make_folder, hub, make_record):
    hub.down()
    folder = make_folder(hub=hub)
    folder.start()
    runs = [folder.publish(make_record()) for _ in range(3)]
    folder.until_committed(*(run.run_id for run in runs))
    status = folder.until(lambda status: status["state"] == "unreachable" and status["unpushed"])
    assert status["hub"]["unreachable_since"] is not None
    assert "kept here" in status["message"]
    hub.up()
    folder.client.push()
    folder.until_pushed()
    assert sorted(hub.hub.runs) == sorted(run.run_id for run in runs)


def test_a_hub_whose_disk_is_full_is_said_to_be_and_gets_everything_later(make_folder, hub, make_record):
    hub.hub.is_full = True
    folder = make_folder(hub=hub)
    folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    status = folder.until(lambda status: status["state"] == "error")
    assert (status["error"]["type"], status["hub"]["reachable"]) == ("hub-full", True)
    assert "disk is full" in status["message"]
    hub.hub.is_full = False
    folder.client.push()
    folder.until_pushed()
    assert hub.hub.runs == [run.run_id]


def test_kill_between_local_commit_and_push(make_folder, hub, make_record):
    hub.hub.refuse_commits = True
    folder = make_folder(hub=hub)
    folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    folder.kill()
    assert hub.hub.runs == []
    hub.hub.refuse_commits = False
    folder.start()
    folder.until_pushed()
    assert hub.hub.runs == [run.run_id]
    assert set(folder.committed()) == {run.run_id}


def test_kill_between_notice_and_commit(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.start(publish_grace_s="600")
    run = folder.publish(make_record("a.ipynb"))
    folder.until(lambda status: status["pending_runs"] == 1)
    folder.kill()
    folder.start()
    found = folder.until_committed(run.run_id)
    assert found[run.run_id]["record"]["notebook_stale"] is True


def test_a_lost_answer_does_not_push_a_commit_twice(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    hub.hub.refuse_commits = True
    folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    head = folder.client.status()["head"]
    folder.until(lambda _: bytes.fromhex(head) in hub.hub.objects)
    folder.kill()
    # The hub took everything, but the committer died before it heard so.
    hub.hub.refuse_commits = False
    for commit in _history(hub, head):
        hub.hub.accept(commit)
    hub.hub.branches["main"] = head
    folder.start()
    folder.until_pushed()
    assert hub.hub.runs == [run.run_id]
    assert hub.hub.branches == {"main": head}


def _history(hub, head):
    commits = []
    while head:
        commits.append(head)
        parents = decode_commit(hub.hub.objects[bytes.fromhex(head)][1]).parents
        head = parents[0].hex() if parents else None
    return commits[::-1]


def test_what_a_restored_hub_lost_is_pushed_again(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.start()
    first = folder.publish(make_record())
    folder.until_pushed(runs=1)
    backup = hub.hub.forget()
    second = folder.publish(make_record())
    folder.until_pushed(runs=2)
    hub.hub.restore(backup)
    folder.client.push()
    folder.until(lambda _: hub.hub.runs == [first.run_id, second.run_id])


def test_what_the_hub_finds_damaged_is_sent_again_without_a_new_commit(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    process = folder.start()
    folder.publish(make_record())
    folder.until_pushed(runs=1)
    packs = hub.hub.put_packs
    hub.hub.damaged = {bytes.fromhex(folder.client.status()["head"]), bytes(32)}
    hub.hub.epoch = "2"
    folder.client.push()
    process.wait_for_log("hub.mended")
    assert hub.hub.damaged == {bytes(32)}, "what nobody has stays damaged"
    assert hub.hub.put_packs == packs + 1


def test_packs_that_the_hub_collected_are_sent_again(make_folder, hub, make_record):
    hub.hub.refuse_commits = True
    folder = make_folder(hub=hub)
    process = folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    process.wait_for_log("pack.pushed")
    hub.hub.objects.clear()
    hub.hub.epoch = "2"
    hub.hub.refuse_commits = False
    folder.client.push()
    folder.until_pushed()
    assert hub.hub.runs == [run.run_id]


def test_objects_that_the_hub_misses_although_it_took_them_are_sent_again(make_folder, hub, make_record):
    hub.hub.refuse_commits = True
    folder = make_folder(hub=hub)
    process = folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    process.wait_for_log("pack.pushed")
    folder.until(lambda status: status["state"] == "unreachable")
    hub.hub.objects.clear()
    hub.hub.refuse_commits = False
    folder.client.push()
    folder.until_pushed()
    assert hub.hub.runs == [run.run_id]


def test_a_moved_head_becomes_a_fork_and_no_work_is_lost(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.start()
    first = folder.publish(make_record())
    folder.until_pushed(runs=1)
    hub.hub.branches["main"] = "ab" * 32
    second = folder.publish(make_record())
    status = folder.until_pushed(runs=2)
    third = folder.publish(make_record())
    status = folder.until_pushed(runs=3)
    (fork,) = set(hub.hub.branches) - {"main"}
    assert fork.startswith("main~fork-")
    assert fork.endswith("-1")
    assert hub.hub.branches == {"main": "ab" * 32, fork: status["head"]}
    assert hub.hub.runs == [first.run_id, second.run_id, third.run_id]


def test_a_wrong_token_is_an_error_that_says_what_to_do_and_work_goes_on(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    credentials.save(hub.url, "p1", "ds_wrong_token")
    folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    status = folder.until(lambda status: status["state"] == "error")
    assert status["error"]["type"] == "hub-unauthenticated"
    assert "token" in status["error"]["hint"]
    assert "ds_wrong_token" not in str(status)
    credentials.save(hub.url, "p1", hub.hub.token)
    folder.client.push()
    folder.until(lambda status: status["state"] == "pushed" and status["error"] is None)
    assert hub.hub.runs == [run.run_id]


def test_another_hub_gets_the_whole_history(make_folder, make_hub, make_record):
    first_hub, second_hub = make_hub(), make_hub()
    folder = make_folder(hub=first_hub)
    folder.start()
    runs = [folder.publish(make_record()).run_id]
    folder.until_pushed(runs=1)
    folder.bind(second_hub, project_id="p2")
    runs.append(folder.publish(make_record()).run_id)
    folder.until(lambda _: second_hub.hub.runs == runs)


def test_a_save_and_push_has_a_description_and_takes_what_is_pending(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.start(publish_grace_s="600")
    folder.until(lambda status: status["head"])
    run = folder.publish(make_record("a.ipynb"))
    folder.until(lambda status: status["pending_runs"] == 1)
    taken = folder.client.commit("cleaned the labels")
    assert taken["runs"] == [run.run_id]
    assert taken["consistency"] == "stable"
    folder.until(lambda status: status["state"] == "pushed" and status["head"] == taken["commit"])
    assert decode_commit(hub.hub.objects[bytes.fromhex(taken["commit"])][1]).message == "cleaned the labels"


def test_a_push_says_how_many_bytes_of_how_many_are_sent(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.write("data", os.urandom(300_000))
    with hub.holding_packs():
        folder.start(upload_concurrency="1")
        status = folder.until(lambda status: status["state"] == "pushing" and status["push_bytes_done"] > 300_000)
        assert status["push_bytes_total"] == status["push_bytes_done"]
        assert status["message"].startswith("Pushing commit 1 of 1 (29")
    status = folder.until_pushed()
    assert (status["push_bytes_done"], status["push_bytes_total"]) == (0, 0)


@pytest.mark.parametrize("has_committer", [True, False])
def test_a_commit_shows_on_a_terminal_how_far_its_push_is(make_folder, hub, has_committer):
    folder = make_folder(hub=hub)
    if has_committer:
        folder.start()
        folder.until_pushed()
    folder.write("data", os.urandom(300_000))
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with hub.holding_packs():
            command = subprocess.Popen(
                [*DS, "commit", "-m", "data"], cwd=folder.root, env=folder.environment | TERMINAL, stderr=theirs
            )
            os.close(theirs)
            shown = read_until(terminal, b"Pushing")
        shown += read_until(terminal, None)
    assert command.wait(PATIENCE_S) == 0
    assert b"not pushed yet" not in shown
    assert hub.hub.branches["main"]


def read_until(terminal, wanted):
    """What is written to a terminal until something shows, or until it is closed."""
    shown = b""
    while wanted is None or wanted not in shown:
        try:
            shown += terminal.read(1_000)
        except OSError:  # nobody can write to it any more: pty(7) has EIO for that
            assert wanted is None, shown
            return shown
    return shown


def test_a_run_that_the_hub_refuses_is_named_and_holds_up_nothing(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    folder.start()
    refused = make_record()
    hub.hub.refused_runs = {refused.run_id: "its record is too large"}
    folder.publish(refused)
    status = folder.until_pushed(runs=1)
    hub.hub.refused_runs = {}
    assert status["error"]["type"] == "runs-refused"
    assert refused.run_id in status["error"]["detail"]
    after = folder.publish(make_record())
    status = folder.until_pushed(runs=2)
    assert status["state"] == "pushed"
    assert refused.run_id in folder.command("status").stdout
    entries = folder.committed()
    assert entries[after.run_id]["state"] == "pushed"
    assert entries[refused.run_id]["hub_url"] is None
    assert "the hub does not take this run: its record is too large" in entries[refused.run_id]["record"]["warnings"]
    folder.stop()
    folder.start()
    assert folder.until(lambda status: status["state"] == "pushed")["error"]["type"] == "runs-refused"


def test_records_that_no_commit_can_hold_go_into_several(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    runs = [folder.publish(make_record(parameters={"v": "x" * 3_900_000})) for _ in range(18)]
    folder.start()
    folder.until_pushed(runs=18)
    entries = folder.committed()
    assert len({entries[run.run_id]["commit"] for run in runs}) == 2
    assert sorted(hub.hub.runs) == sorted(run.run_id for run in runs)
