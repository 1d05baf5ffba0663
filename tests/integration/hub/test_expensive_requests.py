"""What is expensive to answer keeps nobody else waiting, and ends with its client or with the hub."""

from __future__ import annotations

import asyncio
import http.client
import os
import resource
import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from committer.storage.objects import Kind
from committer.storage.tree import EntryKind, TreeEntry, encode_tree
from hub_server.services import diffs
from hub_server.thread_pool import is_cancelled
from hub_server.web.dispatch import ApiHandler

NAMES, ENTRIES = 50, 500
READERS, LARGE = 48, 16 * 2**20


def folder(pack, *, last, at=b"d"):
    """A folder of many entries, of which only the last is as asked for; highly compressible."""
    nothing = pack.add(Kind.BLOB, b"")
    entries = [TreeEntry(b"%s%06d" % (at, number), EntryKind.FILE, 0o644, 0, 0, nothing) for number in range(ENTRIES)]
    return pack.add(Kind.TREE, encode_tree([*entries, TreeEntry(b"z", EntryKind.FILE, 0o644, 0, last, nothing)]))


def push(project, new_pack, folders):
    """Push a commit whose root has folders, given as a function of the pack: their trees, one for each name."""
    pack = new_pack()
    entries = [
        TreeEntry(b"n%04d" % number, EntryKind.DIRECTORY, 0o755, 0, 0, tree)
        for number, tree in enumerate(folders(pack))
    ]
    root = pack.add(Kind.TREE, encode_tree(entries))
    commit = pack.add_commit(project, (), {}, root=root)
    assert project.put_pack(pack.bytes()).status_code == 201
    assert project.post_commit(commit, parent=project.head).status_code == 201
    project.head = commit
    return commit


