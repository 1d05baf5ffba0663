"""Uploads: whatever ends one, nothing half is left."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager

import pytest

from committer.storage.objects import digest
from committer.storage.pack import pack_path
from dotscience.errors import CorruptObject, SnapshotError, StorageUnavailable
from hub_server.content.local import LocalStorage
from hub_server.content.packs import Packs
from hub_server.content.staging import FLUSH_SIZE


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


@pytest.fixture
def folder(tmp_path):
    return Packs(tmp_path, LocalStorage(tmp_path))


@contextmanager
def no_room():
    """Nothing larger than a page can be written (setrlimit(2)); the interpreter turns the signal into an OSError.

    It holds for all that the process writes, the test run's own output in a file as well: so for one call only.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_upload_touches_no_disk_before_it_is_flushed(folder, staging):
    upload = folder.begin()
    assert not upload.add(b"x" * (FLUSH_SIZE - 1))
    assert not list(staging.iterdir())
    assert upload.add(b"x")
    upload.flush()
    assert [path.stat().st_mode & 0o777 for path in staging.iterdir()] == [0o600]
    upload.discard()
    assert not list(staging.iterdir())


def test_an_upload_that_found_no_room_leaves_nothing(folder, staging):
    upload = folder.begin()
    upload.add(b"x" * 10_000)
    with pytest.raises(SnapshotError), no_room():
        upload.flush()
    upload.discard()
    upload.discard()
    assert not list(staging.iterdir())


def test_a_discarded_upload_takes_nothing_more(folder, staging):
    upload = folder.begin()
    upload.add(b"x" * FLUSH_SIZE)
    upload.discard()
    upload.flush()
    assert not list(staging.iterdir())


def test_what_a_crash_left_is_swept(tmp_path, folder, staging):
    upload = folder.begin()
    upload.add(b"x")
    upload.flush()
    Packs(tmp_path, LocalStorage(tmp_path)).sweep()
    assert not list(staging.iterdir())
    upload.discard()


def test_a_pack_decompresses_to_so_much_and_no_more(folder, pack_bytes):
    upload = folder.begin()
    upload.add(pack_bytes)
    with pytest.raises(CorruptObject, match="8 bytes, more than the 7"):
        upload.verify(digest(pack_bytes), max_plain=7)
    assert len(upload.verify(digest(pack_bytes), max_plain=8)) == 1
    upload.discard()


def test_a_damaged_pack_is_mended_by_sending_it_again(tmp_path, folder, pack_bytes):
    name = digest(pack_bytes)
    place = tmp_path / "packs" / name.hex()[:2] / name.hex()
    for _ in range(2):
        upload = folder.begin()
        upload.add(pack_bytes)
        (entry,) = upload.verify(name)
        upload.keep()
        upload.discard()
        assert folder.read(name, entry) == b"precious"
        place.write_bytes(b"damaged")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EACCES, errno.ESTALE])
def test_what_passes_is_no_damage(folder, tmp_path, monkeypatch, number):
    """Nor is the pack asked for again: nothing is wrong with it."""
    keep(tmp_path, b"content")
    monkeypatch.setattr(os, "open", failing(os.open, number))
    with pytest.raises(StorageUnavailable):
        folder.check(digest(b"content"), 7)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT])
def test_what_a_disk_has_lost_is_damage(folder, tmp_path, monkeypatch, number):
    keep(tmp_path, b"content")
    assert folder.check(digest(b"content"), 7)
    monkeypatch.setattr(os, "open", failing(os.open, number))
    assert not folder.check(digest(b"content"), 7)


def keep(root, data):
    path = pack_path(root, digest(data))
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def failing(before, number):
    """`os.open`, for which a pack's file fails with this error."""

    def attempt(path, *arguments, **more):
        if "packs" in str(path):
            raise OSError(number, os.strerror(number))
        return before(path, *arguments, **more)

    return attempt
