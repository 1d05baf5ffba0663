"""Uploads to `/v2`: large ones, many at once, archives that are refused, and clients that go away."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
import threading
import time
import tracemalloc
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from support.legacy_client import OWNER, LegacyClient, entry, run_metadata, tar
from support.requirements import require_root_and

from committer.storage.tree import EntryKind, TreeEntry
from hub_server.domain.scopes import SCOPES, Caller
from hub_server.domain.types import PushedBy
from hub_server.services import upload_content
from hub_server.services.arrivals import MAX_UPLOAD_BYTES
from hub_server.services.hub_commits import Draft


def files_in(folder):
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def workspace(own_hub):
    return LegacyClient(own_hub).new_workspace()


@pytest.fixture
def staging(own_hub):
    """What uploads have left, once nothing is going on any more."""

    def look():
        deadline = time.monotonic() + 10
        while left := files_in(own_hub.data / "staging"):
            assert time.monotonic() < deadline, left
            time.sleep(0.01)  # what is let go of is removed by a thread that nobody waits for
        return left

    return look


class Upload:
    """A client that sends an upload piece by piece."""

    def __init__(self, workspace, key, size, **headers):
        parts = urlsplit(workspace.hub.url)
        basic = b64encode(f"{OWNER}:{workspace.hub.admin}".encode()).decode()
        lines = [f"PUT {workspace.key(key)} HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Basic {basic}"]
        lines += [f"Content-Length: {size}", *(f"{name}: {value}" for name, value in headers.items())]
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self.send("\r\n".join([*lines, "", ""]).encode())

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        with self.socket.makefile("rb") as file:
            return file.readline()

    def close(self):
        self.socket.close()


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- large and many


def test_a_large_file_passes_through_little_memory(workspace, staging, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        for number in range(256):
            file.write(number.to_bytes(2) * 2**19)
    tracemalloc.start()
    with path.open("rb") as file:
        answer = workspace.put("large.bin", file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 200
    assert peak < 128 * 2**20  # what cutting takes, whatever the file's size
    got = workspace.get("large.bin", stream=True)
    with path.open("rb") as file:
        assert all(piece == file.read(len(piece)) for piece in got.iter_content(2**20))
    assert staging() == []


def test_the_same_file_again_costs_next_to_nothing(workspace, own_hub):
    data = os.urandom(4 * 2**20)
    first = workspace.put("a.bin", data).headers["Snapshot"]
    second = workspace.put("b.bin", data).headers["Snapshot"]
    assert workspace.api(f"/commits/{first}")["new_bytes"] > len(data)
    assert workspace.api(f"/commits/{second}")["new_bytes"] < 4096
    assert workspace.get("b.bin").content == data


def test_a_large_file_in_an_archive_is_cut_like_one_alone(workspace):
    """Content decides about hashes, not the way that it came."""
    data = os.urandom(3 * 2**20)
    workspace.put("alone", data)
    workspace.unpack("d", tar(("before", b"x" * 700), ("packed", data), ("small", b"y" * 300_000)))
    hashes = {
        one["name"]: one["content_hash"]
        for path in ("", "d")
        for one in workspace.api(f"/commits/{head(workspace)}/tree?path={path}")["entries"]
    }
    assert hashes["alone"] == hashes["packed"]
    assert workspace.get("d/small").content == b"y" * 300_000


def head(workspace):
    return workspace.api("")["head"]


def test_many_uploads_at_once_all_arrive(workspace, staging):
    def put(number):
        return workspace.put(f"{number % 5}/{number}.txt", str(number).encode() * 100_000).status_code

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(put, range(36))) == {200}
    assert len(workspace.keys(MaxKeys=100)) == 36
    commits = workspace.api("/commits?limit=200")["items"]
    assert len(commits) == 36
    by_id = {one["id"]: one for one in commits}
    length, at = 0, head(workspace)
    while at is not None:
        length, at = length + 1, next(iter(by_id[at]["parents"]), None)
    assert length == 36
    assert staging() == []


def test_a_commit_waits_for_the_uploads_that_its_caller_began_before(workspace):
    upload = Upload(workspace, "slow.bin", 6)
    upload.send(b"abc")
    wait_for(lambda: not workspace.hub.services.workspaces.deposits.of(workspace.dot_id, credential(workspace)).is_idle)
    run_id = str(uuid4())
    answers = []
    committing = threading.Thread(target=lambda: answers.append(workspace.commit(run_metadata(run_id, ["slow.bin"]))))
    committing.start()
    assert workspace.client.result("Ping") == "pong"
    assert answers == []
    upload.send(b"def")
    upload.close()  # as the original's client does, without a look at the answer
    committing.join(30)
    commit = answers[0]["result"]
    assert workspace.content(commit, "slow.bin") == b"abcdef"
    assert workspace.api(f"/runs/{run_id}")["record"]["outputs"] == [
        {
            "path": "slow.bin",
            "content_hash": workspace.api(f"/runs/{run_id}")["record"]["outputs"][0]["content_hash"],
            "size": 6,
        }
    ]


def credential(workspace):
    return "token:" + workspace.hub.admin.split("_")[1]


def test_a_commit_whose_branch_was_moved_meanwhile_is_made_anew(workspace):
    """As by a committer, who takes no part in the hub's own turns."""
    caller = Caller(account_id="a", account_name=OWNER, scopes=frozenset(SCOPES), is_admin=True)
    services, dot_id, tried = workspace.hub.services, workspace.dot_id, []

    def edit(tree):
        tried.append(tree.find((b"other.txt",)) is not None)
        if len(tried) == 1:
            workspace.put("other.txt", b"1")
        tree.put((b"mine.txt",), TreeEntry(b"", EntryKind.SYMLINK, 0o777, 1, 0, b"x"))
        return ()

    async def work():
        volume = await services.volumes.by_dot(caller, dot_id, "commits:write")
        async with services.workspaces.commits.new_objects(volume.dot) as new:
            pusher = PushedBy(account=OWNER, credential="token:t")
            draft = Draft(message="m", author=OWNER, pushed_by=pusher, edit=edit)
            return await services.workspaces.commits.commit(volume, draft, new)

    made = workspace.hub.on_loop(work())
    assert tried == [False, True]
    assert head(workspace) == made.id.hex()
    tree = workspace.api(f"/commits/{made.id.hex()}/tree")
    assert [one["name"] for one in tree["entries"]] == ["mine.txt", "other.txt"]


