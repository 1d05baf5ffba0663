"""Reading files of points, which anybody may have written."""

import fcntl
import os
from uuid import uuid4

import msgspec
import pytest

from committer.sync.points import MAX_BATCH, MAX_PIECE_BYTES, MAX_RECORD_BYTES, PointsFile, drop_beyond, points_files
from dotscience.errors import WireFormatError
from dotscience.record import RunRecord, decode_json, encode_json

OTHER = "3f0f6f0a-6c5e-4b8e-9d40-6b8f0a5c1d11"


def line(step, name="loss", value=0.5):
    return msgspec.json.encode([name, step, 1_790_000_000_000_000 + step, value]) + b"\n"


@pytest.fixture
def make(tmp_path):
    """Write a file with this after its first line."""

    def write(data=b"", *, first=None, run_id=None):
        run_id = run_id or str(uuid4())
        first = encode_json(RunRecord(run_id=run_id)) if first is None else first
        path = tmp_path / f"{run_id}.points"
        path.write_bytes(first + b"\n" + data)
        return path

    return write


def read_all(path, *, to_the_end=False):
    """All pieces; each begins where the one before ended."""
    pieces, position = [], 0
    with PointsFile(path) as file:
        while True:
            piece = file.read(position, to_the_end=to_the_end)
            assert piece.start == position
            pieces.append(piece)
            position = piece.end
            if not piece.more:
                return pieces


def steps(pieces):
    return [point[1] for piece in pieces for point in piece.points]


def test_points_are_read_in_pieces_that_follow_each_other(make):
    path = make(b"".join(map(line, range(12_001))))
    pieces = read_all(path)
    assert [len(piece.points) for piece in pieces] == [MAX_BATCH, MAX_BATCH, 2_001]
    assert steps(pieces) == list(range(12_001))
    assert pieces[-1].end == path.stat().st_size


def test_pieces_are_bounded_in_bytes_too(make):
    path = make(b"".join(line(step, "n" * 400) for step in range(4_000)))
    pieces = read_all(path)
    assert steps(pieces) == list(range(4_000))
    assert len(pieces) > 2
    assert all(piece.end - piece.start <= MAX_PIECE_BYTES + 1_000 for piece in pieces)


def test_a_line_without_end_is_waited_for_and_given_up_in_the_end(make):
    path = make(line(1) + line(2)[:-5])
    (piece,) = read_all(path)
    assert steps([piece]) == [1]
    (last,) = read_all(path, to_the_end=True)
    assert steps([last]) == [1]
    assert last.end == path.stat().st_size
    with path.open("ab") as file:
        file.write(line(2)[-5:] + line(3))
    with PointsFile(path) as file:
        assert steps([file.read(piece.end, to_the_end=False)]) == [2, 3]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\0\0\0",
        b"\xff\xfe",
        b'["loss"]',
        b'["loss",1,2,"high"]',
        b'["loss",1.5,2,3]',
        b'["loss",9007199254740992,2,3]',
        b'["loss",1,-1,3]',
        b'["loss",1,2,1e999]',
        b'["loss",1,2,NaN]',
        b'["loss",1,2,3,4]',
        b'["' + b"x" * 501 + b'",1,2,3]',
        b"[" * 100_000,
        b'{"schema":"dotscience.run.v1"}',
    ],
)
def test_lines_that_are_no_points_are_left_out_and_counted(make, bad):
    pieces = read_all(make(line(1) + bad + b"\n" + line(2)))
    assert steps(pieces) == [1, 2]
    assert sum(piece.unreadable for piece in pieces) == 1


def test_a_line_that_never_ends_is_skipped(make):
    pieces = read_all(make(line(1) + b"x" * (3 * MAX_PIECE_BYTES) + b"\n" + line(2)))
    assert steps(pieces) == [1, 2]


@pytest.mark.parametrize("first", [b"", b"{}", b"\xff", b"[1]", encode_json(RunRecord(run_id=OTHER))])
def test_a_file_that_begins_with_no_record_of_its_run_is_refused(make, first):
    with PointsFile(make(first=first)) as file, pytest.raises(WireFormatError):
        file.record()


def test_a_first_line_without_end_is_refused(make):
    path = make()
    path.write_bytes(b"x" * 10_000_000)
    with PointsFile(path) as file, pytest.raises(WireFormatError, match="has no end"):
        file.record()


def test_a_record_that_is_too_large_goes_without_its_values(make):
    run_id = str(uuid4())
    large = RunRecord(run_id=run_id, parameters={"text": "x" * MAX_RECORD_BYTES})
    path = make(line(1), first=encode_json(large), run_id=run_id)
    with PointsFile(path) as file:
        record = decode_json(file.record(), RunRecord)
    assert (record.run_id, record.parameters) == (run_id, {})
    assert steps(read_all(path)) == [1]


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, kind):
    path = tmp_path / f"{uuid4()}.points"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("/etc/hostname")
    with pytest.raises(OSError, match=r"regular|symbolic"):
        PointsFile(path)


def test_only_files_that_are_named_after_a_run_are_looked_at(tmp_path, make):
    path = make()
    for name in ("a.points", f"{uuid4()}.json", f".{uuid4()}.points.tmp", f"{str(uuid4()).upper()}.points"):
        (tmp_path / name).touch()
    assert points_files(tmp_path) == [path]
    assert points_files(tmp_path / "missing") == []


def test_a_file_is_held_as_long_as_somebody_has_its_lock(make):
    path = make()
    with path.open() as writer, PointsFile(path) as file:
        assert not file.is_held()
        fcntl.flock(writer, fcntl.LOCK_SH)
        assert file.is_held()
        assert file.is_held()
    with PointsFile(path) as file:
        assert not file.is_held()


def test_the_oldest_files_that_nobody_holds_are_dropped(tmp_path, make):
    paths = [make(b"x" * 10_000) for _ in range(4)]
    for age, path in enumerate(paths):
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    size = sum(path.stat().st_size for path in paths)
    assert drop_beyond(tmp_path, size) == []
    with paths[0].open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert drop_beyond(tmp_path, size // 2) == paths[1:3]
    assert set(points_files(tmp_path)) == {paths[0], paths[3]}
