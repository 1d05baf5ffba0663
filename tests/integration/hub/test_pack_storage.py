"""The contract of storages, kept by all of them: a folder, and a bucket of an S3-compatible store."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.bucket import bucket
from support.http_server import Answer, serve
from support.hub_parts import HubParts, made

from committer.storage.objects import digest
from dotscience.errors import ConfigError, MissingObject, StorageUnavailable
from hub_server.content.bucket import BucketStorage
from hub_server.content.local import LocalStorage
from hub_server.services.repacking import MANY


@pytest.fixture(scope="module")
def running_bucket():
    with bucket() as running:
        yield running


@pytest.fixture
def credentials(running_bucket, monkeypatch):
    for name, value in running_bucket.environment.items():
        monkeypatch.setenv(name, value)
    return running_bucket


@pytest.fixture(params=["folder", "bucket"])
def storage(request, tmp_path):
    if request.param == "folder":
        return LocalStorage(tmp_path)
    running = request.getfixturevalue("credentials")
    return BucketStorage(f"{running.url}/{tmp_path.name}", os.environ)


@pytest.fixture
def keep(storage, tmp_path):
    def put(data):
        staged = tmp_path / "staged"
        staged.write_bytes(data)
        storage.keep(staged, digest(data))
        assert not staged.exists()
        return digest(data)

    return put


def test_what_is_kept_is_read_back(storage, keep):
    data = os.urandom(3 * 2**20)
    pack = keep(data)
    assert storage.read(pack, 0, len(data)) == data
    assert storage.read(pack, 2**20 + 7, 1000) == data[2**20 + 7 : 2**20 + 1007]
    assert storage.read(pack, len(data) - 5, 5) == data[-5:]


def test_keeping_again_changes_nothing(storage, keep):
    pack = keep(b"once")
    assert keep(b"once") == pack
    assert storage.read(pack, 0, 4) == b"once"
    assert len(list(storage.packs())) == 1


def test_what_is_kept_is_listed(storage, keep):
    kept = {keep(b"one"): 3, keep(b"three"): 5}
    found = list(storage.packs())
    assert {one.hash: one.size for one in found} == kept
    assert all(one.kept_at > 10**9 for one in found)


def test_nothing_is_listed_of_an_empty_storage(storage):
    assert list(storage.packs()) == []


def test_what_was_deleted_is_gone(storage, keep):
    pack, other = keep(b"one"), keep(b"other")
    storage.delete(pack)
    storage.delete(pack)
    with pytest.raises(MissingObject, match=pack.hex()):
        storage.read(pack, 0, 3)
    assert [one.hash for one in storage.packs()] == [other]


def test_what_never_was_is_missing(storage):
    with pytest.raises(MissingObject):
        storage.read(digest(b"never"), 0, 5)


def test_garbage_is_collected_from_any_storage_and_damage_found(storage, tmp_path):
    hub = HubParts(tmp_path)
    hub.close()
    hub.open(lambda _: storage)
    commits = [made(hub, {"n": b"%d" % number}) for number in range(MANY)]
    for one in commits:
        hub.push(one)
    hub.run(hub.upload(made(hub, {"n": b"never committed"}).objects.bytes()))
    assert len(list(storage.packs())) == MANY + 1
    hub.collect_all()
    (left,) = storage.packs()
    assert [hub.read(one.root) for one in commits] == [one.contents for one in commits]
    assert hub.packs.check(left.hash, left.size)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"not the pack")
    storage.keep(damaged, left.hash)
    assert not hub.packs.check(left.hash, len(b"not the pack"))
    storage.delete(left.hash)
    assert not hub.packs.check(left.hash, left.size)
    hub.end()


def test_a_bucket_without_an_answer_says_so(credentials, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    storage = BucketStorage("s3://dots/x", os.environ, retry_for_s=0)
    staged = tmp_path / "staged"
    staged.write_bytes(b"mine")
    for action in (
        lambda: storage.read(digest(b"x"), 0, 1),
        lambda: storage.keep(staged, digest(b"mine")),
        lambda: list(storage.packs()),
        lambda: storage.delete(digest(b"x")),
    ):
        with pytest.raises(StorageUnavailable, match="s3://dots/x cannot be used"):
            action()
    assert staged.read_bytes() == b"mine"
    with pytest.raises(ConfigError, match="AWS_ENDPOINT_URL"):
        storage.check()


def test_wrong_keys_are_refused_and_not_shown(credentials, monkeypatch):
    denied = b"<Error><Code>SignatureDoesNotMatch</Code><Message>wrong key</Message></Error>"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-secret")
    with serve(lambda _: Answer(403, denied)) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(ConfigError, match=r"SignatureDoesNotMatch|403") as refused:
            BucketStorage(credentials.url, os.environ, retry_for_s=0).check()
    assert "wrong-and-secret" not in str(refused.value)


def test_a_hub_keeps_what_is_pushed_in_its_bucket(credentials, connect, new_pack, tmp_path):
    data = tmp_path / "hub"
    command = [sys.executable, "-m", "hub_server", "--data", str(data), "--port", "0", "--storage", credentials.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            hub = connect(process.stdout.readline().rpartition(" ")[2].strip(), data)
            project = hub.new_project()
            pushed = project.push(files={"a.txt": b"content"})
            path = f"{project.base}/commits/{pushed.commit}/content?path=a.txt"
            assert hub.request("GET", path, token=project.token).content == b"content"
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert not list(data.glob("packs/*/*"))
    assert list(BucketStorage(credentials.url, os.environ).packs())