# -- broken off


@pytest.mark.parametrize("extract", [{}, {"Extract": "true"}])
def test_an_upload_that_breaks_off_leaves_nothing(workspace, staging, extract):
    upload = Upload(workspace, "a.bin", 8 * 2**20, **extract)
    upload.send(bytes(3 * 2**20))
    wait_for(lambda: files_in(workspace.hub.data / "staging"))
    upload.close()
    assert staging() == []
    assert head(workspace) is None
    error = workspace.commit(run_metadata(str(uuid4()), ["a.bin"]))["error"]
    assert "'a.bin': it broke off; send it again" in error["message"]


def test_a_client_that_stops_to_send_is_let_go_of(workspace, staging, monkeypatch):
    monkeypatch.setattr("hub_server.legacy.handler.IDLE_S", 0.05)
    upload = Upload(workspace, "a.bin", 8 * 2**20)
    upload.send(bytes(3 * 2**20))
    assert upload.answer() == b""
    upload.close()
    assert staging() == []
    error = workspace.commit(run_metadata(str(uuid4()), ["a.bin"]))["error"]
    assert "it broke off" in error["message"]


def test_a_hub_that_stops_in_the_middle_of_an_upload_leaves_nothing(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub") as hub:
        workspace = LegacyClient(hub).new_workspace()
        upload = Upload(workspace, "a.bin", 8 * 2**20)
        upload.send(bytes(3 * 2**20))
        wait_for(lambda: files_in(hub.data / "staging"))
        upload.close()
    with serve_hub(tmp_path / "hub") as hub:
        assert files_in(hub.data / "staging") == []


def test_too_large_is_said_before_anything_is_sent(workspace, staging):
    upload = Upload(workspace, "a.bin", MAX_UPLOAD_BYTES + 1)
    assert b" 413 " in upload.answer()
    upload.close()
    assert staging() == []
    error = workspace.commit(run_metadata(str(uuid4()), ["a.bin"]))["error"]
    assert "413 Too large" in error["message"]


def test_too_large_is_said_where_nothing_was_announced(workspace, staging, monkeypatch):
    monkeypatch.setattr("hub_server.services.arrivals.MAX_UPLOAD_BYTES", 2**20)
    answer = workspace.put("a.bin", iter([bytes(2**20), b"x"]))
    assert answer.status_code == 413
    assert staging() == []
    assert head(workspace) is None


@pytest.fixture
def small_disk(tmp_path):
    """A disk with little room."""
    require_root_and(mount="mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_and_nothing_is_left(small_disk, serve_hub):
    with serve_hub(small_disk / "hub") as hub:
        workspace = LegacyClient(hub).new_workspace()
        answer = workspace.put("a.bin", os.urandom(32 * 2**20))
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/storage-full")
        error = workspace.commit(run_metadata(str(uuid4()), ["a.bin"]))["error"]
        assert "the file 'a.bin': the hub could not store it" in error["message"]
        answer = workspace.put("a.bin", os.urandom(12 * 2**20))  # there is no room for it and its copy in a pack
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/storage-full")
        wait_for(lambda: not files_in(hub.data / "staging"))
        assert workspace.put("a.bin", b"x").status_code == 200


# -- archives


HOSTILE = {
    "above": tar(("ok", b"1"), ("../x", b"2")),
    "absolute": tar(("ok", b"1"), ("/etc/cron.d/x", b"2")),
    "state": tar(("ok", b"1"), (".dotscience/project.toml", b"2")),
    "link out": tar(("ok", b"1"), entry("l", tarfile.SYMTYPE, "../../etc")),
    "absolute link": tar(("ok", b"1"), entry("l", tarfile.SYMTYPE, "/etc")),
    "through a link": tar(("ok", b"1"), entry("l", tarfile.SYMTYPE, "."), ("l/x", b"2")),
    "over a file": tar(("ok", b"1"), ("ok/x", b"2")),
    "hard link to nothing": tar(("ok", b"1"), entry("l", tarfile.LNKTYPE, "gone")),
    "hard link out": tar(("ok", b"1"), entry("l", tarfile.LNKTYPE, "../../etc/passwd")),
    "hard link to a link": tar(entry("s", tarfile.SYMTYPE, "x"), entry("l", tarfile.LNKTYPE, "s")),
    "device": tar(("ok", b"1"), entry("d", tarfile.CHRTYPE)),
    "pipe": tar(("ok", b"1"), entry("p", tarfile.FIFOTYPE)),
    "long name": tar(("ok", b"1"), ("n" * 300, b"2")),
    "deep": tar(("ok", b"1"), ("d/" * 200 + "x", b"2")),
    "cut off": tar(("ok", b"1" * 5000))[:3000],
    "no archive": b"PK" + bytes(5000),
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_with_anything_wrong_in_it_leaves_nothing(workspace, staging, name):
    before = workspace.put("w/kept", b"1").headers["Snapshot"]
    answer = workspace.unpack("w", HOSTILE[name])
    assert answer.status_code in {409, 422}, answer.text
    assert head(workspace) == before
    assert workspace.keys() == ["w/kept"]
    assert staging() == []
    error = workspace.commit(run_metadata(str(uuid4()), ["w/ok"]))["error"]
    assert error["message"].startswith("nothing was recorded, as an upload was refused: the archive for 'w': 4")


def test_an_archive_with_too_many_entries(workspace, monkeypatch):
    monkeypatch.setattr(upload_content, "MAX_ENTRIES", 10)
    answer = workspace.unpack("w", tar(*((str(number), b"") for number in range(11))))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/corrupt-archive")
    assert "more than 10 entries" in answer.json()["detail"]
    assert workspace.unpack("w", tar(*((str(number), b"") for number in range(10)))).status_code == 200


def test_a_folder_that_is_named_in_too_many_steps(workspace):
    """What an archive names may lie in as many folders as a key."""
    workspace.unpack("/".join(["d"] * 100), tar(("e/" * 27 + "f", b"1")))
    assert workspace.keys() == ["/".join(["d"] * 100 + ["e"] * 27 + ["f"])]
    assert workspace.unpack("/".join(["d"] * 100), tar(("e/" * 28 + "f", b"1"))).status_code == 422


def test_what_an_archive_may_hold(workspace):
    executable = tarfile.TarInfo("run.sh")
    executable.mode = 0o755
    archive = tar(
        ("a", b"1"),
        executable,
        entry("link", tarfile.SYMTYPE, "../w/a"),
        entry("hard", tarfile.LNKTYPE, "a"),
        entry("empty", tarfile.DIRTYPE),
        ("latin\udce9", b"bytes"),
        ("a", b"2"),
    )
    assert workspace.unpack("w", archive).status_code == 200
    entries = {one["name"]: one for one in workspace.api(f"/commits/{head(workspace)}/tree?path=w")["entries"]}
    assert {name: one["kind"] for name, one in entries.items()} == {
        "a": "file",
        "empty": "directory",
        "hard": "file",
        "latin\ufffd": "file",
        "link": "symlink",
        "run.sh": "file",
    }
    assert entries["run.sh"]["mode"] == 0o755
    assert entries["link"]["target"] == "../w/a"
    assert (workspace.get("w/a").content, workspace.get("w/hard").content) == (b"2", b"1")
    assert workspace.get("w/latin%E9").content == b"bytes"
    assert workspace.get("w/link").status_code == 404


def test_everything_that_was_uploaded_is_kept_by_garbage_collection(own_hub, workspace):
    workspace.unpack("w", tar(("a", b"1"), ("b", os.urandom(300_000))))
    workspace.commit(run_metadata(str(uuid4()), ["w/a"]))
    for _ in range(3):
        own_hub.clock.advance(hours=25)
        own_hub.call("POST", "/api/v1/upkeep/gc", json={})
        wait_for(lambda: not own_hub.call("GET", "/api/v1/upkeep")["gc"]["running"])
    assert len(workspace.get("w/b").content) == 300_000
    for commit in workspace.api("/commits")["items"]:
        assert workspace.content(commit["id"], "w/a") == b"1"
