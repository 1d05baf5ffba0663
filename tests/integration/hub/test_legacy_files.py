"""The files of workspaces on `/v2`: uploads, downloads, lists, archives, deletions, and hostile names."""

from __future__ import annotations

import io
import socket
import tarfile
from base64 import b64encode
from urllib.parse import urlsplit

import pytest
from support.legacy_client import OWNER, entry, tar


def test_a_file_comes_back_and_its_upload_is_a_commit(workspace):
    answer = workspace.put("data/a.txt", b"text")
    assert answer.status_code == 200
    commit = answer.headers["Snapshot"]
    assert answer.json() == {"commit": commit}
    got = workspace.get("data/a.txt")
    assert (got.content, got.headers["Snapshot"], got.headers["Content-Length"]) == (b"text", commit, "4")
    assert got.headers["Content-Disposition"].startswith("attachment")
    listed = workspace.api(f"/commits/{commit}")
    assert (listed["message"], listed["author"], listed["branch"]) == ("Uploaded data/a.txt (4 bytes)", OWNER, "main")
    assert (listed["files"], listed["size"], listed["runs"]) == (1, 4, [])
    assert workspace.api("")["head"] == commit
    assert workspace.content(commit, "data/a.txt") == b"text"


def test_head_and_ranges(workspace):
    workspace.put("a.txt", b"0123456789")
    head = workspace.client.request("HEAD", workspace.key("a.txt"))
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")
    part = workspace.get("a.txt", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert workspace.get("a.txt", headers={"If-None-Match": head.headers["ETag"]}).status_code == 304
    assert workspace.client.request("HEAD", workspace.key("none")).status_code == 404


def test_a_file_at_a_snapshot(workspace):
    first = workspace.put("a.txt", b"1").headers["Snapshot"]
    workspace.put("a.txt", b"2")
    assert workspace.get(f"snapshot/{first}/a.txt").content == b"1"
    assert workspace.get("snapshot/latest/a.txt").content == b"2"
    assert workspace.get(f"snapshot/{'0' * 64}/a.txt").status_code == 404
    assert workspace.get("snapshot/xyz").status_code == 404
    (one,) = workspace.get(f"snapshot/{first}", params={"Format": "json"}).json()["Items"]
    assert (one["key"], one["size"], one["directory"]) == ("a.txt", 1, False)


def test_a_snapshot_of_another_project_is_none_of_this_one(legacy, workspace):
    other = legacy.new_workspace("other")
    commit = other.put("a.txt", b"secret").headers["Snapshot"]
    assert workspace.get(f"snapshot/{commit}/a.txt").status_code == 404


def test_branches_that_are_named(workspace):
    workspace.put("a.txt", b"1")
    assert workspace.client.request("GET", workspace.key("a.txt", at="@main")).content == b"1"
    assert workspace.client.request("GET", workspace.key("a.txt", at="@master")).content == b"1"
    assert workspace.client.request("GET", workspace.key("a.txt", at="@other")).status_code == 404
    assert workspace.client.request("PUT", workspace.key("a.txt", at="@other"), data=b"x").status_code == 404
    assert workspace.client.request("PUT", workspace.key("a.txt", at="@.."), data=b"x").status_code == 422


def test_lists(workspace):
    names = ["b/2.txt", "b/1.txt", "a.txt", "b/c/3.txt", ".hidden", "b/.hidden/x"]
    workspace.unpack("w", tar(*((name, b"x" * number) for number, name in enumerate(names))))
    workspace.put("z.txt", b"")
    assert workspace.keys() == ["w/a.txt", "w/b/1.txt", "w/b/2.txt", "w/b/c/3.txt", "z.txt"]
    assert workspace.keys(Prefix="w/b") == workspace.keys(Prefix="w/b/") == ["w/b/1.txt", "w/b/2.txt", "w/b/c/3.txt"]
    assert workspace.keys(Prefix="w/b", NonRecursive="true") == ["w/b/1.txt", "w/b/2.txt"]
    assert workspace.keys(NonRecursive="true", IncludeDirectories="true") == ["w", "z.txt"]
    assert (
        workspace.keys(MaxKeys=2) + workspace.keys(MaxKeys=2, Page=1) + workspace.keys(MaxKeys=2, Page=2)
        == workspace.keys()
    )
    assert workspace.get(params={"Format": "json", "MaxKeys": 1}).json()["TotalCount"] == 5
    assert workspace.keys(Prefix="none") == []
    assert workspace.keys(Prefix="z.txt") == ["z.txt"]


def test_a_list_as_xml(workspace):
    workspace.put("a<&>%01.txt", b"1")
    answer = workspace.get()
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert "<Key>a&lt;&amp;&gt;\ufffd.txt</Key>" in answer.text
    assert "<Size>1</Size>" in answer.text


@pytest.mark.parametrize("query", [{"MaxKeys": 0}, {"MaxKeys": 10_001}, {"Page": -1}, {"Format": "yaml"}, {"x": 1}])
def test_lists_that_are_asked_for_wrongly(workspace, query):
    assert workspace.get(params=query).status_code == 400


@pytest.mark.parametrize("prefix", ["../x", "a/../b", "a//b", "."])
def test_a_prefix_that_is_no_path(workspace, prefix):
    assert workspace.get(params={"Prefix": prefix}).status_code == 422


def test_a_workspace_without_commits(workspace):
    assert workspace.keys() == []
    assert workspace.get("a.txt").status_code == 404
    assert workspace.client.result("Commits", workspace.params) == []


def test_a_folder_comes_as_an_archive(workspace):
    link = entry("sub/link", tarfile.SYMTYPE, "../a.txt")
    workspace.unpack("w", tar(("a.txt", b"a" * 1000), ("sub/" + "n" * 200, b""), link))
    answer = workspace.get("w")
    assert answer.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["a.txt", "sub", "sub/link", "sub/" + "n" * 200]
        assert archive.extractfile("a.txt").read() == b"a" * 1000
        assert archive.getmember("sub/link").linkname == "../a.txt"
    assert workspace.unpack("again", answer.content).status_code == 200
    assert workspace.get("again").content == answer.content


def test_an_archive_replaces_what_it_names_and_nothing_else(workspace):
    workspace.unpack("model", tar(("old", b"1"), ("both", b"1")))
    workspace.put("beside", b"1")
    workspace.unpack("model", tar(("new", b"2"), ("both", b"2")))
    assert workspace.keys() == ["beside", "model/both", "model/new", "model/old"]
    assert [workspace.get(f"model/{name}").content for name in ("both", "new", "old")] == [b"2", b"2", b"1"]


def test_an_archive_in_the_place_of_a_file(workspace):
    first = workspace.put("model", b"file").headers["Snapshot"]
    assert workspace.unpack("model", tar(("a", b"1"))).status_code == 200
    assert workspace.keys() == ["model/a"]
    assert workspace.content(first, "model") == b"file"


@pytest.mark.parametrize(("key", "extract"), [("model", None), ("model/a/b", None), ("model/a/b", "true")])
def test_what_is_of_another_kind_is_not_replaced(workspace, key, extract):
    workspace.unpack("model", tar(("a", b"1")))
    body = tar(("x", b"")) if extract else b"x"
    answer = workspace.put(key, body, **({"Extract": extract} if extract else {}))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/path-taken")
    assert workspace.keys() == ["model/a"]


def test_deleting(workspace):
    workspace.unpack("model", tar(("a", b"1"), ("b/c", b"22")))
    before = workspace.put("kept", b"333").headers["Snapshot"]
    answer = workspace.client.request("DELETE", workspace.key("model"))
    commit = workspace.api(f"/commits/{answer.headers['Snapshot']}")
    assert (commit["message"], commit["files"], commit["size"], commit["parents"]) == ("Deleted model", 1, 3, [before])
    assert workspace.keys() == ["kept"]
    assert workspace.client.request("DELETE", workspace.key("model")).status_code == 404
    assert workspace.content(before, "model/b/c") == b"22"


KEYS = [
    "..",
    "../x",
    "a/../../x",
    "a//b",
    "/etc/passwd",
    "a/./b",
    "a/",
    "a%00b",
    ".dotscience/x",
    "a/.DOTSCIENCE",
    "n" * 256,
    "/".join(["d"] * 200),
    "/".join(["d" * 200] * 25),
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_no_workspace_has(hub, workspace, key):
    """Sent as they are, as clients of HTTP tidy them up."""
    parts = urlsplit(hub.url)
    basic = b64encode(f"{OWNER}:{hub.admin}".encode()).decode()
    target = workspace.key() + "/" + key
    head = f"PUT {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {basic}\r\nContent-Length: 1\r\n"
    answer = exchange(parts, f"{head}Connection: close\r\n\r\nx".encode())
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert workspace.api("")["head"] is None


@pytest.mark.parametrize("quoted", ["caf%C3%A9%20%F0%9F%9A%80", "latin%E9", "a%0Ab", "100%25", "a:b@c", "%2525"])
def test_keys_that_are_unusual(hub, workspace, quoted):
    assert workspace.put(quoted, b"x").status_code == 200
    assert workspace.get(quoted).content == b"x"
    assert workspace.client.request("DELETE", workspace.key(quoted)).status_code == 200


def test_a_whole_url_as_the_target(hub, workspace):
    """As the original's client sends uploads; what it names counts, and not the Host header."""
    parts = urlsplit(hub.url)
    basic = b64encode(f"{OWNER}:{hub.admin}".encode()).decode()

    def put(target, host):
        head = f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n"
        body = "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        return exchange(parts, (head + body).encode())

    assert put(hub.url + workspace.key("a.txt"), "evil.example").startswith(b"HTTP/1.1 200 ")
    assert workspace.get("a.txt").content == b"abc"
    assert put("http://evil.example" + workspace.key("b.txt"), parts.netloc).startswith(b"HTTP/1.1 421 ")
    assert put("HTTP://" + parts.netloc, parts.netloc).startswith(b"HTTP/1.1 405 ")


def exchange(parts, request):
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as file:
            return file.read()
