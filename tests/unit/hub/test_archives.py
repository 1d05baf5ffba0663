"""Archives that somebody sent: what is read of them, and how those are refused that do harm or are broken."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import tarfile
import tracemalloc

import pytest
from support.legacy_client import entry, tar

from hub_server.content import archive
from hub_server.content.archive import BLOCK, MAX_EXTENDED, ArchiveKind, read_archive
from hub_server.content.paths import check_target
from hub_server.domain.problems import Problem


@pytest.fixture
def read(tmp_path):
    """The entries of an archive with their contents."""

    def work(data):
        path = tmp_path / "archive"
        path.write_bytes(data)
        with path.open("rb") as file:
            found = list(read_archive(file.fileno(), len(data)))
            return [(one, os.pread(file.fileno(), one.size, one.offset)) for one in found]

    return work


@pytest.fixture
def refuse(read):
    """What is said about an archive that must be refused."""

    def work(data):
        with pytest.raises(Problem) as caught:
            read(data)
        assert caught.value.type.status == 422
        return str(caught.value)

    return work


def paths(found):
    return [b"/".join(one.path) for one, _ in found]


def header(name=b"a", size=b"00000000000", kind=b"0", **fields):
    """A header block, field by field."""
    fields = {"mode": b"0000644", "mtime": b"00000000000", "link": b"", "magic": b"ustar\x0000", "prefix": b""} | fields
    block = struct.pack(
        "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x",
        *(name, fields["mode"], b"0000000", b"0000000", size, fields["mtime"], b" " * 8, kind),
        *(fields["link"], fields["magic"], b"", b"", b"", b"", fields["prefix"]),
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


END = bytes(2 * BLOCK)


@pytest.fixture
def few_entries(monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 50)
    return 50


# -- what is read


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_in_every_format(read, kind):
    found = read(tar(("a.txt", b"1" * 1000), ("b/empty", b""), ("b/c", b"22"), kind=kind))
    assert paths(found) == [b"a.txt", b"b/empty", b"b/c"]
    assert [content for _, content in found] == [b"1" * 1000, b"", b"22"]


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["d/" * 60 + "n" * 200, "é" * 100, "\udcff\udcfe", "line\nbreak", "a=b c"])
def test_long_and_unusual_names(read, kind, name):
    data = tar((name, b"x"), entry("link-" + name[-100:], tarfile.SYMTYPE, name), kind=kind)
    (file, content), (link, _) = read(data)
    assert (b"/".join(file.path), content) == (os.fsencode(name), b"x")
    assert link.target == os.fsencode(name)


def test_folders_links_modes_and_times(read):
    made = tarfile.TarInfo("dir/run.sh")
    made.mode, made.mtime = 0o4755, 1234567890.5
    found = read(tar(entry("dir", tarfile.DIRTYPE), made, entry("hard", tarfile.LNKTYPE, "./dir/run.sh")))
    folder, file, link = (one for one, _ in found)
    assert (folder.kind, folder.path) == (ArchiveKind.FOLDER, (b"dir",))
    assert (file.mode, file.mtime_ns) == (0o755, 1234567890_500_000_000)
    assert (link.kind, link.named) == (ArchiveKind.HARD_LINK, (b"dir", b"run.sh"))


def test_what_tar_itself_writes(read, tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"a" * 700)
    (folder / "sub" / ("n" * 150)).write_bytes(b"b")
    packed = subprocess.run(["tar", "-C", str(folder), "-cf", "-", "."], capture_output=True, check=True).stdout
    assert sorted(paths(read(packed))) == [b"a", b"sub", b"sub/" + b"n" * 150]


def test_an_archive_without_entries(read):
    assert read(tar()) == []
    assert read(END) == []


@pytest.mark.parametrize("text", [b"nan", b"inf", b"1e300", b"x", b""])
def test_times_that_are_none(read, text):
    record = b"mtime=" + text + b"\n"
    size = len(record) + 3
    body = b"%d %b" % (size, record)
    data = header(kind=b"x", size=b"%011o" % len(body)) + body.ljust(BLOCK, b"\0") + header() + END
    ((one, _),) = read(data)
    assert one.mtime_ns == 0


# -- paths that lead elsewhere


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a/..", ".dotscience/x", "a/.DotScience", "n" * 256]
)
def test_names_that_no_workspace_has(refuse, name):
    refuse(tar((name, b"x")))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "/etc/passwd"),
        ("a", ".."),
        ("a", "../x"),
        ("d/a", "../../x"),
        ("d/a", "b/../../../x"),
        ("d/a", "x/.."),
        ("a", ""),
        ("a", "x\0y"),
        ("a", "n" * 5000),
    ],
)
def test_links_that_lead_out(path, target):
    with pytest.raises(Problem, match="may be outside of the workspace"):
        check_target(tuple(path.encode().split(b"/")), target.encode(), "/archive")


@pytest.mark.parametrize(
    ("path", "target"), [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../b/c"), ("d/a", "./b"), ("a", ".")]
)
def test_links_that_stay(path, target):
    check_target(tuple(path.encode().split(b"/")), target.encode(), "/archive")


# -- what a workspace cannot hold


@pytest.mark.parametrize(
    ("kind", "said"),
    [(b"3", "a device"), (b"4", "a device"), (b"6", "a named pipe"), (b"S", "a sparse file"), (b"V", "type b'V'")],
)
def test_kinds_that_are_not_kept(refuse, kind, said):
    assert said in refuse(header(b"node", kind=kind) + END)


def test_sparse_files_of_pax(refuse):
    body = b"22 GNU.sparse.major=1\n"
    assert "sparse" in refuse(header(kind=b"x", size=b"%011o" % len(body)) + body.ljust(BLOCK, b"\0") + header() + END)


# -- bombs


def test_a_size_that_is_only_claimed(refuse):
    assert "claims 8589934591 bytes" in refuse(header(size=b"7" * 11) + END)
    huge = b"\x80" + (2**80).to_bytes(11, "big")
    assert "claims" in refuse(header(size=huge) + END)
    negative = b"\xff" * 12
    assert "claims -1 bytes" in refuse(header(size=negative) + END)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_an_extended_header_that_would_fill_the_memory(refuse, tmp_path, kind):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(header(kind=kind, size=b"%011o" % 2**31))
        file.truncate(2**31 + 4 * BLOCK)
    tracemalloc.start()
    with path.open("rb") as file, pytest.raises(Problem, match=f"more than {MAX_EXTENDED}"):
        list(read_archive(file.fileno(), 2**31 + 4 * BLOCK))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MAX_EXTENDED


def test_extended_headers_without_end(refuse, few_entries):
    body = header(kind=b"x") * 3 * few_entries
    assert "entries" in refuse(body + END)
    assert "ends after an extended header" in refuse(header(kind=b"x") + END)


def test_too_many_entries(refuse, few_entries):
    assert "entries" in refuse(header() * (2 * few_entries + 1) + END)


# -- what is broken


def test_what_is_no_archive(refuse):
    assert "is no tar archive" in refuse(b"")
    assert "is no tar archive" in refuse(b"PK\x03\x04 short")
    assert "damaged" in refuse(b"\x1f\x8b" + b"compressed" * 100)


def test_an_archive_that_was_cut_off_anywhere(refuse):
    whole = tar(("a", b"1" * 600), ("b", b"2"), kind=tarfile.USTAR_FORMAT)
    content = 2 * BLOCK + 2 * BLOCK + BLOCK
    for size in (1, 100, BLOCK, BLOCK + 100, 3 * BLOCK, 3 * BLOCK + 10, 4 * BLOCK, content - 1, content):
        refuse(whole[:size])


def test_a_header_that_is_damaged_is_not_taken_for_the_end(refuse):
    whole = bytearray(tar(("a", b"1"), ("b", b"2"), kind=tarfile.USTAR_FORMAT))
    whole[2 * BLOCK] ^= 1
    assert "header at byte 1024 is damaged" in refuse(bytes(whole))


def test_something_after_the_end(refuse):
    one = tar(("a", b"1"))
    assert "something follows" in refuse(one + one)


@pytest.mark.parametrize(
    "body", [b"8 path=a\n", b"x path=a\n", b"-9 path=a\n", b"7 path=a", b"99 path=a\n", b"\n", b"0 a=b\n", b"5 a=b\n"]
)
def test_extended_headers_that_cannot_be_read(refuse, body):
    refuse(header(kind=b"x", size=b"%011o" % len(body)) + body.ljust(BLOCK, b"\0") + header() + END)


@pytest.mark.parametrize("record", [b"12 path=abc\n", b"9 size=1\n", b"15 linkpath=a\n"])
def test_one_name_for_all(refuse, record):
    record = b"%d %b" % (len(record), record.partition(b" ")[2])
    assert "several entries" in refuse(
        header(kind=b"g", size=b"%011o" % len(record)) + record.ljust(BLOCK, b"\0") + header() + END
    )


def test_whatever_is_broken_is_refused_and_nothing_else_happens(read):
    """Flipped, dropped and doubled bytes."""
    made = random.Random(8)
    whole = tar(
        ("a" * 150, b"1" * 600), entry("l", tarfile.SYMTYPE, "a"), ("b", b"2"), entry("h", tarfile.LNKTYPE, "b")
    )
    refused = 0
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(made.randint(1, 4)):
            start = made.randrange(len(data))
            match made.randrange(3):
                case 0:
                    data[start] = made.randrange(256)
                case 1:
                    del data[start : start + made.choice([1, BLOCK])]
                case _:
                    data[start:start] = data[start : start + made.choice([1, BLOCK])]
        try:
            for one, content in read(bytes(data)):
                assert len(content) == one.size
        except Problem:
            refused += 1
    assert refused > 1000


def test_tarfile_reads_the_same(read):
    data = tar(*((f"d{number % 7}/{number}", os.urandom(number * 37 % 2000)) for number in range(100)))
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        wanted = [(os.fsencode(one.name), packed.extractfile(one).read()) for one in packed]
    assert [(b"/".join(one.path), content) for one, content in read(data)] == wanted
