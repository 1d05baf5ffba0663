"""Objects given back, as records: those of the project, in order, a bounded number of bytes at a time."""

from __future__ import annotations

import os

import pytest

from committer.storage.objects import Kind, digest
from committer.storage.pack import PackWriter, pack_path, parse_records
from hub_server.services.fetching import MAX_ANSWER_BYTES, MAX_NAMES

MEBIBYTE = 2**20


@pytest.fixture
def push_blobs(project, tmp_path):
    """Pushes blobs in one pack; their hashes."""

    def push(*blobs):
        writer = PackWriter(tmp_path)
        names = [digest(blob) for blob in blobs]
        for name, blob in zip(names, blobs, strict=True):
            writer.add(Kind.BLOB, name, blob)
        pack = writer.seal()
        assert project.put_pack(pack_path(tmp_path, pack.hash).read_bytes()).status_code == 201
        return names

    return push


@pytest.fixture
def fetch(hub, project):
    """Asks for objects, by default as the project; what came, and for how many of the hashes the answer is."""

    def fetch(names, *, token=None):
        answer = hub.request(
            "POST",
            f"/api/v1/dots/{project.dot_id}/objects",
            token=token or project.token,
            headers={"Content-Type": "application/octet-stream"},
            data=b"".join(names),
        )
        assert answer.status_code == 200, answer.text
        records = [(record.entry.hash, record.data) for record in parse_records(answer.content)]
        return records, int(answer.headers["X-Dotscience-Answered"])

    return fetch


def test_objects_come_in_the_order_asked_and_what_is_not_here_is_left_out(push_blobs, fetch):
    one, two = push_blobs(b"one", b"two" * 1_000)
    assert fetch([two, b"?" * 32, one]) == ([(two, b"two" * 1_000), (one, b"one")], 3)
    assert fetch([]) == ([], 0)
    assert fetch([one, one]) == ([(one, b"one")] * 2, 2)


def test_an_answer_is_bounded_and_says_how_far_it_goes(push_blobs, fetch):
    blobs = [os.urandom(5 * MEBIBYTE) for _ in range(4)]
    names = push_blobs(*blobs)
    assert 15 * MEBIBYTE < MAX_ANSWER_BYTES < 20 * MEBIBYTE
    records, answered = fetch(names)
    assert answered == len(records) == 3
    assert fetch(names[answered:]) == ([(names[3], blobs[3])], 1)


def test_the_first_always_comes_however_large(push_blobs, fetch):
    large = os.urandom(MAX_ANSWER_BYTES + 1)
    (name,) = push_blobs(large)
    assert fetch([name]) == ([(name, large)], 1)


def test_another_project_s_objects_are_not_here(hub, push_blobs, fetch):
    (name,) = push_blobs(b"secret")
    stranger = hub.new_project()
    answer = hub.request(
        "POST",
        f"/api/v1/dots/{stranger.dot_id}/objects",
        token=stranger.token,
        headers={"Content-Type": "application/octet-stream"},
        data=name,
    )
    assert (answer.content, answer.headers["X-Dotscience-Answered"]) == (b"", "1")


@pytest.mark.parametrize("question", [b"x" * 31, b"x" * 33])
def test_what_is_no_list_of_hashes_is_refused(hub, project, question):
    answer = hub.request(
        "POST",
        f"/api/v1/dots/{project.dot_id}/objects",
        token=project.token,
        headers={"Content-Type": "application/octet-stream"},
        data=question,
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-request")


def test_too_many_at_once_are_refused(hub, project):
    answer = hub.request(
        "POST",
        f"/api/v1/dots/{project.dot_id}/objects",
        token=project.token,
        headers={"Content-Type": "application/octet-stream"},
        data=bytes(32) * (MAX_NAMES + 1),
    )
    assert answer.status_code == 413


def test_a_damaged_object_is_left_out(hub, project, push_blobs, fetch):
    good, bad = push_blobs(b"good" * 100, os.urandom(1_000))
    for path in (hub.data / "packs").rglob("*"):
        if path.is_file() and bad in (content := path.read_bytes()):
            start = content.index(bad) + 100
            path.chmod(0o600)
            path.write_bytes(content[:start] + bytes(8) + content[start + 8 :])
    assert fetch([bad, good]) == ([(good, b"good" * 100)], 2)
