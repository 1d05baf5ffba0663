"""What earlier versions left on disk is read as it was written, goes on growing, and what newer ones left is refused.

`make_stores.py` wrote it; `docs/design/store-format.md` describes it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
import requests
from support.histories import push_all

from committer.history import History
from committer.storage.ignore import IgnoreRules
from committer.storage.index import FORMAT
from committer.storage.objects import Kind, decode_commit
from committer.storage.reader import read_file, resolve, walk
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore, StoreReader
from committer.storage.verify import verify
from committer.sync.transfer import Target
from dotscience.errors import NewerStore
from hub_server import app
from hub_server.settings import HubSettings

HERE = Path(__file__).parent
STORES = sorted(path.name for path in HERE.glob("store-v*"))
HUBS = sorted(path.name for path in HERE.glob("hub-v*"))


def unpack(name, folder):
    with tarfile.open(HERE / name / "data.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "data"


def expected(name):
    return json.loads((HERE / name / "expected.json").read_text())


@pytest.fixture(params=STORES)
def left(request, tmp_path):
    """A store as an earlier version left it, and what is in it."""
    return unpack(request.param, tmp_path / request.param), expected(request.param)


def content(reader, commit):
    """A commit's tree in the words of `expected.json`."""
    found = {}
    for path, entry in walk(reader, decode_commit(reader.get(bytes.fromhex(commit), Kind.COMMIT)).root):
        start = next(read_file(reader, entry), b"")[:40].decode() if entry.is_file else ""
        target = entry.content.decode() if entry.kind.name == "SYMLINK" else ""
        size = [entry.size] if entry.is_file else []
        found[repr(path)] = [entry.kind.name, entry.mode, *size, start or target]
    return found


def objects_of(folder):
    with StoreReader(folder) as reader:
        return {pack: reader.objects_in_pack(pack) for pack in reader.packs()}


def check(folder, wanted):
    with ObjectStore(folder, min_free_bytes=0) as store, History(folder) as history:
        assert history.ids() == list(wanted["commits"])
        assert history.committed_runs() == wanted["runs"]
        assert {commit: content(store, commit) for commit in wanted["commits"]} == wanted["commits"]
        found = verify(store, [bytes.fromhex(commit) for commit in wanted["commits"]], read_data=True)
        assert found.damage == []


def test_every_commit_is_read_and_nothing_is_damaged(left):
    check(*left)


def test_the_packs_alone_give_the_same_objects(left):
    folder, wanted = left
    before = objects_of(folder)
    (folder / "index.db").unlink()
    with ObjectStore(folder, min_free_bytes=0) as store:
        assert objects_of(folder) == before
        assert {commit: content(store, commit) for commit in wanted["commits"]} == wanted["commits"]
        assert [name for name in wanted["commits"] if not store.has(bytes.fromhex(name))] == []


def test_a_store_goes_on_growing_and_stores_nothing_twice(left, tmp_path):
    folder, wanted = left
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "new").write_text("new")
    with ObjectStore(folder, min_free_bytes=0) as store:
        head = decode_commit(store.get(bytes.fromhex(list(wanted["commits"])[-1])))
        large = resolve(store, head.root, "large")
        (root / "large").write_bytes(b"".join(read_file(store, large)))
        snapshot = take_snapshot(store, root, ignore=IgnoreRules(""), previous=head.root)
        store.commit(lambda connection: None)
        assert resolve(store, snapshot.root_hash, "large").content == large.content, "cut as it was"
        assert snapshot.new_bytes < 2_000
    check(folder, wanted)


def test_a_store_of_a_newer_version_is_refused_and_left_alone(left):
    folder, _ = left
    with closing(sqlite3.connect(folder / "index.db")) as connection, connection:
        connection.execute("UPDATE store_format SET version = ?", (FORMAT + 1,))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(NewerStore, match="upgrade this one: pip install"):
        ObjectStore(folder, min_free_bytes=0)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", HUBS)
def test_a_hub_brings_its_data_up_to_date_and_has_every_commit(name, tmp_path):
    data, wanted = unpack(name, tmp_path / name), expected(name.replace("hub", "store"))
    store = unpack(name.replace("hub", "store"), tmp_path / "store")
    asyncio.run(look(data, wanted, store))
    shutil.copytree(data, tmp_path / "again")
    asyncio.run(look(tmp_path / "again", wanted, store))


async def look(data, wanted, store):
    hub = await app.start(HubSettings(data=data, port=0))
    try:
        await asyncio.to_thread(check_hub, hub.url, (data / "admin.token").read_text().strip(), wanted, store)
    finally:
        await hub.stop()


def check_hub(url, token, wanted, store):
    def get(address, **params):
        answer = requests.get(
            f"{url}/api/v1/{address}", params=params, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        answer.raise_for_status()
        return answer

    project = get(f"dots/{wanted['dot']}").json()["project_id"]
    commits = [one["id"] for one in get(f"projects/{project}/commits").json()["items"]]
    assert commits == list(wanted["commits"])[::-1]
    assert {one["id"] for one in get(f"projects/{project}/runs").json()["items"]} == set(wanted["runs"])
    for commit in commits:
        _, _, size, start = wanted["commits"][commit]["b'notes.txt'"]
        found = get(f"projects/{project}/commits/{commit}/content", path="notes.txt").content
        assert (len(found), found[:40].decode()) == (size, start)
    push_all(store, Target(url=url, project_id=project, token=token, dot_id=wanted["dot"], host="box"))
    assert [one["id"] for one in get(f"projects/{project}/commits").json()["items"]] == commits
