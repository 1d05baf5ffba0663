from __future__ import annotations

from pathlib import Path

import pytest

from committer.storage.ignore import load_ignore
from committer.storage.reader import read_file, walk
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore, StoreReader


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(store_folder: Path):
    with ObjectStore(store_folder, min_free_bytes=0) as opened:
        yield opened


@pytest.fixture
def snap(store: ObjectStore, root: Path):
    """Takes a snapshot of the workspace and commits it."""

    def take(previous: bytes | None = None):
        snapshot = take_snapshot(store, root, ignore=load_ignore(root), previous=previous)
        store.commit(lambda connection: None)
        return snapshot

    return take


@pytest.fixture
def restore():
    """What a tree holds: content of files, `-> target` of links and None of directories, by path."""

    def read(reader: StoreReader, tree: bytes) -> dict[bytes, bytes | None]:
        found: dict[bytes, bytes | None] = {}
        for path, entry in walk(reader, tree):
            if entry.is_file:
                found[path] = b"".join(read_file(reader, entry))
            else:
                found[path] = b"-> " + entry.content if entry.kind.name == "SYMLINK" else None
        return found

    return read


@pytest.fixture
def age(store: ObjectStore):
    """Makes everything known about unchanged files look old enough to be trusted, without waiting for two seconds."""

    def make_old() -> None:
        with store.transaction() as connection:
            connection.execute("UPDATE stat_listing SET noted_ns = noted_ns + ?", (3600 * 10**9,))

    return make_old


@pytest.fixture
def make_bytes():
    """Incompressible bytes, the same for the same seed."""
    from blake3 import blake3

    return lambda size, seed=0: blake3(str(seed).encode()).digest(length=size)
