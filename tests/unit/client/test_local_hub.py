"""What a hub says in its data folder is believed as long as it lives, and its token is shown to nobody else."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest
from support.http_server import Answer, serve

from dotscience.client.address import is_on_this_machine
from dotscience.client.local_hub import find_hub, read_hub_file, read_token


def write_hub_file(folder, pid, url="http://127.0.0.1:1"):
    content = {"url": url, "pid": pid, "started_at": "2026-01-01T00:00:00Z"}
    (folder / "hub.json").write_bytes(msgspec.json.encode(content))


@pytest.fixture
def dead_pid():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_living_hub_is_found(tmp_path):
    write_hub_file(tmp_path, os.getpid())
    assert read_hub_file(tmp_path).url == "http://127.0.0.1:1"


def test_a_hub_that_was_killed_is_not(tmp_path, dead_pid):
    write_hub_file(tmp_path, dead_pid)
    assert read_hub_file(tmp_path) is None


@pytest.mark.parametrize("pid", [0, -1, 2**70])
def test_a_number_that_is_no_process_is_no_hub(tmp_path, pid):
    write_hub_file(tmp_path, pid)
    assert read_hub_file(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_file_that_says_nothing_is_no_hub(tmp_path, content):
    (tmp_path / "hub.json").write_bytes(content)
    assert read_hub_file(tmp_path) is None


def test_a_token_that_cannot_be_read_is_none(tmp_path):
    assert read_token(tmp_path) is None
    (tmp_path / "admin.token").write_bytes(b"\xff")
    assert read_token(tmp_path) is None


def test_whoever_answers_is_asked_who_it_is_before_it_sees_the_token(tmp_path):
    requests = []

    def answer(request):
        requests.append(request)
        return Answer(200, b'{"hello": "world"}')

    (tmp_path / "admin.token").write_text("ds_1_secret")
    with serve(answer) as url:
        write_hub_file(tmp_path, os.getpid(), url)
        assert find_hub(tmp_path) is None
    assert [request.path for request in requests] == ["/api/v1/version"]
    assert "Authorization" not in requests[0].headers


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1", "http://127.1.2.3:80/x", "http://[::1]:8800"]
)
def test_addresses_of_this_machine(url):
    assert is_on_this_machine(url)


@pytest.mark.parametrize("url", ["https://hub.example.org", "http://10.0.0.1", "http://localhost.example.org", "x"])
def test_addresses_elsewhere(url):
    assert not is_on_this_machine(url)
