"""Which folder is which: moved ones go on, copied ones do not, and each has one committer."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import msgspec
import pytest

from dotscience.client.committer import CommitterClient, read_endpoint
from dotscience.record import FileRef, Place
from dotscience.workspace import read_project


def test_a_folder_that_was_renamed_while_nothing_ran_goes_on(make_folder, make_record, tmp_path):
    folder = make_folder("before")
    folder.start()
    first = folder.publish(make_record())
    folder.until_committed(first.run_id)
    folder.stop()
    folder.root.rename(tmp_path / "after")
    folder.root = tmp_path / "after"
    folder.start()
    second = folder.publish(make_record())
    assert set(folder.until_committed(second.run_id)) == {first.run_id, second.run_id}


def test_a_folder_that_is_renamed_under_a_committer_goes_on(make_folder, make_record, tmp_path):
    folder = make_folder("before")
    process = folder.start()
    first = folder.publish(make_record())
    folder.until_committed(first.run_id)
    seen = len(process.log)
    folder.root.rename(tmp_path / "after")
    folder.root = tmp_path / "after"
    assert process.wait_for_log("committer.started", after=seen)["root"] == str(folder.root)
    second = folder.publish(make_record())
    assert set(folder.until_committed(second.run_id)) == {first.run_id, second.run_id}


def test_a_copy_refuses_to_commit_until_it_has_its_own_dot(make_folder, make_record, tmp_path):
    folder = make_folder("original")
    folder.start()
    first = folder.publish(make_record())
    folder.until_committed(first.run_id)
    folder.stop()
    shutil.copytree(folder.root, tmp_path / "copy")
    copy = make_folder("copy", init=False)
    process = copy.start()
    run = copy.publish(make_record())
    status = copy.until(lambda status: status["error"] and status["pending_runs"] == 1)
    assert status["error"]["type"] == "copied-workspace"
    with pytest.raises(Exception, match="new-dot-id"):
        copy.client.commit("no")
    seen = len(process.log)
    assert copy.command("init", "--new-dot-id").returncode == 0
    process.wait_for_log("committer.started", after=seen)
    assert set(copy.until_committed(run.run_id)) == {run.run_id}
    assert copy.workspace.dot_id != folder.workspace.dot_id
    assert list(copy.workspace.state_dir.glob("store-of-*"))
    folder.start()
    assert set(folder.committed()) == {first.run_id}


def test_a_root_has_one_committer(folder):
    folder.start()
    second = folder.command("committer")
    assert second.returncode != 0
    assert "already has a committer" in second.stderr
    folder.kill()
    folder.start()  # the lock of a killed holder is free


def test_the_socket_is_private_and_goes_away_with_the_committer(folder):
    folder.start()
    path = Path(read_endpoint(folder.root).socket)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert folder.stop() == 0
    assert not path.exists()
    assert not (folder.workspace.state_dir / "committer.json").exists()


def test_shutdown_ends_the_process_and_the_feed(folder):
    process = folder.start()
    events = folder.client.events(timeout_s=30)
    assert next(events)["type"] == "status"
    folder.client.shutdown()
    process.wait_for_log("committer.stopped")
    assert all(event["type"] == "status" for event in events)
    assert folder.stop() == 0


def test_a_reader_of_the_feed_may_go_away(folder):
    process = folder.start()
    events = folder.client.events(timeout_s=30)
    assert next(events)["type"] == "status"
    events.close()
    for number in range(3):
        folder.write("data", str(number).encode())
        folder.client.commit("more to tell")
    assert folder.stop() == 0
    assert [entry for entry in process.log if entry.get("level") == "error"] == []


@pytest.mark.parametrize(
    "headers",
    ["Host: evil.example", "Host: committer\r\nOrigin: http://evil.example", "Host: 127.0.0.1:8888"],
)
def test_what_a_browser_would_send_is_refused(folder, headers):
    folder.start()
    assert " 403 " in _raw(folder, f"GET /v1/status HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        ("POST /v1/commits", '{"description": 7}', 400),
        ("POST /v1/commits", "{nonsense", 400),
        ("POST /v1/commits", json.dumps({"description": "x" * 20_000}), 400),
        ("GET /v1/runs?limit=many", "", 400),
        ("GET /v1/runs?before=-1", "", 400),
        ("GET /v1/runs/..%2F..%2Fetc", "", 404),
        ("GET /v1/nothing", "", 404),
        ("DELETE /v1/status", "", 405),
    ],
)
def test_bad_requests_get_problem_documents(folder, request_line, body, status):
    folder.start()
    answer = _raw(
        folder,
        f"{request_line} HTTP/1.1\r\nHost: committer\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}",
    )
    head, _, document = answer.partition("\r\n\r\n")
    assert f" {status} " in head.splitlines()[0]
    assert "application/problem+json" in head
    assert json.loads(document)["status"] == status


def test_a_nudge_outside_of_the_workspace_is_ignored(folder, make_record, make_notebook, tmp_path):
    folder.start()
    (tmp_path / "outside.ipynb").write_bytes(make_notebook(make_record()))
    for path in (str(tmp_path / "outside.ipynb"), "../outside.ipynb", "/etc/passwd", "a\0b.ipynb"):
        folder.client.nudge(path)
    run = folder.publish(make_record())
    assert set(folder.until_committed(run.run_id)) == {run.run_id}
    assert len(folder.runs()) == 1


def test_a_forged_sidecar_cannot_reach_out_of_the_workspace(folder, make_record):
    folder.start()
    forged = msgspec.structs.replace(
        make_record(inputs=[FileRef(path="../../etc/passwd"), FileRef(path="/etc/passwd")], environment="../../x"),
        place=Place(notebook="../../a.ipynb"),
    )
    folder.publish(forged)
    found = folder.until_committed(forged.run_id)[forged.run_id]
    assert all("content_hash" not in file for file in found["record"]["inputs"])
    assert found["notebook"] is None


def _raw(folder, request: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(read_endpoint(folder.root).socket)
        connection.sendall(request.encode())
        parts = iter(lambda: connection.recv(65536), b"")
        return b"".join(parts).decode()


def test_commands_work_without_a_committer(folder, make_record):
    run = folder.publish(make_record())
    saved = folder.command("commit", "-m", "by hand", "--json")
    assert saved.returncode == 0, saved.stderr
    assert json.loads(saved.stdout)["runs"] == [run.run_id]
    status = json.loads(folder.command("status", "--json").stdout)
    assert status["runs"] == 1
    assert status["unpushed"] == 1
    assert "No committer runs" in status["message"]


def test_commands_use_a_living_committer(folder, make_record):
    folder.start()
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    assert folder.command("commit", "-m", "by hand").stdout.startswith("Committed ")
    assert "Watching" in folder.command("status").stdout


def test_commit_without_a_committer_also_pushes(make_folder, hub, make_record):
    folder = make_folder(hub=hub)
    run = folder.publish(make_record())
    saved = folder.command("commit", "-m", "by hand")
    assert saved.returncode == 0, saved.stderr
    assert hub.hub.runs == [run.run_id]


def test_init_refuses_home_and_system_folders(make_folder, environment):
    folder = make_folder("home", init=False)
    environment["HOME"] = str(folder.root)
    for place in (str(folder.root), str(folder.root.parent), "/", "/usr", "/etc/ssl"):
        refused = folder.command("init", place)
        assert refused.returncode != 0
        assert "--force" in refused.stderr
    assert not (folder.root / ".dotscience").exists()
    assert folder.command("init", str(folder.root), "--force").returncode == 0
    assert read_project(folder.root).hub is None


def test_init_is_idempotent_and_says_what_it_made(make_folder):
    folder = make_folder(init=False)
    first = json.loads(folder.command("init", "--json").stdout)
    again = json.loads(folder.command("init", "--json").stdout)
    assert first == again
    assert (folder.workspace.state_dir.stat().st_mode & 0o777) == 0o700
    assert (folder.root / ".dotscienceignore").read_text().startswith("#")
    assert CommitterClient(folder.root).root == folder.root


def test_init_says_what_is_next_unless_told_not_to(make_folder):
    folder = make_folder(init=False)
    assert "Next:" in folder.command("init").stdout
    again = folder.command("init", "--no-next")
    assert "Tracking" in again.stdout
    assert "Next:" not in again.stdout


def test_init_refuses_what_is_no_address_of_a_hub_before_it_writes_anything(make_folder):
    folder = make_folder(init=False)
    for address in ("hub.example.com", "ftp://hub", "https://alice:s3cret@hub"):
        refused = folder.command("init", "--hub", address, stdin="token\n")
        assert refused.returncode == 2
        assert "an address like https://hub.example.com:8800" in refused.stderr
        assert "s3cret" not in refused.stderr
    assert not (folder.root / ".dotscience").exists()


def test_init_previews_without_tracking(make_folder):
    folder = make_folder(init=False)
    folder.write("data.csv", b"1,2\n")
    found = json.loads(folder.command("init", "--preview", "--json").stdout)
    assert found == {"root": str(folder.root), "files": 1, "size": 4, "more": False, "refused": None}
    assert "1 file, 4 B" in folder.command("init", "--preview").stdout
    assert not (folder.root / ".dotscience").exists()


def test_an_unknown_setting_names_the_nearest_valid_one(folder):
    (folder.workspace.state_dir / "config.toml").write_text("[committer]\ndebounce = 1\n")
    refused = folder.command("committer")
    assert refused.returncode != 0
    assert "debounce_s" in refused.stderr