def send(project, path, body=None):
    """A request on a connection of its own that takes little at once; whoever asked need not wait for the answer."""
    address = urlsplit(project.hub.url)
    connection = socket.socket()
    connection.settimeout(60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect((address.hostname, address.port))
    method, length = ("GET", "") if body is None else ("POST", f"Content-Length: {len(body)}\r\n")
    head = f"{method} {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {project.token}\r\n"
    octets = "Content-Type: application/octet-stream\r\n"
    connection.sendall(f"{head}{octets}{length}\r\n".encode() + (body or b""))
    return connection


def memory():
    """The bytes of memory that this process has, the hub's among them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_pair_of_folders_under_many_names_is_compared_once(project, new_pack, monkeypatch):
    before = push(project, new_pack, lambda pack: [folder(pack, last=1)] * NAMES)
    after = push(project, new_pack, lambda pack: [folder(pack, last=2)] * NAMES)
    monkeypatch.setattr(diffs, "MAX_ENTRIES", 3 * ENTRIES)
    found = project.get(f"/commits/{after}/diff?against={before}")
    assert (len(found["changes"]), found["is_whole"]) == (NAMES, True)


def test_a_comparison_ends_where_its_budget_does(project, new_pack, monkeypatch):
    before = push(project, new_pack, lambda pack: [folder(pack, last=1)] * NAMES)
    after = push(project, new_pack, lambda pack: [folder(pack, last=2 + number) for number in range(NAMES)])
    monkeypatch.setattr(diffs, "MAX_ENTRIES", 7 * ENTRIES)
    found = project.get(f"/commits/{after}/diff?against={before}")
    assert (len(found["changes"]), found["is_whole"]) == (3, False)


def test_a_path_through_folders_that_are_too_large_is_refused(project, new_pack, monkeypatch):
    commit = push(project, new_pack, lambda pack: [folder(pack, last=1)])
    monkeypatch.setattr("hub_server.services.read_budget.LOOKUP_BYTES", 1_000)
    for path in ("tree?path=n0000", "content?path=n0000/z", "diff/file?path=n0000/z", "trace?path=n0000/z"):
        answer = project.hub.request("GET", f"{project.base}/commits/{commit}/{path}", token=project.token)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/too-expensive")


@pytest.fixture
def endless(monkeypatch):
    """Comparisons go on until they are to end; semaphores say how many began and ended."""
    begun, ended = threading.Semaphore(0), threading.Semaphore(0)

    def compare(*_):
        begun.release()
        while not is_cancelled():
            threading.Event().wait(0.01)
        ended.release()
        return [], False

    monkeypatch.setattr(diffs, "_changes", compare)
    return begun, ended


def test_comparisons_end_with_their_clients(project, new_run, endless):
    begun, ended = endless
    commit = project.push(new_run(), files={"a": b"1"}).commit
    connections = [send(project, f"{project.base}/commits/{commit}/diff") for _ in range(6)]
    assert begun.acquire(timeout=20)
    for connection in connections:
        connection.close()
    assert ended.acquire(timeout=20)
    project.get(f"/commits/{commit}/tree")
    while begun.acquire(blocking=False):  # one that waited may begin before it is known that its client has gone, too
        assert ended.acquire(timeout=20)


def test_a_client_that_goes_while_its_request_is_checked_is_not_worked_for(project, new_run, endless, monkeypatch):
    """Tornado does not tell then that the connection was closed, where it was waiting for this request."""
    begun, _ = endless
    commit = project.push(new_run(), files={"a": b"1"}).commit
    asked, go, over = threading.Event(), threading.Event(), threading.Event()
    by_token = project.hub.services.identity.by_token

    async def slowly(text):
        if not asked.is_set():
            asked.set()
            await asyncio.to_thread(go.wait, 20)
        return await by_token(text)

    headers = {"Authorization": f"Bearer {project.token}"}
    with closing(http.client.HTTPConnection(urlsplit(project.hub.url).netloc, timeout=20)) as connection:
        connection.request("GET", f"{project.base}/commits/{commit}/tree", headers=headers)
        assert connection.getresponse().read()
        project.get(f"/commits/{commit}/tree")  # after this the hub waits for the next request of the connection
        monkeypatch.setattr(project.hub.services.identity, "by_token", slowly)
        connection.request("GET", f"{project.base}/commits/{commit}/diff", headers=headers)
        assert asked.wait(20)
    project.get(f"/commits/{commit}/tree")  # after this the hub has seen that the connection ended
    leave = ApiHandler._leave

    def leaves(handler):
        leave(handler)
        if handler.request.path.endswith("/diff"):
            over.set()

    monkeypatch.setattr(ApiHandler, "_leave", leaves)
    go.set()
    assert over.wait(20)
    assert not begun.acquire(blocking=False)


def test_comparisons_of_many_keep_nobody_waiting_for_other_answers(project, new_run, endless):
    begun, _ = endless
    commit = project.push(new_run(), files={"a": b"1"}).commit
    with (
        closing(send(project, f"{project.base}/commits/{commit}/diff")),
        closing(send(project, f"{project.base}/commits/{commit}/diff")),
    ):
        assert begun.acquire(timeout=20)
        assert project.get(f"/commits/{commit}/tree")["total"] == 1
        assert not begun.acquire(blocking=False), "a caller's comparisons are made one after the other"


def test_comparisons_end_with_the_hub(serve_hub, tmp_path, new_run, endless):
    begun, ended = endless
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        commit = project.push(new_run(), files={"a": b"1"}).commit
        connection = send(project, f"{project.base}/commits/{commit}/diff")
        assert begun.acquire(timeout=20)
    assert ended.acquire(timeout=20)
    connection.close()


@pytest.mark.parametrize("kind", ["objects", "content", "archive"])
def test_readers_that_take_little_do_not_have_the_hub_hold_much(project, new_pack, new_run, kind):
    pack = new_pack()
    large = pack.add(Kind.BLOB, os.urandom(LARGE))
    root = pack.add(Kind.TREE, encode_tree([TreeEntry(b"large", EntryKind.FILE, 0o644, LARGE, 0, large)]))
    commit = pack.add_commit(project, (new_run(),), {}, root=root)
    assert project.put_pack(pack.bytes()).status_code == 201
    assert project.post_commit(commit).status_code == 201
    at = f"{project.base}/commits/{commit}"
    path, body = {
        "objects": (f"{project.dot}/objects", large),
        "content": (f"{at}/content?path=large", None),
        "archive": (f"{at}/archive?format=tar", None),
    }[kind]
    before = memory()
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(send(project, path, body))) for _ in range(READERS)]
        assert all(one.recv(12) == b"HTTP/1.1 200" for one in connections)
        assert memory() - before < READERS * LARGE / 4
