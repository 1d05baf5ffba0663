"""The hub as a process: its lock, its files, its end, and kill -9 in the middle of a push."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
import requests
from support.hub_command import HubProcess, hub_command


@pytest.fixture
def start(tmp_path):
    started = []

    def run(*arguments):
        started.append(HubProcess(tmp_path / "hub", *arguments))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_hub_says_where_it_is_to_its_own_user_only(start):
    hub = start()
    written = json.loads((hub.data / "hub.json").read_text())
    assert (written["url"], written["pid"]) == (hub.url, hub.process.pid)
    assert mode(hub.data) == 0o700
    files = {path.name for path in hub.data.iterdir() if path.is_file()}
    assert {"hub.db", "hub.db-wal", "hub.json", "admin.token"} <= files
    assert {mode(hub.data / name) for name in files} == {0o600}
    assert hub.admin not in hub.line


def test_the_first_start_signs_its_owner_in_once(start):
    hub = start()
    said, link = (hub.process.stdout.readline().strip() for _ in range(2))
    assert "within 10 minutes" in said
    address, _, code = link.partition("#code=")
    assert address == f"{hub.url}/login?next=%2Fpassword"
    for status in (201, 401):
        assert requests.post(f"{hub.url}/api/v1/sessions", json={"code": code}, timeout=10).status_code == status
    hub.end()
    again = start()
    again.process.send_signal(signal.SIGTERM)
    assert again.process.communicate(timeout=30)[0] == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start, number):
    hub = start()
    assert requests.get(hub.url + "/healthz", timeout=10).ok
    assert hub.end(number) == 0
    assert not (hub.data / "hub.json").exists()
    assert (hub.data / "admin.token").exists()


def test_one_hub_per_data_folder(start):
    hub = start()
    said = refused(hub.data)
    assert str(hub.process.pid) in said
    assert hub.url in said
    assert requests.get(hub.url + "/healthz", timeout=10).ok


def refused(data):
    """What a hub says that does not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "hub_server", "--data", str(data), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_data_folder_of_a_newer_hub_is_refused_and_left_alone(start):
    hub = start()
    hub.end()
    with closing(sqlite3.connect(hub.data / "hub.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (hub.data / "hub.db").read_bytes()
    assert "newer version" in refused(hub.data)
    assert (hub.data / "hub.db").read_bytes() == before
    assert not (hub.data / "hub.json").exists()


def test_a_database_that_is_none_is_refused(tmp_path):
    (tmp_path / "hub.db").write_bytes(b"this is no database" * 1000)
    assert "hub.db cannot be used" in refused(tmp_path)


def test_a_killed_hub_leaves_no_lock(start):
    start().end(signal.SIGKILL)
    again = start()
    assert requests.get(again.url + "/healthz", timeout=10).ok


def test_an_administrators_token_that_was_deleted_is_revoked(start, connect):
    hub = start()
    old = hub.admin
    hub.end()
    (hub.data / "admin.token").unlink()
    again = start()
    running = connect(again.url, again.data)
    assert again.admin != old
    assert running.request("GET", "/api/v1/session", token=old).status_code == 401
    assert running.call("GET", "/api/v1/tokens")["total"] == 1


def test_commands_go_on_as_another_administrator_where_the_first_is_none_any_more(start, connect):
    hub = start()
    running = connect(hub.url, hub.data)
    first = running.call("GET", "/api/v1/session")["account"]["name"]
    running.new_person("admin")
    running.call("PATCH", f"/api/v1/accounts/{first}", json={"role": "member"})
    hub.end()
    again = start()
    assert (
        "admin"
        in requests.get(
            f"{again.url}/api/v1/session", headers={"Authorization": f"Bearer {again.admin}"}, timeout=10
        ).json()["scopes"]
    )
    assert hub_command(again.data, "gc", "--dry-run").returncode == 0


def test_a_login_link_can_be_printed(start):
    hub = start()
    printed = hub_command(hub.data, "login-link")
    assert printed.stdout.startswith(f"{hub.url}/login#code=")


def test_upkeep_can_be_asked_for(start, connect, new_run):
    hub = start()
    project = connect(hub.url, hub.data).new_project()
    project.push(new_run(), files={"a": b"1"})
    told = hub_command(hub.data, "gc", "--dry-run")
    assert told.returncode == 0
    assert "Would delete 0 unused objects (0 bytes) of 1 projects" in told.stdout
    assert json.loads(hub_command(hub.data, "gc", "--json").stdout)["kept"] == 4
    assert "Read 1 packs" in hub_command(hub.data, "scrub").stdout
    (pack,) = (hub.data / "packs").glob("*/*")
    pack.write_bytes(b"damaged")
    told = hub_command(hub.data, "scrub", "--json")
    assert (told.returncode, json.loads(told.stdout)["damaged"][0]["pack"]) == (1, pack.name)
    told = hub_command(hub.data, "gc")
    assert told.returncode == 1
    assert f"Of project {project.id} nothing was deleted" in told.stdout
    hub.end()
    told = hub_command(hub.data, "gc")
    assert told.returncode != 0
    assert "no hub of yours runs on" in told.stderr


@pytest.fixture
def session(connect, start, new_run, new_pack):
    """A hub process with a project, and a pack with a commit of it."""
    hub = start()
    project = connect(hub.url, hub.data).new_project()
    pack = new_pack()
    files = {f"f{number}": os.urandom(200_000) for number in range(20)}
    record = new_run()
    commit = pack.add_commit(project, (record,), files)
    return hub, project, pack.bytes(), commit, record, files


def send_part(hub, project, data, share):
    """The head and a part of an upload; the connection stays open until the hub dies."""
    from committer.storage.objects import digest

    raw = socket.create_connection(("127.0.0.1", int(hub.url.rpartition(":")[2])), timeout=30)
    head = (
        f"PUT {project.dot}/packs/{digest(data).hex()} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {project.token}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n"
    )
    raw.sendall(head.encode())
    assert raw.recv(100).startswith(b"HTTP/1.1 100")
    raw.sendall(data[: int(len(data) * share)])
    return raw


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_hub_that_ends_finishes_what_has_begun_and_takes_nothing_new(start, session, connect, new_run):
    hub, project, data, commit, record, _ = session
    port = int(hub.url.rpartition(":")[2])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as idle:
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()
        with send_part(hub, project, data, 0.5) as raw:
            hub.process.send_signal(signal.SIGTERM)
            while accepts(port):
                pass
            idle.request("GET", "/api/v1/version")
            with closing(idle.getresponse()) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
                assert json.loads(refused.read())["type"] == "/problems/stopping"
            raw.sendall(data[int(len(data) * 0.5) :])
            with raw.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 201 ")
    hub.process.communicate(timeout=30)
    assert hub.process.returncode == 0
    assert not (hub.data / "hub.json").exists()
    project.hub = connect(start().url, hub.data)
    assert project.post_commit(commit).status_code == 201
    assert [run["id"] for run in project.get("/runs")["items"]] == [record.run_id]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_kill_in_the_middle_of_a_push(start, session, share):
    hub, project, data, commit, record, files = session
    raw = send_part(hub, project, data, share)
    hub.end(signal.SIGKILL)
    raw.close()
    assert_pushed_once_after_restart(start, project, data, commit, record, files)


def test_kill_between_pack_and_commit(start, session):
    hub, project, data, commit, record, files = session
    assert project.put_pack(data).status_code == 201
    hub.end(signal.SIGKILL)
    assert_pushed_once_after_restart(start, project, data, commit, record, files)


def test_kill_right_after_the_answer(start, session):
    hub, project, data, commit, *_ = session
    project.put_pack(data)
    assert project.post_commit(commit).status_code == 201
    hub.end(signal.SIGKILL)
    project.hub.url = start().url
    assert project.get("/runs")["total"] == 1, "what was answered is durable"
    assert project.post_commit(commit).status_code == 200


def assert_pushed_once_after_restart(start, project, data, commit, record, files):
    again = start()
    project.hub.url = again.url
    assert project.get("/runs")["total"] == 0
    assert not list((again.data / "staging").iterdir()), "nothing half is left"
    for _ in range(2):
        assert project.put_pack(data).status_code in (200, 201)
        assert project.post_commit(commit).status_code in (200, 201)
    assert [run["id"] for run in project.get("/runs")["items"]] == [record.run_id]
    for name, content in files.items():
        path = f"{project.base}/commits/{commit}/content?path={name}"
        assert project.hub.request("GET", path, token=project.token).content == content
