"""Pushes that are cut off, repeated, reordered and made at once: one commit, one answer, and never a part of either."""

from __future__ import annotations

import itertools
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from support.cutting_proxy import Cut, cutting_proxy
from support.histories import count_shown, push_all, write_history

from committer.storage.objects import Kind, digest
from dotscience.errors import HubUnavailable

MAX_ATTEMPTS = 500


@pytest.fixture
def impatient(monkeypatch):
    """Clients that come back at once."""
    monkeypatch.setattr("dotscience.client.hub._backoff_s", lambda attempt: 0)


def push_until_done(history, target, check):
    """Push again and again; `check` looks at the hub after each attempt that failed. How many did."""
    for failed in range(MAX_ATTEMPTS):
        try:
            push_all(history.store, target)
        except HubUnavailable:
            check()
        else:
            return failed
    raise AssertionError(f"{MAX_ATTEMPTS} attempts were not enough")


@pytest.mark.parametrize(
    "cut",
    [
        lambda number: Cut(requests=80 * number),
        lambda number: Cut(requests=300 * number),
        lambda number: Cut(answers=9 * number),
        lambda number: Cut(requests=50 * number, answers=20 * number),
    ],
    ids=["requests", "large pieces of requests", "answers", "both"],
)
@pytest.mark.usefixtures("impatient")
def test_a_connection_that_is_cut_further_and_further_on_ends_with_everything_pushed_once(project, tmp_path, cut):
    history = write_history(tmp_path / "store", project.dot_id, file_size=4_000)
    port = int(project.hub.url.rpartition(":")[2])
    shown = [0]

    def check():
        shown.append(count_shown(project, history))

    with cutting_proxy(port, cut) as url:
        assert push_until_done(history, history.target(url, project), check) > 1
    assert shown == sorted(shown), "what was there stays there"
    assert count_shown(project, history) == len(history.made)


def test_packs_may_come_in_any_order_and_a_commit_only_after_all_of_them(hub, new_pack, new_run):
    for order in itertools.permutations(range(3)):
        project = hub.new_project()
        whole = new_pack()
        commit = whole.add_commit(project, (new_run(),), {"a": b"1", "b": b"2"})
        packs = [part.bytes() for part in in_parts(whole, new_pack)]
        for number in order:
            assert project.post_commit(commit).status_code == 422
            assert project.get("/commits")["total"] == project.get("/runs")["total"] == 0
            assert project.put_pack(packs[number]).status_code == 201
        assert project.post_commit(commit).status_code == 201
        assert (project.get("/commits")["total"], project.get("/runs")["total"]) == (1, 1)


def in_parts(whole, new_pack):
    """The objects in three packs: what holds files, what holds trees, and the rest."""
    parts = [new_pack(), new_pack(), new_pack()]
    places = {Kind.BLOB: 0, Kind.TREE: 1}
    for name, (kind, data) in whole.objects.items():
        parts[places.get(kind, 2)].objects[name] = (kind, data)
    return parts


def all_at_once(*calls):
    """What the calls return, made at the same moment."""
    together = Barrier(len(calls))

    def wait_and(call):
        together.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(wait_and, calls))


def test_one_of_many_equal_pushes_at_once_is_the_first(hub, new_pack, new_run):
    for _ in range(5):
        project = hub.new_project()
        pack = new_pack()
        commit = pack.add_commit(project, (new_run(),), {"a": b"1" * 10_000})
        data = pack.bytes()
        puts = all_at_once(*[lambda project=project, data=data: project.put_pack(data)] * 6)
        assert sorted(answer.status_code for answer in puts) == [200] * 5 + [201]
        posts = all_at_once(*[lambda project=project, commit=commit: project.post_commit(commit)] * 6)
        assert sorted(answer.status_code for answer in posts) == [200] * 5 + [201]
        assert len({answer.content for answer in posts}) == len({answer.content for answer in puts}) == 1
        assert (project.get("/commits")["total"], project.get("/runs")["total"]) == (1, 1)


def test_two_clients_with_one_history_push_it_once(hub, tmp_path):
    for number in range(3):
        project = hub.new_project()
        history = write_history(tmp_path / f"one{number}", project.dot_id)
        copy = history._replace(store=tmp_path / f"copy{number}")
        shutil.copytree(history.store, copy.store)
        all_at_once(
            *[lambda one=one, p=project: push_all(one.store, one.target(hub.url, p)) for one in (history, copy)]
        )
        assert count_shown(project, history) == len(history.made)


def test_two_clients_with_the_same_files_and_different_commits_lose_nothing(hub, tmp_path):
    project = hub.new_project()
    histories = [write_history(tmp_path / name, project.dot_id) for name in ("one", "two")]
    assert histories[0].made[-1].files == histories[1].made[-1].files
    all_at_once(*[lambda one=one: push_all(one.store, one.target(hub.url, project)) for one in histories])
    heads = hub.call("GET", project.dot, token=project.token)["branches"]
    assert set(heads) == {"main", "main~fork-box-1"}
    assert sorted(heads.values()) == sorted(one.commits[-1] for one in histories)
    listed = [one["id"] for one in project.get("/commits")["items"]]
    assert sorted(listed) == sorted(histories[0].commits + histories[1].commits)
    assert project.get("/runs")["total"] == len(listed)


def send_part(project, method, path, kind, body, length):
    """A request whose body breaks off: of `body` only the first `length` bytes arrive."""
    with socket.create_connection(("127.0.0.1", int(project.hub.url.rpartition(":")[2])), timeout=30) as raw:
        head = (
            f"{method} {project.dot}{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {project.token}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        raw.sendall(head.encode() + body[:length])
        raw.shutdown(socket.SHUT_WR)
        return raw.recv(100)


def test_a_body_that_breaks_off_counts_for_nothing(serve_hub, tmp_path, new_pack, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        pack = new_pack()
        commit = pack.add_commit(project, (new_run(),), {"a": b"1" * 10_000})
        data = pack.bytes()
        put, octets = f"/packs/{digest(data).hex()}", "application/octet-stream"
        for length in (0, 1, len(data) // 2, len(data) - 1):
            assert not send_part(project, "PUT", put, octets, data, length).startswith(b"HTTP/1.1 2")
            assert project.post_commit(commit).status_code == 422
        assert project.put_pack(data).status_code == 201
        body = f'{{"commit": "{commit}", "branch": "main", "expected_parent": null}}'.encode()
        for length in (0, len(body) // 2, len(body) - 1):
            assert not send_part(project, "POST", "/commits", "application/json", body, length).startswith(
                b"HTTP/1.1 2"
            )
            assert project.get("/commits")["total"] == 0
        assert project.post_commit(commit).status_code == 201
    assert not list((tmp_path / "hub" / "staging").iterdir())
