from __future__ import annotations

import mmap
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from support.requirements import lacks

from committer.storage import capture as capture_module
from committer.storage import ingest as ingest_module
from committer.storage import walk as walk_module
from committer.storage.ignore import DEFAULT_IGNORE, IgnoreRules, load_ignore
from committer.storage.pack import iterate_records
from committer.storage.reader import read_file, resolve, walk
from committer.storage.snapshot import take_snapshot
from committer.storage.store import ObjectStore
from committer.storage.tree import Attribute, EntryKind
from committer.workspace.source import Dirty
from committer.workspace.stat import SETTLE_FROM, Sight, StatSource, pack_signatures, read_directory, signature_of
from dotscience.errors import DiskFull, SnapshotError


def test_everything_in_a_folder_comes_back(root, store, snap, restore, make_bytes):
    (root / "empty folder").mkdir()
    (root / "empty").touch()
    (root / "code").mkdir()
    (root / "code" / "train.py").write_text("print(1)\n")
    (root / "code" / "medium.bin").write_bytes(make_bytes(3_000_000))
    (root / "to nowhere").symlink_to("/no/such/place")
    (root / "loop").symlink_to(".")
    snapshot = snap()
    assert restore(store, snapshot.root_hash) == {
        b"code": None,
        b"code/medium.bin": make_bytes(3_000_000),
        b"code/train.py": b"print(1)\n",
        b"empty": b"",
        b"empty folder": None,
        b"loop": b"-> .",
        b"to nowhere": b"-> /no/such/place",
    }
    assert snapshot.files == 5
    assert snapshot.size == 3_000_000 + 9 + 1 + len("/no/such/place")
    assert snapshot.consistency == "stable"
    assert snapshot.unstable == snapshot.skipped == snapshot.changed == []


def test_modes_and_times_are_kept(root, store, snap):
    path = root / "run.sh"
    path.write_text("x")
    path.chmod(0o4750)
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    entry = resolve(store, snap().root_hash, "run.sh")
    assert (entry.mode, entry.mtime_ns, entry.size) == (0o4750, 1_234_567_890_123_456_789, 1)


@pytest.mark.parametrize("seconds", [-1, 0, 2**33, 2**40])
def test_times_that_no_format_can_hold_do_not_stop_a_snapshot(root, store, snap, seconds):
    (root / "f").write_text("x")
    os.utime(root / "f", (seconds, seconds))
    assert restore_names(store, snap().root_hash) == [b"f"]


def restore_names(store: ObjectStore, tree: bytes) -> list[bytes]:
    return [path for path, _ in walk(store, tree)]


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 65_536, 262_144, 262_145, 1_048_576, 1_048_577, 5_000_000])
def test_files_of_every_size_come_back(root, store, snap, restore, make_bytes, size):
    (root / "f").write_bytes(make_bytes(size))
    assert restore(store, snap().root_hash) == {b"f": make_bytes(size)}


def test_a_large_file_never_sits_in_memory_and_shares_its_chunks(root, store, snap, make_bytes):
    block = make_bytes(2**20)
    with (root / "f").open("wb") as file:
        for number in range(80):
            file.write(number.to_bytes(4) + block[4:])
    first = snap()
    with (root / "f").open("r+b") as file:
        file.seek(40 * 2**20 + 17)
        file.write(b"changed")
    second = snap(first.root_hash)
    assert second.changed == [b"f"]
    assert second.new_bytes < 9 * 2**20
    entry = resolve(store, second.root_hash, "f")
    assert entry.kind is EntryKind.CHUNKED_FILE
    pieces = list(read_file(store, entry))
    assert max(map(len, pieces)) <= 4 * 2**20
    assert b"".join(pieces) == (root / "f").read_bytes()


def test_an_insertion_shares_the_chunks_around_it(root, snap, make_bytes):
    data = make_bytes(4_000_000)
    (root / "f").write_bytes(data)
    snap()
    (root / "f").write_bytes(data[:2_000_000] + b"inserted" + data[2_000_000:])
    assert snap().new_bytes < 700_000


