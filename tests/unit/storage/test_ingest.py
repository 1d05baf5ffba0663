"""What is stored for a file depends on its bytes alone, and little is read where little changed."""

from __future__ import annotations

import os
import random

import pytest

from committer.storage import ingest as ingest_module
from committer.storage.chunking import LARGE_FILE, SMALLEST
from committer.storage.chunks import read_chunks
from committer.storage.ingest import FileIngest
from committer.storage.ranges import Range
from committer.storage.reader import read_file
from committer.storage.store import ObjectStore
from committer.storage.tree import EntryKind, TreeEntry
from dotscience.errors import DiskFull

SEED = int(os.environ.get("DS_TEST_SEED") or random.SystemRandom().randrange(2**32))
ZEROS_MAX = 2**18


@pytest.fixture
def ingest(store):
    with FileIngest(store) as made:
        yield made


@pytest.fixture
def fresh(tmp_path):
    """Stores a file as somebody does who knows nothing of it."""
    stores = []

    def put(path):
        with ObjectStore(tmp_path / f"fresh{len(stores)}", min_free_bytes=0) as store, FileIngest(store) as ingest:
            stores.append(store)
            return put_file(ingest, path)

    return put


def put_file(ingest, path, known=None, changed=None):
    with path.open("rb") as file:
        return ingest.put(file.fileno(), path.stat().st_size, known, changed)


def content_of(store, stored):
    entry = TreeEntry(b"f", stored.kind, 0o644, stored.size, 0, stored.hash)
    return b"".join(read_file(store, entry))


class Editor:
    """Does random things to a file, and knows where."""

    def __init__(self, path, seed):
        self._path = path
        self._random = random.Random(seed)
        self.changed: list[Range] = []

    def edit(self):
        size = self._path.stat().st_size
        kind = self._random.choice(["overwrite", "append", "truncate", "insert", "zero", "hole", "grow", "nothing"])
        start = self._random.randrange(size + 1)
        data = self._random.randbytes(self._random.randrange(1, 300_000))
        with self._path.open("r+b") as file:
            match kind:
                case "overwrite" | "zero":
                    data = data if kind == "overwrite" else bytes(len(data))
                    file.seek(start)
                    file.write(data)
                    self.changed = [Range(start, start + len(data))]
                case "append":
                    file.seek(size)
                    file.write(data)
                    self.changed = [Range(size, size + len(data))]
                case "truncate":
                    file.truncate(start)
                    self.changed = [Range(start, size)]
                case "insert":
                    rest = self._path.read_bytes()[start:]
                    file.seek(start)
                    file.write(data + rest)
                    self.changed = [Range(start, size + len(data))]
                case "hole":
                    rest = self._path.read_bytes()[start + len(data) :]
                    file.truncate(start)
                    file.truncate(max(size, start + len(data)))
                    file.seek(start + len(data))
                    file.write(rest)
                    self.changed = [Range(start, max(size, start + len(data)))]
                case "grow":
                    file.truncate(size + 4 * len(data))
                    self.changed = [Range(size, size + 4 * len(data))]
                case "nothing":
                    self.changed = []
        return kind


@pytest.mark.parametrize("tells", [False, True])
def test_what_is_stored_depends_on_the_bytes_alone(store, ingest, fresh, tmp_path, tells):
    print("seed", SEED)
    path = tmp_path / "file"
    path.write_bytes(
        random.Random(SEED).randbytes(700_000) + bytes(900_000) + random.Random(SEED + 1).randbytes(90_000)
    )
    editor = Editor(path, SEED)
    stored = put_file(ingest, path)
    for number in range(60):
        kind = editor.edit()
        stored = put_file(ingest, path, stored, editor.changed if tells else None)
        case = f"seed {SEED}, round {number}: {kind}"
        assert stored == fresh(path), case
        if number % 10 == 0:
            assert content_of(store, stored) == path.read_bytes(), case
        if path.stat().st_size > 6 * 2**20:
            os.truncate(path, 2**20 + number)
            stored = put_file(ingest, path, stored)


