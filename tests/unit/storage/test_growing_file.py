"""Files that are written in blocks: the same bytes whichever way they take."""

from __future__ import annotations

import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest

from committer.storage import growing_file
from committer.storage.growing_file import BLOCK, GrowingFile

SIZES = [0, 1, 4095, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17]


@pytest.fixture
def blocks() -> list[bytes]:
    """What was announced before it was written."""
    return []


@pytest.fixture(params=["here", "memory"])
def path(request, tmp_path):
    """A place on a disk, or on a file system that may have no way past the page cache."""
    if request.param == "here":
        yield tmp_path / "file"
        return
    place = Path("/dev/shm") / f"dotscience-test-{os.getpid()}"
    yield place
    place.unlink(missing_ok=True)


@pytest.fixture
def make(path, blocks):
    made = []

    def open_file():
        made.append(GrowingFile(path, lambda block: blocks.append(bytes(block))))
        return made[-1]

    yield open_file
    for one in made:
        one.close()


def write(file, data, cuts):
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        file.append(data[start:end])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cuts", [[], [1], [100, BLOCK, BLOCK + 5]])
def test_what_was_appended_is_in_the_file_and_was_announced(make, path, blocks, make_bytes, size, cuts):
    data, file = make_bytes(size, size), make()
    write(file, data, [cut for cut in cuts if cut < size])
    os.fsync(file.finish())
    file.close()
    assert path.read_bytes() == data
    assert b"".join(blocks) == data


def test_it_can_be_read_meanwhile_and_goes_on(make, path, blocks, make_bytes):
    data, file = make_bytes(4 * BLOCK, 1), make()
    done = 0
    for end in (10, BLOCK - 3, BLOCK + 7, 2 * BLOCK, 3 * BLOCK + 1, 4 * BLOCK):
        file.append(data[done:end])
        done = end
        assert os.pread(file.readable(), len(data), 0) == data[:end]
    file.finish()
    assert path.read_bytes() == data
    assert b"".join(blocks) == data


@pytest.mark.parametrize("refusal", ["open", "write"])
def test_without_a_way_past_the_page_cache_it_takes_the_other(make, path, make_bytes, monkeypatch, refusal):
    refused = []

    def refuse(*arguments, **options):
        flags = fcntl_flags(arguments[0]) if refusal == "write" else arguments[1]
        if flags & os.O_DIRECT:
            refused.append(None)
            raise OSError(errno.EINVAL, "not here")
        return original(*arguments, **options)

    original = os.pwrite if refusal == "write" else os.open
    monkeypatch.setattr(os, "pwrite" if refusal == "write" else "open", refuse)
    data, file = make_bytes(3 * BLOCK + 5, 2), make()
    file.append(data)
    file.finish()
    monkeypatch.undo()
    assert path.read_bytes() == data
    assert len(refused) == 1, "it is asked for once"


def fcntl_flags(descriptor):
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL)


def test_a_system_that_knows_no_such_way_is_not_asked(make, path, make_bytes, monkeypatch):
    monkeypatch.setattr(growing_file, "_DIRECT", 0)
    data, file = make_bytes(2 * BLOCK, 3), make()
    file.append(data)
    file.finish()
    assert path.read_bytes() == data


def test_a_full_disk_is_not_taken_for_a_missing_way(make, make_bytes, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    file = make()
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full") as caught:
        file.append(make_bytes(BLOCK, 4))
    assert caught.value.errno == errno.ENOSPC


def test_nothing_is_written_over_and_closing_twice_is_nothing(make, path):
    file = make()
    with pytest.raises(FileExistsError):
        make()
    file.close()
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600