def test_nothing_changed_means_nothing_stored_and_nothing_read(root, store, snap, age, make_bytes):
    for number in range(5):
        (root / f"d{number}").mkdir()
        (root / f"d{number}" / "f").write_bytes(make_bytes(100, number))
    first = snap()
    age()
    unreadable = root / "d1" / "f"
    before = unreadable.stat()
    packs = store.packs()
    second = snap(first.root_hash)
    assert second.root_hash == first.root_hash
    assert (second.files, second.size, second.new_bytes, second.changed) == (5, 500, 0, [])
    assert store.packs() == packs
    assert unreadable.stat().st_atime_ns == before.st_atime_ns


def test_changes_are_named(root, snap):
    for name in ("same", "edited", "removed", "touched"):
        (root / name).write_text(name)
    (root / "d").mkdir()
    first = snap()
    (root / "edited").write_text("new")
    (root / "removed").unlink()
    os.utime(root / "touched", (1, 1))
    (root / "d" / "added").write_text("x")
    assert snap(first.root_hash).changed == [b"d/added", b"edited", b"removed"]


def test_a_rewrite_within_one_tick_is_seen(root, store, snap, restore):
    """Same size, same inode, times put back: only a file noted long after its last change may be trusted."""
    path = root / "f"
    path.write_text("old")
    first = snap()
    status = path.stat()
    with path.open("r+") as file:
        file.write("new")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = snap(first.root_hash)
    assert restore(store, second.root_hash) == {b"f": b"new"}
    assert second.changed == [b"f"]


def test_a_file_whose_clock_stands_still_is_read_again_while_it_is_young(root, store, snap, restore, monkeypatch):
    """As on a kernel that stamps two writes alike: the signature is the same, and the content is not."""
    path = root / "f"
    path.write_text("old")
    frozen = signature_of(path.stat())

    def read_frozen(descriptor: int) -> Sight:
        return Sight(b"f", pack_signatures([frozen])) if os.listdir(descriptor) == ["f"] else read_directory(descriptor)

    monkeypatch.setattr(walk_module, "read_directory", read_frozen)
    monkeypatch.setattr(capture_module, "signature_of", lambda status: frozen)
    snap()
    path.write_text("new")
    assert restore(store, snap().root_hash) == {b"f": b"new"}


def test_restored_times_do_not_hide_a_change(root, store, snap, age, restore):
    path = root / "f"
    path.write_text("old")
    os.utime(path, (1, 1))
    snap()
    age()
    path.write_text("new")
    os.utime(path, (1, 1))
    assert restore(store, snap().root_hash) == {b"f": b"new"}


def test_a_store_through_a_mapping_is_seen(root, store, snap, restore):
    path = root / "f.npy"
    path.write_bytes(b"a" * 4096)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapping:
        mapping[0:1] = b"b"
        snap()
        mapping[0:1] = b"c"
        assert restore(store, snap().root_hash)[b"f.npy"][:1] == b"c"


@pytest.mark.parametrize("name", ["f.npy", "large"])
def test_a_store_to_a_page_that_was_dirty_already_is_seen_however_old_the_file_is(
    root, store, snap, age, restore, name
):
    size = 4096 if name == "f.npy" else SETTLE_FROM
    path = root / name
    path.write_bytes(b"a" * size)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), size) as mapping:
        mapping[0:1] = b"b"
        snap()
        age()
        mapping[0:1] = b"c"
        assert restore(store, snap().root_hash)[name.encode()][:1] == b"c"


