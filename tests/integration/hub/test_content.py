"""The files of a commit: browsing, ranges, caching, and never as active content of the hub."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from committer.storage.chunks import Chunk, store_chunks
from committer.storage.objects import Kind, digest
from committer.storage.tree import EntryKind, TreeEntry, encode_tree


@pytest.fixture
def commit(project, new_pack):
    pack = new_pack()
    chunks = [bytes([65 + number]) * 1000 for number in range(3)]
    listed = store_chunks(
        [*(Chunk(pack.add(Kind.BLOB, data), len(data)) for data in chunks), Chunk(None, 500)],
        lambda data: pack.add(Kind.CHUNKS, data),
    )
    inner = pack.add_tree({"deep.txt": b"deep"})
    html = b"<script>alert(document.cookie)</script>"
    entries = [
        TreeEntry(b"big.bin", EntryKind.CHUNKED_FILE, 0o644, 3500, 10**18, listed),
        TreeEntry(b"empty", EntryKind.FILE, 0o600, 0, -1, pack.add(Kind.BLOB, b"")),
        TreeEntry(b"evil.html", EntryKind.FILE, 0o644, len(html), 2**62, pack.add(Kind.BLOB, html)),
        TreeEntry(b"folder", EntryKind.DIRECTORY, 0o755, 0, 0, inner),
        TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 0, 0, b"/etc/passwd"),
        TreeEntry(b'n\xff"\r\nX: 1', EntryKind.FILE, 0o644, 1, 0, pack.add(Kind.BLOB, b"n")),
    ]
    made = pack.add_commit(project, (), {}, root=pack.add(Kind.TREE, encode_tree(entries)))
    assert project.put_pack(pack.bytes()).status_code == 201
    assert project.post_commit(made).status_code == 201
    return made


@pytest.fixture
def content(project, commit):
    def get(path, *, query="", method="GET", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        address = f"{project.base}/commits/{commit}/content?path={path}{query}"
        return project.hub.request(method, address, token=project.token, headers=named)

    return get


WHOLE = b"A" * 1000 + b"B" * 1000 + b"C" * 1000 + bytes(500)


def test_a_folder_is_listed(project, commit):
    listing = project.get(f"/commits/{commit}/tree")
    assert (listing["path"], listing["total"]) == ("", 6)
    by_name = {one["name"]: one for one in listing["entries"]}
    big = by_name["big.bin"]
    assert (big["kind"], big["size"], big["mode"]) == ("file", 3500, 0o644)
    assert big["modified_at"] == "2001-09-09T01:46:40Z"
    assert (by_name["folder"]["kind"], by_name["folder"]["modified_at"]) == ("directory", None)
    assert (by_name["link"]["kind"], by_name["link"]["target"]) == ("symlink", "/etc/passwd")
    odd = next(one for one in listing["entries"] if one["quoted_name"])
    assert odd["quoted_name"] == quote(b'n\xff"\r\nX: 1')
    assert project.get(f"/commits/{commit}/tree?path=folder")["entries"][0]["name"] == "deep.txt"


@pytest.mark.parametrize(
    "path",
    [
        "nope",
        "..",
        "../..",
        "/etc/passwd",
        "folder/../empty",
        "./empty",
        "folder//deep.txt",
        "empty/x",
        "link",
        "folder",
        "",
        "%00",
        "%ed%a0%80",
    ],
)
def test_what_is_no_file_of_the_snapshot_is_not_found(content, path):
    assert content(path).status_code == 404


def test_files_come_back_whole(content):
    assert content("big.bin").content == WHOLE
    assert content("empty").content == b""
    assert content("folder/deep.txt").content == b"deep"
    assert content(quote(b'n\xff"\r\nX: 1')).content == b"n"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("0-0", 0, 1),
        ("990-1009", 990, 1010),
        ("3400-", 3400, 3500),
        ("-10", 3490, 3500),
        ("-9999", 0, 3500),
        ("0-9999", 0, 3500),
    ],
)
def test_one_range(content, asked, start, stop):
    answer = content("big.bin", Range=f"bytes={asked}")
    assert answer.status_code == 206
    assert answer.content == WHOLE[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/3500"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("asked", ["3500-", "9999-10000", "-0"])
def test_a_range_outside_of_the_file(content, asked):
    answer = content("big.bin", Range=f"bytes={asked}")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */3500")
    assert content("empty", Range="bytes=0-").status_code == 416


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-2", "bytes=-", "chunks=0-1", "bytes=a-b", "bytes=" + "9" * 40 + "-"]
)
def test_other_ranges_are_ignored(content, asked):
    answer = content("big.bin", Range=asked)
    assert (answer.status_code, len(answer.content)) == (200, 3500)


def test_a_file_is_revalidated_by_its_content(content):
    answer = content("folder/deep.txt")
    etag = answer.headers["ETag"]
    assert etag == f'"{digest(b"deep").hex()}"'
    for condition in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = content("folder/deep.txt", If_None_Match=condition)
        assert (again.status_code, again.content) == (304, b"")
    assert content("folder/deep.txt", If_None_Match='"x"').status_code == 200
    assert content("folder/deep.txt", Range="bytes=0-1", If_Range='"x"').status_code == 200
    assert content("folder/deep.txt", Range="bytes=0-1", If_Range=etag).status_code == 206


def test_head_says_the_size_only(content):
    answer = content("big.bin", method="HEAD")
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "3500", b"")


def test_what_users_stored_runs_in_a_sandbox(content):
    answer = content("evil.html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("inline")


def test_a_download_is_an_attachment_with_an_encoded_name(content):
    answer = content(quote(b'n\xff"\r\nX: 1'), query="&download=1")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''n%FF%22%0D%0AX%3A%201"
    assert "X" not in answer.headers


def test_a_damaged_pack_is_said_and_never_served(serve_hub, tmp_path, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        pushed = project.push(new_run(), files={"a.txt": b"precious bytes"})
        (pack,) = (hub.data / "packs").glob("*/*")
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[data.index(b"precious")] ^= 1
        pack.write_bytes(data)
        path = f"{project.base}/commits/{pushed.commit}/content?path=a.txt"
        try:
            answer = hub.request("GET", path, token=project.token)
        except OSError:
            return  # cut off after the headers, which is what a client must notice
        assert answer.status_code == 500
        assert b"precious" not in answer.content