def test_what_is_stored_depends_on_the_bytes_alone_in_large_files_too(store, ingest, fresh, tmp_path, make_bytes):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(make_bytes(12 * 2**20))
        file.truncate(LARGE_FILE + 3 * 2**20)
        file.seek(LARGE_FILE)
        file.write(make_bytes(2 * 2**20, 1))
    first = put_file(ingest, path)
    with path.open("r+b") as file:
        file.seek(5 * 2**20)
        file.write(b"changed")
    changed = [Range(5 * 2**20, 5 * 2**20 + 7)]
    again = put_file(ingest, path, first, changed)
    assert again == put_file(ingest, path, first) == fresh(path)
    assert again != first
    assert content_of(store, again) == path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, SMALLEST, SMALLEST + 1, ZEROS_MAX, ZEROS_MAX + 1, 2**20 + 5])
@pytest.mark.parametrize("how", ["hole", "zeros", "bytes"])
def test_zeros_are_zeros_however_they_are_kept(store, ingest, tmp_path, make_bytes, size, how):
    path, written = tmp_path / "one", tmp_path / "other"
    if how == "hole":
        path.touch()
        os.truncate(path, size)
    else:
        path.write_bytes(make_bytes(size) if how == "bytes" else bytes(size))
    written.write_bytes(path.read_bytes())
    stored = put_file(ingest, path)
    assert stored == put_file(ingest, written)
    assert stored.size == size
    assert content_of(store, stored) == written.read_bytes()
    if how == "hole" and size > ZEROS_MAX:
        assert [chunk.hash for chunk in read_chunks(stored.hash, store.get)] == [None]


def counting(monkeypatch):
    """How many bytes are read from files."""
    read = []

    class Counting(ingest_module.Content):
        def read_into(self, buffer, position):
            read.append(super().read_into(buffer, position))
            return read[-1]

    monkeypatch.setattr(ingest_module, "Content", Counting)
    return read


def test_only_what_changed_is_read_where_that_is_known(ingest, tmp_path, make_bytes, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(make_bytes(16 * 2**20))
    known = put_file(ingest, path)
    read = counting(monkeypatch)
    assert put_file(ingest, path, known, []) == known
    assert sum(read) == 0
    with path.open("r+b") as file:
        file.seek(7 * 2**20)
        file.write(b"changed")
    put_file(ingest, path, known, [Range(7 * 2**20, 7 * 2**20 + 7)])
    assert 0 < sum(read) < 2**20


def test_nothing_is_stored_again(store, ingest, tmp_path, make_bytes):
    path = tmp_path / "file"
    path.write_bytes(make_bytes(8 * 2**20))
    known = put_file(ingest, path)
    store.commit(lambda _: None)
    for again in (known, None):
        assert put_file(ingest, path, again) == known
    assert store.put_bytes() == 0


def test_known_content_that_is_lost_is_stored_again(store, ingest, fresh, tmp_path, make_bytes):
    path = tmp_path / "file"
    path.write_bytes(make_bytes(4 * 2**20))
    known = put_file(ingest, path)
    store.commit(lambda _: None)
    lost = read_chunks(known.hash, store.get)[3].hash
    with store.transaction() as connection:
        connection.execute("DELETE FROM object WHERE hash = ?", (lost,))
    assert put_file(ingest, path, known, []) == known
    assert store.has(lost)


def test_a_file_that_cannot_be_read_to_its_end_does_not_spoil_the_next(
    store, ingest, tmp_path, make_bytes, monkeypatch
):
    path = tmp_path / "file"
    path.write_bytes(make_bytes(4 * 2**20))

    class Failing(ingest_module.Content):
        def read_into(self, buffer, position):
            if position:
                raise OSError("bad sector")
            return super().read_into(buffer[: 2**20], position)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "Content", Failing)
        with pytest.raises(OSError, match="bad sector"):
            put_file(ingest, path)
    stored = put_file(ingest, path)
    assert content_of(store, stored) == path.read_bytes()


def test_a_full_disk_is_told_and_the_next_file_can_be_put(store, ingest, tmp_path, make_bytes, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(make_bytes(20 * 2**20))

    def full(*_):
        raise DiskFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "require_free_space", full)
        with pytest.raises(DiskFull):
            put_file(ingest, path)
    stored = put_file(ingest, path)
    assert stored.kind is EntryKind.CHUNKED_FILE
    assert content_of(store, stored) == path.read_bytes()