def test_a_file_that_keeps_growing_is_saved_and_named(root, store, snap, monkeypatch):
    path = root / "log"
    path.write_text("line\n")
    (root / "quiet").write_text("x")

    read = os.pread

    def read_while_it_grows(descriptor: int, size: int, offset: int) -> bytes:
        with path.open("a") as file:
            file.write("more\n")
        return read(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", read_while_it_grows)
    snapshot = snap()
    assert snapshot.consistency == "fuzzy"
    assert b"log" in snapshot.unstable
    entry = resolve(store, snapshot.root_hash, "log")
    assert b"".join(read_file(store, entry)).startswith(b"line\nmore\n")
    monkeypatch.undo()
    after = snap(snapshot.root_hash)
    assert after.consistency == "stable"
    assert after.changed == [b"log"]


def test_a_file_that_shrinks_while_it_is_read_kills_nobody(root, snap, monkeypatch):
    path = root / "f"
    path.write_bytes(bytes(3_000_000))

    class ShrinkingContent(ingest_module.Content):
        def read_into(self, buffer: memoryview, position: int) -> int:
            if path.stat().st_size > 10:
                os.truncate(path, 10)
            return super().read_into(buffer, position)

    monkeypatch.setattr(ingest_module, "Content", ShrinkingContent)
    snapshot = snap()
    assert (snapshot.consistency, snapshot.files, snapshot.size) == ("stable", 1, 10)


def test_what_is_no_file_is_named_and_never_blocks(root, store, snap):
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        (root / "f").write_text("x")
        snapshot = snap()
    assert [path for path, _ in snapshot.skipped] == [b"fifo", b"s"]
    assert restore_names(store, snapshot.root_hash) == [b"f"]


def test_a_device_is_named_and_never_read(root, store, snap):
    if os.geteuid():
        lacks("needs root, to make a device")
    for name, kind, device in (("zero", stat.S_IFCHR, os.makedev(1, 5)), ("loop", stat.S_IFBLK, os.makedev(7, 999))):
        os.mknod(root / name, kind | 0o600, device)
    (root / "f").write_text("x")
    snapshot = snap()
    assert [path for path, _ in snapshot.skipped] == [b"loop", b"zero"]
    assert restore_names(store, snapshot.root_hash) == [b"f"]


def test_a_file_of_8_gibibytes_with_hardly_anything_in_it_costs_what_is_in_it(root, store, snap):
    with (root / "sparse").open("wb") as file:
        file.truncate(8 * 2**30)
        file.seek(5 * 2**30)
        file.write(b"here")
    snapshot = snap()
    assert snapshot.size == 8 * 2**30
    assert snapshot.new_bytes < 2**20
    entry = resolve(store, snapshot.root_hash, "sparse")
    assert b"".join(read_file(store, entry, 5 * 2**30 - 1, 5 * 2**30 + 5)) == b"\0here\0"


def test_a_file_that_becomes_a_fifo_between_listing_and_opening_does_not_block(root, store, snap, monkeypatch):
    path = root / "f"
    path.write_text("x")
    real = walk_module.read_directory

    def swap(descriptor: int):
        found = real(descriptor)
        path.unlink()
        os.mkfifo(path)
        return found

    monkeypatch.setattr(walk_module, "read_directory", swap)
    assert snap().skipped == [(b"f", "changed its type while the folder was read")]


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc"])
def test_a_swap_for_a_link_leads_nowhere(root, store, snap, monkeypatch, target):
    path = root / "f"
    path.mkdir() if target == "/etc" else path.write_text("x")
    real = walk_module.read_directory

    def swap(descriptor: int):
        found = real(descriptor)
        if path.is_symlink():
            return found
        path.rmdir() if path.is_dir() else path.unlink()
        path.symlink_to(target)
        return found

    monkeypatch.setattr(walk_module, "read_directory", swap)
    snapshot = snap()
    assert [path for path, _ in snapshot.skipped] == [b"f"]
    assert restore_names(store, snapshot.root_hash) == []


def test_a_file_that_vanishes_is_no_error(root, store, snap, monkeypatch):
    (root / "f").write_text("x")
    (root / "kept").write_text("x")
    real = walk_module.read_directory

    def remove(descriptor: int):
        found = real(descriptor)
        (root / "f").unlink()
        return found

    monkeypatch.setattr(walk_module, "read_directory", remove)
    snapshot = snap()
    assert snapshot.skipped == []
    assert restore_names(store, snapshot.root_hash) == [b"kept"]


def test_strange_names_come_back(root, store, snap, restore):
    names = [b"not utf-8 \xff\xfe", b"new\nline", b"-rf", b"n" * 255, b"CON", b"a\\b", b" "]
    names += ["\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), "e\N{COMBINING ACUTE ACCENT}".encode()]
    names += [b"README", b"readme", "\N{SNAKE}".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(name)
    assert restore(store, snap().root_hash) == {name: name for name in names}


def test_a_path_longer_than_the_system_allows_comes_back(root, store, snap, restore):
    name, depth = "d" * 250, 20
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(file, b"deep")
    os.close(file)
    os.close(here)
    path = b"/".join([name.encode()] * depth + [b"f"])
    assert len(path) > 4096
    assert restore(store, snap().root_hash)[path] == b"deep"


def test_folders_nested_too_deep_are_named_and_the_rest_saved(root, store, snap):
    deep = root.joinpath(*["d"] * 150)
    deep.mkdir(parents=True)
    (root / "z").write_text("x")
    snapshot = snap()
    assert [reason for _, reason in snapshot.skipped] == ["is more than 128 folders deep"]
    assert restore_names(store, snapshot.root_hash)[-1] == b"z"


def test_what_may_not_be_read_is_named_and_the_rest_saved(root, store, snap, monkeypatch):
    """Root may read anything, so the refusal is put where the system call is."""
    for name in ("secret", "open"):
        (root / name).write_text("x")
    (root / "closed").mkdir()
    real = os.open

    def refuse(path, *args, **kwargs):
        if path in (b"secret", b"closed"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    snapshot = snap()
    assert snapshot.skipped == [(name, "cannot be read: Permission denied") for name in (b"closed", b"secret")]
    assert restore_names(store, snapshot.root_hash) == [b"open"]


def test_a_folder_tracked_on_its_own_is_left_to_itself(root, store, snap):
    for folder in (root, root / "inner"):
        (folder / ".dotscience").mkdir(parents=True)
        (folder / ".dotscience" / "project.toml").write_text("version = 1")
        (folder / "f").write_text("x")
    snapshot = snap()
    assert restore_names(store, snapshot.root_hash) == [b"f"]
    assert snapshot.skipped == [(b"inner", "is tracked on its own")]


def test_new_ignore_rules_apply_to_files_already_known(root, store, snap, age):
    (root / "f.log").write_text("x")
    (root / "kept").write_text("x")
    first = snap()
    age()
    (root / ".dotscienceignore").write_text("*.log\n")
    second = snap(first.root_hash)
    assert restore_names(store, second.root_hash) == [b".dotscienceignore", b"kept"]
    assert second.changed == [b".dotscienceignore", b"f.log"]
    age()
    (root / ".dotscienceignore").write_text("")
    assert restore_names(store, snap().root_hash) == [b".dotscienceignore", b"f.log", b"kept"]


def test_secrets_never_reach_a_pack(root, store, snap):
    secret = b"hunter2-do-not-store"
    patterns = [line for line in DEFAULT_IGNORE.splitlines() if line and not line.startswith("#")]
    places = [pattern.removeprefix("**/").replace("*", "x") for pattern in patterns]
    places += [".dotscience", ".config/dotscience", "jupyter_cookie_secret", "jpserver-1.json", "a\nb/.env"]
    for place in places:
        for parent in (root, root / "sub"):
            path = parent / place
            path.mkdir(parents=True, exist_ok=True)
            (path / "file").write_bytes(secret)
            other = parent / "as files" / place
            other.parent.mkdir(parents=True, exist_ok=True)
            if not other.exists() and "dotscience" not in place and not place.startswith(".local/share"):
                other.write_bytes(secret)
    (root / "work.py").write_bytes(b"the work")
    (root / "link").symlink_to(".env")
    snapshot = snap()
    contents = []
    for pack in store.packs():
        with store.open_pack(pack) as file:
            contents += [record.data for record in iterate_records(file)]
    assert b"the work" in contents
    assert not [data for data in contents if secret in data]
    assert resolve(store, snapshot.root_hash, "work.py").size == 8


def test_too_little_room_stops_before_anything_is_read(root, tmp_path):
    with ObjectStore(tmp_path / "full", min_free_bytes=2**62) as store, pytest.raises(DiskFull):
        take_snapshot(store, root, ignore=IgnoreRules())


def test_a_root_that_is_gone_is_an_error(root, store):
    root.rmdir()
    with pytest.raises(SnapshotError, match="cannot be read"):
        take_snapshot(store, root, ignore=IgnoreRules())


def test_a_snapshot_dropped_leaves_the_next_one_right(root, store, snap, restore):
    (root / "f").write_text("x")
    take_snapshot(store, root, ignore=load_ignore(root))
    store.rollback()
    assert restore(store, snap().root_hash) == {b"f": b"x"}


def test_after_packs_are_lost_everything_is_stored_again(root, store_folder, restore):
    (root / "f").write_text("x")
    os.utime(root / "f", (1, 1))
    for _ in range(2):
        with ObjectStore(store_folder, min_free_bytes=0) as store:
            snapshot = take_snapshot(store, root, ignore=load_ignore(root))
            store.commit(lambda connection: None)
            assert restore(store, snapshot.root_hash) == {b"f": b"x"}
        for path in (store_folder / "packs").glob("??/*"):
            path.unlink()


def test_a_folder_in_use_is_read_without_error(root, store, snap, restore):
    """Files come, go, change and swap types all through a few snapshots; each of them is whole and can be read."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = root / f"f{number % 20}"
            try:
                if path.is_dir():
                    path.rmdir()
                elif path.is_symlink() or number % 3 == 0:
                    path.unlink(missing_ok=True)
                elif number % 7 == 0 and not path.exists():
                    path.mkdir()
                else:
                    path.write_bytes(b"x" * (number % 1000))
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(20):
            restore(store, snap().root_hash)
    finally:
        stop.set()
        thread.join()
    assert failures == []
    final = snap()
    disk = {os.fsencode(p.name): None if p.is_dir() else p.read_bytes() for p in root.iterdir()}
    assert restore(store, final.root_hash) == disk


def test_names_of_one_file_share_its_inode_and_a_lone_name_has_none(root, store, snap):
    (root / "d").mkdir()
    (root / "a").write_text("x")
    (root / "lone").write_text("x")
    os.link(root / "a", root / "d" / "b")
    tree = snap().root_hash
    inode = (root / "a").stat().st_ino
    assert [resolve(store, tree, path).link for path in ("a", "d/b", "lone")] == [inode, inode, 0]
    (root / "d" / "b").unlink()
    assert resolve(store, snap().root_hash, "a").link == 0


class ToldSource(StatSource):
    """A source that knows of changes in one directory and of no other."""

    def __init__(self, directory):
        self._directory = directory

    def changed_since(self, cursor):
        return Dirty(frozenset({self._directory}), sees_mappings=False)


def test_a_new_name_in_place_of_one_with_others_is_one_more_name_of_its_file(root, store):
    """Nobody reports a new name for the directory of the first (link(2)); `shared` had another before, too."""
    for directory in ("first", "second"):
        (root / directory).mkdir()
    (root / "first" / "a").write_text("a")
    (root / "second" / "shared").write_text("b")
    os.link(root / "second" / "shared", root / "second" / "other")
    source = ToldSource(b"second")
    take_snapshot(store, root, ignore=load_ignore(root), source=source)
    store.commit(lambda connection: None)
    os.link(root / "first" / "a", root / "second" / "new")
    (root / "second" / "new").rename(root / "second" / "shared")
    tree = take_snapshot(store, root, ignore=load_ignore(root), source=source).root_hash
    inode = (root / "first" / "a").stat().st_ino
    assert [resolve(store, tree, path).link for path in ("first/a", "second/shared")] == [inode, inode]


def test_user_attributes_are_part_of_a_tree_and_no_others(root, store, snap, age):
    (root / "d").mkdir()
    (root / "f").write_text("x")
    before = snap().root_hash
    age()
    for path in (root / "d", root / "f"):
        os.setxattr(path, "user.b", b"\0")
        os.setxattr(path, "user.a", b"")
    if os.geteuid() == 0:
        os.setxattr(root / "f", "trusted.secret", b"x")
    tree = snap(before).root_hash
    for path in ("d", "f"):
        assert resolve(store, tree, path).attributes == (Attribute(b"a", b""), Attribute(b"b", b"\0")), path


def test_more_attributes_than_a_tree_holds_are_named(root, store, snap, monkeypatch):
    monkeypatch.setattr(capture_module, "MAX_XATTRS", 4)
    (root / "f").write_text("x")
    os.setxattr(root / "f", "user.name", b"value")
    for _ in range(2):
        snapshot = snap()
        assert snapshot.skipped == [(b"f", capture_module.TOO_MANY_ATTRIBUTES)]
        assert resolve(store, snapshot.root_hash, "f").attributes == ()
