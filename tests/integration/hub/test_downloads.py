"""Commits, folders, runs and models as one archive, unpacked by the tools that people have."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
import zipfile

import pytest
import requests
from support.requirements import lacks

from committer.storage.chunks import Chunk, store_chunks
from committer.storage.objects import Kind
from committer.storage.tree import EntryKind, TreeEntry, encode_tree
from dotscience.record import FileRef, ModelArtefact
from hub_server.services.objects import ProjectObjects
from hub_server.services.slices import SLICE_SIZE

SECONDS = 10**9
"""2001-09-09, in which year no ZIP has a problem."""
BIG = [bytes([65 + number]) * 300_000 for number in range(3)]


@pytest.fixture
def run(new_run):
    return new_run(
        outputs=[FileRef(path="folder/deep.txt")],
        models=[ModelArtefact(name="net/v:1", type="keras", files={"model": "folder", "classes": "run.sh"})],
    )


@pytest.fixture
def commit(project, new_pack, run):
    pack = new_pack()
    listed = store_chunks(
        [*(Chunk(pack.add(Kind.BLOB, data), len(data)) for data in BIG), Chunk(None, 500_000)],
        lambda data: pack.add(Kind.CHUNKS, data),
    )
    inner = pack.add_tree({"deep.txt": b"deep", "ünï.txt": b"text"})

    def file(name, data, mode=0o644, time_s=SECONDS):
        return TreeEntry(name, EntryKind.FILE, mode, len(data), time_s * 10**9, pack.add(Kind.BLOB, data))

    entries = [
        TreeEntry(b"big.bin", EntryKind.CHUNKED_FILE, 0o600, 1_400_000, SECONDS * 10**9, listed),
        file(b"back\\slash", b"b"),
        file(b"empty", b""),
        TreeEntry(b"folder", EntryKind.DIRECTORY, 0o755, 0, 0, inner),
        TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 0, SECONDS * 10**9, b"folder/deep.txt"),
        file(b"n\xff", b"n"),
        file(b"old", b"old", time_s=-SECONDS),
        file(b"run.sh", b"#!/bin/sh\n", 0o6755),
        TreeEntry(b"void", EntryKind.DIRECTORY, 0o700, 0, 0, pack.add_tree({})),
    ]
    made = pack.add_commit(project, (run,), {}, root=pack.add(Kind.TREE, encode_tree(entries)))
    assert project.put_pack(pack.bytes()).status_code == 201
    assert project.post_commit(made).status_code == 201
    return made


@pytest.fixture
def download(project, commit):
    def get(rest, **options):
        options = {"token": project.token} | options
        return project.hub.request("GET", project.base + rest, **options)

    return get


@pytest.fixture
def named(project):
    return project.hub.call("GET", project.base)["name"]


def unzip(data, target):
    """By Info-ZIP, which checks every byte."""
    (target.parent / "a.zip").write_bytes(data)
    subprocess.run(["unzip", "-tqq", target.parent / "a.zip"], check=True)
    subprocess.run(["unzip", "-qq", target.parent / "a.zip", "-d", target], check=True)


def untar(data, target):
    target.mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", target], input=data, check=True)


def bytes_of(folder):
    return {
        os.fsencode(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


WHOLE = {
    b"big.bin": b"".join(BIG) + bytes(500_000),
    b"empty": b"",
    b"folder/deep.txt": b"deep",
    "folder/ünï.txt".encode(): b"text",
    b"old": b"old",
    b"run.sh": b"#!/bin/sh\n",
}


def test_a_commit_is_unpacked_by_unzip(download, commit, named, tmp_path):
    if not shutil.which("unzip"):
        lacks("needs the package unzip")
    answer = download(f"/commits/{commit}/archive")
    top = f"{named}-{commit[:12]}"
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=\"{top}.zip\"; filename*=UTF-8''{top}.zip"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    unzip(answer.content, tmp_path / "out")
    assert [one.name for one in (tmp_path / "out").iterdir()] == [top]
    root = tmp_path / "out" / top
    assert bytes_of(root) == WHOLE | {b"back%5Cslash": b"b", b"n%FF": b"n"}
    assert os.readlink(root / "link") == "folder/deep.txt"  # noqa: PTH115 - what is written, not where it leads
    assert (root / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (root / "big.bin").stat().st_mode & 0o7777 == 0o600
    assert (root / "big.bin").stat().st_mtime == SECONDS
    assert (root / "void").is_dir()


def test_a_zip_is_sound_by_python_too_and_has_no_name_that_leads_out(download, commit):
    with zipfile.ZipFile(io.BytesIO(download(f"/commits/{commit}/archive?format=zip").content)) as archive:
        assert archive.testzip() is None
        assert not [name for name in archive.namelist() if name.startswith("/") or ".." in name or "\\" in name]
        assert {one.date_time[0] for one in archive.infolist() if one.filename.endswith("/old")} == {1980}


def test_a_commit_is_unpacked_by_tar(download, commit, named, tmp_path):
    answer = download(f"/commits/{commit}/archive?format=tar")
    assert answer.headers["Content-Type"] == "application/x-tar"
    untar(answer.content, tmp_path / "out")
    root = tmp_path / "out" / f"{named}-{commit[:12]}"
    assert bytes_of(root) == WHOLE | {b"back\\slash": b"b", b"n\xff": b"n"}
    assert (root / "old").stat().st_mtime == -SECONDS
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert len(archive.getnames()) == 12


def test_a_folder_and_a_file_are_named_as_they_are(download, commit):
    for path, names in (
        ("folder", ["folder/", "folder/deep.txt", "folder/ünï.txt"]),
        ("folder/deep.txt", ["deep.txt"]),
        ("void", ["void/"]),
        ("link", ["link"]),
    ):
        answer = download(f"/commits/{commit}/archive?path={path}")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == names
        assert f"{path.rpartition('/')[2]}.zip" in answer.headers["Content-Disposition"]


def test_a_run_is_the_workspace_of_its_commit(download, commit, run, named):
    answer = download(f"/runs/{run.run_id}/archive")
    assert f"{named}-{run.run_id[:8]}.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read(f"{named}-{run.run_id[:8]}/folder/deep.txt") == b"deep"
        assert len(archive.namelist()) == 12


def test_a_model_is_its_files(download, commit):
    answer = download("/models/net%2Fv:1/versions/1/archive")
    assert (
        answer.headers["Content-Disposition"]
        == "attachment; filename=\"net-v-1-1.zip\"; filename*=UTF-8''net-v-1-1.zip"
    )
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [
            *("net-v-1-1/", "net-v-1-1/folder/"),
            *("net-v-1-1/folder/deep.txt", "net-v-1-1/folder/ünï.txt", "net-v-1-1/run.sh"),
        ]


@pytest.mark.parametrize("name", ["../../up", "/abs", 'q"uo', ".hidden", "日本 語", "..", "a\\b", "x" * 200])
def test_file_names_are_safe_whatever_the_project_is_called(hub, new_run, name):
    project = hub.new_project(name)
    pushed = project.push(new_run(), files={"a": b"a"})
    answer = hub.request("GET", f"{project.base}/commits/{pushed.commit}/archive", token=project.token)
    header = answer.headers["Content-Disposition"]
    assert header.isascii()
    plain, _, file = header.removeprefix("attachment; ").rpartition("filename*=UTF-8''")
    assert plain in ("", f'filename="{file}"; ')
    assert not [part for part in ("/", "\\", '"', "%2F", "%5C", "%22", "%0D") if part in file]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (top,) = {one.partition("/")[0] for one in archive.namelist()}
    assert top.strip(".")
    assert not top.startswith(".")
    assert len(top.encode()) <= 255


@pytest.mark.parametrize(
    "rest",
    [
        *(
            "/commits/{commit}/archive?path=nope",
            "/commits/{commit}/archive?path=../x",
            "/commits/{commit}/archive?path=/",
        ),
        f"/commits/{'0' * 64}/archive",
        *("/commits/zz/archive", "/runs/nope/archive", "/models/nope/versions/1/archive"),
        *("/models/net%2Fv:1/versions/2/archive", "/models/net%2Fv:1/versions/x/archive"),
    ],
)
def test_what_is_not_there_is_not_found(download, commit, rest):
    assert download(rest.format(commit=commit)).status_code == 404


def test_another_format_is_refused(download, commit):
    assert download(f"/commits/{commit}/archive?format=rar").status_code == 400


@pytest.mark.parametrize(
    "rest", ["/commits/{commit}/archive", "/runs/{run}/archive", "/models/net%2Fv:1/versions/1/archive"]
)
def test_the_wrong_user_gets_nothing(hub, project, commit, run, rest):
    path = project.base + rest.format(commit=commit, run=run.run_id)
    assert hub.request("GET", path).status_code == 401
    assert hub.request("GET", path, token=hub.new_person().token).status_code == 404
    assert hub.request("GET", path, token=hub.new_project().token).status_code == 404
    stranger = hub.new_project()
    inside_another = f"{stranger.base}{rest.format(commit=commit, run=run.run_id)}"
    assert hub.request("GET", inside_another, token=stranger.token).status_code == 404
    hub.call("PATCH", project.base, json={"is_public": True})
    assert hub.request("GET", path).status_code == 200


def test_head_makes_no_archive(project, commit):
    answer = project.hub.request("HEAD", f"{project.base}/commits/{commit}/archive", token=project.token)
    assert (answer.status_code, answer.content) == (200, b"")


def settled(count):
    """What is counted, once it has not changed for a while."""
    looks = [-1]
    while len(set(looks[-10:])) > 1 or len(looks) < 10:
        time.sleep(0.05)
        looks.append(len(count))
    return looks[-1]


def test_an_archive_is_made_as_fast_as_it_is_taken(own_hub, new_pack, monkeypatch):
    """A slow reader, and one that goes away, keep nobody waiting and the hub from making what nobody takes."""
    project = own_hub.new_project()
    pack = new_pack()
    chunk = pack.add(Kind.BLOB, os.urandom(2**20))
    listed = store_chunks([Chunk(chunk, 2**20)] * 400, lambda data: pack.add(Kind.CHUNKS, data))
    entry = TreeEntry(b"big", EntryKind.CHUNKED_FILE, 0o644, 400 * 2**20, 0, listed)
    made = pack.add_commit(project, (), {}, root=pack.add(Kind.TREE, encode_tree([entry])))
    assert project.put_pack(pack.bytes()).status_code == 201
    assert project.post_commit(made).status_code == 201
    slices = []
    read = ProjectObjects.read_slice
    monkeypatch.setattr(ProjectObjects, "read_slice", lambda *asked: slices.append(1) or read(*asked))
    url = f"{own_hub.url}{project.base}/commits/{made}/archive?format=tar"
    headers = {"Authorization": f"Bearer {project.token}"}
    readers = [requests.get(url, headers=headers, stream=True, timeout=30) for _ in range(8)]
    for reader in readers:
        assert len(reader.raw.read(1_000)) == 1_000
    assert settled(slices) * SLICE_SIZE < 8 * 400 * 2**20 / 4
    assert own_hub.call("GET", project.base + "/commits")["items"]
    for reader in readers:
        reader.close()
    assert own_hub.call("GET", f"{project.base}/commits/{made}/tree")["total"] == 1


def test_a_damaged_content_cuts_the_answer(own_hub, new_run):
    """A part of an archive must not look like the whole of it."""
    project = own_hub.new_project()
    damaged = os.urandom(4_000)
    pushed = project.push(new_run(), files={"a.txt": os.urandom(2**20), "b.txt": damaged})
    (pack,) = (own_hub.data / "packs").glob("*/*")
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[data.index(damaged)] ^= 1
    pack.write_bytes(data)
    for form in ("zip", "tar"):
        with pytest.raises(requests.RequestException):
            own_hub.request("GET", f"{project.base}/commits/{pushed.commit}/archive?format={form}", token=project.token)
