"""What ZFS says, in the words of zfs-fuse and of OpenZFS up to 2.4; nothing is ever destroyed because of it."""

from __future__ import annotations

import pytest
from support import http_server
from support.fake_zfs import FakeZfs

from committer.storage.zfs.command import failure
from committer.storage.zfs.dataset import Dataset, Version, parse_versions
from committer.sync.transfer import Target
from committer.sync.zfs_send import plan, send
from dotscience.client.hub import ZfsState
from dotscience.errors import (
    DatasetBusy,
    DatasetExists,
    DatasetMissing,
    DelegationMissing,
    HubError,
    NotSupported,
    PoolFull,
    PoolSuspended,
    ResumeTokenInvalid,
    ZfsError,
)

SAID = [
    ("cannot destroy 'p/d@s': dataset is busy", DatasetBusy),
    ("cannot destroy snapshot p/d@s: dataset is busy", DatasetBusy),
    ("cannot destroy snapshot p/d@s: it's being held. Run 'zfs holds -r p/d@s' to see holders.", DatasetBusy),
    ("cannot destroy snapshot p/features@s: it's being held. Run 'zfs holds -r p/features@s' to see.", DatasetBusy),
    ("cannot destroy 'p/d@s': snapshot has dependent clones\nuse '-R' to destroy the following:\np/c", DatasetBusy),
    ("cannot destroy snapshot p/d@s: snapshot is cloned", DatasetBusy),
    ("cannot destroy 'p/d': filesystem has children\nuse '-r' to destroy the following datasets:\np/d@s", DatasetBusy),
    ("cannot unmount '/p/d': pool or dataset is busy", DatasetBusy),
    ("cannot open 'p/d': dataset does not exist", DatasetMissing),
    ("could not find any snapshots to destroy; check snapshot names.", DatasetMissing),
    ("cannot open 'p': no such pool", DatasetMissing),
    ("cannot create snapshot 'p/d@s': dataset already exists", DatasetExists),
    ("cannot create bookmark 'p/d#b': bookmark exists", DatasetExists),
    ("cannot hold snapshot 'p/d@s': tag already exists on this dataset", DatasetExists),
    ("cannot create snapshot 'p/d@s': out of space", PoolFull),
    ("cannot receive new filesystem stream: destination p/d space quota exceeded.", PoolFull),
    ("cannot create 'p/d': out of space", PoolFull),
    ("cannot open 'p': pool I/O is currently suspended", PoolSuspended),
    ("cannot receive new filesystem stream: pool I/O is currently suspended", PoolSuspended),
    (
        "cannot receive new filesystem stream: stream has unsupported feature, feature flags = 400000 (unknown=400000)",
        NotSupported,
    ),
    ("cannot receive: pool must be upgraded to receive this stream.", NotSupported),
    ("cannot receive resume stream: kernel modules must be upgraded to receive this stream.", NotSupported),
    ("cannot resume send: 'p/d@s' used in the initial send no longer exists", ResumeTokenInvalid),
    ("cannot resume send: 'p/d@s' is no longer the same snapshot used in the initial send", ResumeTokenInvalid),
    ("cannot create snapshots : permission denied", DelegationMissing),
    ("cannot open 'it is busy': something new that no version said before", ZfsError),
]
VERSIONS = ["zfs get -H -p -r -d 1 -o name,property,value guid,createtxg,userrefs p/d", ""]


@pytest.mark.parametrize(("said", "kind"), SAID)
def test_each_complaint_is_an_error_of_its_kind(said, kind):
    error = failure(("zfs", "destroy", "p/d@s"), 1, said.encode())
    assert type(error) is kind
    assert said.partition("\n")[0][:60] in str(error)


@pytest.fixture
def zfs(tmp_path, monkeypatch):
    """Commands of a ZFS without anything that is newer than pool version 28."""
    made = FakeZfs(tmp_path / "zfs", monkeypatch)
    made.answer("zpool get*", complaint="invalid option 'H'")
    made.answer("zfs get -H -p -o value written p/d", complaint="bad property list: invalid property 'written'")
    made.answer("zfs hold *")
    made.answer("zfs release *")
    return made


@pytest.mark.parametrize(("said", "kind"), [one for one in SAID if one[1] in (DatasetBusy, PoolSuspended, PoolFull)])
def test_what_cannot_be_destroyed_is_left_alone(zfs, said, kind):
    zfs.answer("zfs destroy p/d@s", complaint=said)
    with pytest.raises(kind):
        Dataset("p/d").destroy("@s")
    assert zfs.asked == ["zfs destroy p/d@s"]


@pytest.mark.parametrize(
    ("said", "kind"), [("out of space", PoolFull), ("pool I/O is currently suspended", PoolSuspended)]
)
def test_a_snapshot_that_cannot_be_taken_costs_nothing(zfs, said, kind):
    zfs.answer("zfs snapshot p/d@s", complaint=f"cannot create snapshot 'p/d@s': {said}")
    with pytest.raises(kind):
        Dataset("p/d").snapshot("s", {})
    assert zfs.asked == ["zfs snapshot p/d@s"]


@pytest.mark.parametrize("number", ["", "-", "x", "-1", "1.5", "²", "٣", "9" * 5_000])
def test_what_should_be_a_number_and_is_none_is_told(number):
    with pytest.raises(ZfsError, match="no number"):
        list(parse_versions(f"p/d@a\tguid\t{number}\np/d@a\tcreatetxg\t1\np/d@a\tuserrefs\t0\n", "p/d"))


@pytest.mark.parametrize("holds", ["-", "", "²", "x"])
def test_a_number_of_holds_that_is_none_is_no_hold(holds):
    (one,) = parse_versions(f"p/d@a\tguid\t1\np/d@a\tcreatetxg\t1\np/d@a\tuserrefs\t{holds}\n", "p/d")
    assert one.holds == 0


def version(name, guid, txg):
    return Version(name, guid, txg, 0, {})


OURS = [version("@one", 11, 1), version("@two", 22, 2), version("#two", 22, 2), version("@three", 33, 3)]


@pytest.mark.parametrize(
    ("ours", "theirs", "base"),
    [
        (OURS, [11, 22], "#two"),
        (OURS, [11], "@one"),
        (OURS, [], None),
        (OURS, [44, 55], None),
        (OURS[2:], [11, 22], "#two"),
        (OURS[3:], [11, 22], None),
        ([version("@one", 99, 1), OURS[3]], [11], None),
        ([version("@renamed", 11, 1), OURS[3]], [11], "@renamed"),
        ([*OURS, version("@later", 44, 4)], [11, 44], "@one"),
    ],
    ids=[
        "the newest that both have",
        "a newer one destroyed there",
        "nothing there",
        "another history there",
        "the snapshot destroyed here, its bookmark kept",
        "all destroyed here",
        "the same name with another guid",
        "the same guid with another name",
        "a later one there",
    ],
)
def test_a_stream_begins_at_what_both_have_by_guid(ours, theirs, base):
    state = ZfsState(latest_guid=None, guids=[str(guid) for guid in theirs], resume_token=None)
    step = plan("p/d", ours, OURS[3], state, None)
    assert step.to.name == "@three"
    assert (step.base.name if step.base else None) == base


def listing(*versions):
    return "".join(
        f"p/d{name}\tguid\t{guid}\np/d{name}\tcreatetxg\t{txg}\np/d{name}\tuserrefs\t0\n"
        for name, guid, txg in versions
    )


@pytest.fixture
def target():
    """A hub with a snapshot that is not ours, which refuses streams for a feature that its pool lacks."""

    def answer(asked):
        return http_server.Answer(200, {"latest_guid": "99", "guids": ["99"], "resume_token": None})

    def refuse(method, path):
        refusal = {"title": "refused", "status": 422, "detail": "the pool lacks a feature"}
        return http_server.Answer(422, refusal) if method == "POST" else None

    with http_server.serve(answer, refuse_unread=refuse) as url:
        yield Target(url=url, project_id="p", token="t", dot_id="dot", host="box")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("committer.sync.zfs_send.PAUSE_S", 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("warning: cannot send 'p/d@two': pool I/O is currently suspended", PoolSuspended),
        ("cannot open 'p/d@two': dataset does not exist", DatasetMissing),
        (None, HubError),
    ],
)
def test_a_stream_that_cannot_be_sent_destroys_nothing_and_leaves_no_hold(zfs, target, said, kind):
    zfs.answer(VERSIONS[0], listing(("@one", 11, 1), ("@two", 22, 2)))
    zfs.answer("zfs send -n -P p/d@two", "size\t100\n")
    zfs.answer("zfs send p/d@two", "" if said else "stream", complaint=said or "")
    with pytest.raises(kind):
        send(Dataset("p/d"), "@two", target)
    assert zfs.destroyed == []
    held, released = ([line for line in zfs.asked if f"zfs {word}" in line] for word in ("hold", "release"))
    assert [line.replace("hold", "release") for line in held] == released
    assert held
