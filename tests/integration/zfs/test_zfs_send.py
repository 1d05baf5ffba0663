"""Sending a dataset to a hub on ZFS: by guid, broken off and gone on with, diverged, and refused."""

from __future__ import annotations

import os
import threading

import pytest
from support.zfs import KERNEL_MODULE, pool, run

from committer.storage.zfs.dataset import Dataset
from committer.storage.zfs.streams import read_token, resume_arguments, send_arguments, sending
from committer.sync.zfs_send import SENT_HOLD, STEP_HOLD, send
from dotscience.client.hub import HubClient
from dotscience.errors import Conflict, Forbidden, HubFull, Invalid, NotFound, ResumeTokenInvalid

MEBIBYTE = 2**20


class CutError(Exception):
    """The sender is gone in the middle of a stream."""


def write(folder, name, size=MEBIBYTE // 4):
    (folder / name).write_bytes(os.urandom(size))


def received(dots, target, fork=""):
    """The guids of the snapshots that the hub has, oldest first."""
    return [one.guid for one in dots.child(f"{target.dot_id}{fork}").versions()]


def guids(dataset):
    return [one.guid for one in dataset.versions() if one.is_snapshot]


def client(target):
    return HubClient(target.url, target.token, retries=0)


def copy_of(dataset, name):
    """The dataset as another machine would have it after receiving all of it."""
    (latest,) = [one.name for one in dataset.versions() if one.is_snapshot][-1:]
    made = Dataset(f"{dataset.name.partition('/')[0]}/{name}")
    run("sh", "-c", f"zfs send {dataset.name}{latest} | zfs receive {made.name}")
    return made


@pytest.fixture
def other(dataset, folder, request):
    """A second dataset, which went on from the first's snapshot `@one` on its own."""
    write(folder, "first")
    dataset.snapshot("one", {})
    made = copy_of(dataset, f"other-{dataset.name.rpartition('/')[2]}")
    return made, folder.parent / made.name.rpartition("/")[2]


def test_snapshots_arrive_with_their_guids_and_are_neither_mounted_nor_writable(dataset, folder, dots, target):
    write(folder, "first")
    dataset.snapshot("one", {})
    assert send(dataset, "@one", target)
    write(folder, "second")
    dataset.snapshot("two", {})
    assert send(dataset, "@two", target)
    assert received(dots, target) == guids(dataset)
    copy = dots.child(target.dot_id)
    assert copy.property("mounted") == "no"
    assert copy.property("readonly") == "on"


def test_only_what_changed_travels(dataset, folder, dots, target):
    write(folder, "large", 4 * MEBIBYTE)
    dataset.snapshot("one", {})
    send(dataset, "@one", target)
    write(folder, "small", 1_000)
    dataset.snapshot("two", {})
    with sending(send_arguments(dataset.name, "@two", "@one")) as pieces:
        assert sum(map(len, pieces)) < MEBIBYTE // 4
    send(dataset, "@two", target)
    assert received(dots, target) == guids(dataset)


def test_what_the_hub_has_is_not_sent_again(dataset, target):
    dataset.snapshot("one", {})
    assert send(dataset, "@one", target)
    assert not send(dataset, "@one", target)


def test_snapshots_are_known_by_guid_not_by_name(dataset, folder, dots, target):
    dataset.snapshot("one", {})
    send(dataset, "@one", target)
    run("zfs", "rename", f"{dataset.name}@one", f"{dataset.name}@renamed")
    write(folder, "second")
    dataset.snapshot("one", {})
    assert send(dataset, "@one", target)
    assert received(dots, target) == guids(dataset)


def test_the_base_outlives_its_snapshot_or_is_held(dataset, folder, dots, target):
    """As a bookmark where there are such; otherwise nobody can destroy it before the next was sent."""
    for name in ("one", "two", "three"):
        write(folder, name)
        dataset.snapshot(name, {})
        send(dataset, f"@{name}", target)
        if dataset.features.bookmarks:
            dataset.destroy(f"@{name}")
    versions = dataset.versions()
    if dataset.features.bookmarks:
        assert [(one.guid, one.is_snapshot) for one in versions] == [(received(dots, target)[-1], False)]
    else:
        assert [one.holds for one in versions] == [0, 0, 1]
        dataset.release("@three", SENT_HOLD)
    assert len(received(dots, target)) == 3


def test_nothing_is_held_after_a_stream(dataset, target):
    dataset.snapshot("one", {})
    send(dataset, "@one", target)
    dataset.release("@one", SENT_HOLD)
    assert dataset.property("userrefs", of="@one") == "0"
    assert STEP_HOLD != SENT_HOLD


def test_an_answer_that_got_lost_costs_a_question(dataset, dots, target):
    guid = dataset.snapshot("one", {})
    with client(target) as hub, sending(send_arguments(dataset.name, "@one", None)) as pieces:
        hub.send_zfs(target.dot_id, pieces, to_guid=guid, from_guid=None, resume=False)
    assert not send(dataset, "@one", target)
    assert received(dots, target) == [guid]


def send_until(dataset, target, snapshot, *, limit):
    """Send a stream, or the rest of one, but lose the connection after so many bytes; whether it broke."""
    with client(target) as hub:
        token = hub.zfs_state(target.dot_id).resume_token
        arguments = resume_arguments(token) if token else send_arguments(dataset.name, snapshot, None)
        guid = int(dataset.property("guid", of=snapshot))

        def cut(pieces):
            sent = 0
            for piece in pieces:
                sent += len(piece)
                if sent > limit:
                    raise CutError
                yield piece

        try:
            with sending(arguments) as pieces:
                hub.send_zfs(target.dot_id, cut(pieces), to_guid=guid, from_guid=None, resume=token is not None)
        except CutError:
            return True
        return False


def test_a_stream_that_breaks_off_again_and_again_arrives(dataset, folder, dots, target):
    """Where the pool can resume, each attempt adds to the last; elsewhere nothing is left of a broken one."""
    write(folder, "large", 6 * MEBIBYTE)
    guid = dataset.snapshot("one", {})
    broken = 0
    while broken < 12 and send_until(dataset, target, "@one", limit=2 * MEBIBYTE):
        broken += 1
        settle(target)
    if dataset.features.resume:
        assert 2 <= broken < 12
    else:
        assert broken == 12
        assert send(dataset, "@one", target)
    assert received(dots, target) == [guid]


def settle(target):
    """Wait until the hub has put away what arrived: it takes the next stream only then."""
    with client(target) as hub:
        while True:
            try:
                hub.send_zfs(target.dot_id, iter([b"no stream"]), to_guid=1, from_guid=None, resume=True)
            except Conflict:
                continue
            except Invalid:
                return


def test_sending_goes_on_where_it_was_cut(dataset, folder, dots, target):
    write(folder, "large", 6 * MEBIBYTE)
    guid = dataset.snapshot("one", {})
    assert send_until(dataset, target, "@one", limit=4 * MEBIBYTE)
    assert send(dataset, "@one", target)
    assert received(dots, target) == [guid]


def test_an_interrupted_stream_whose_snapshot_is_gone_is_given_up(dataset, folder, dots, target):
    write(folder, "large", 4 * MEBIBYTE)
    dataset.snapshot("one", {})
    assert send_until(dataset, target, "@one", limit=2 * MEBIBYTE)
    dataset.destroy("@one")
    guid = dataset.snapshot("two", {})
    assert send(dataset, "@two", target)
    assert received(dots, target) == [guid]


def test_what_went_on_from_an_earlier_snapshot_becomes_a_fork(dataset, folder, dots, target, other):
    theirs, their_folder = other
    write(folder, "mine")
    dataset.snapshot("mine", {})
    send(dataset, "@one", target)
    send(dataset, "@mine", target)
    write(their_folder, "theirs")
    theirs.snapshot("theirs", {})
    if not KERNEL_MODULE.exists():
        with pytest.raises(Invalid, match="too old to receive a fork"):
            send(theirs, "@theirs", target)
        return
    assert send(theirs, "@theirs", target)
    assert received(dots, target) == guids(dataset)
    fork = dots.child(f"{target.dot_id}-fork-1")
    assert [one.guid for one in fork.versions()] == guids(theirs)[-1:]
    assert fork.property("origin").startswith(dots.child(target.dot_id).name)
    write(their_folder, "more")
    theirs.snapshot("more", {})
    assert send(theirs, "@more", target)
    assert received(dots, target, "-fork-1") == guids(theirs)[1:]


def test_what_has_nothing_in_common_becomes_a_dataset_of_its_own(dataset, shared_pool, dots, target):
    dataset.snapshot("one", {})
    send(dataset, "@one", target)
    stranger = dataset.child("stranger")
    stranger.create({})
    stranger.snapshot("one", {})
    assert send(stranger, "@one", target)
    assert received(dots, target) == guids(dataset)
    assert received(dots, target, "-fork-1") == guids(stranger)


def test_a_stream_that_is_not_what_was_announced_leaves_nothing(dataset, dots, target):
    dataset.snapshot("one", {})
    with (
        client(target) as hub,
        sending(send_arguments(dataset.name, "@one", None)) as pieces,
        pytest.raises(Invalid, match="as announced"),
    ):
        hub.send_zfs(target.dot_id, pieces, to_guid=12345, from_guid=None, resume=False)
    assert received(dots, target) == []


@pytest.mark.parametrize("stream", [b"", b"no stream", bytes(MEBIBYTE)])
def test_what_is_no_stream_is_refused(dots, target, stream):
    with client(target) as hub, pytest.raises(Invalid, match=r"zfs receive|empty"):
        hub.send_zfs(target.dot_id, iter([stream]), to_guid=1, from_guid=None, resume=False)
    assert not dots.child(target.dot_id).exists()


def test_a_base_that_is_not_here_is_refused(target):
    with client(target) as hub, pytest.raises(Invalid, match="guid 7 is here"):
        hub.send_zfs(target.dot_id, iter([b"stream"]), to_guid=1, from_guid=7, resume=False)


def test_one_stream_of_a_dot_at_a_time(dataset, folder, dots, target):
    write(folder, "large", MEBIBYTE)
    guid = dataset.snapshot("one", {})
    has_begun, may_end = threading.Event(), threading.Event()

    def slowly(pieces):
        yield next(pieces)
        has_begun.set()
        may_end.wait(60)
        yield from pieces

    def send_slowly():
        with client(target) as hub, sending(send_arguments(dataset.name, "@one", None)) as pieces:
            hub.send_zfs(target.dot_id, slowly(pieces), to_guid=guid, from_guid=None, resume=False)

    first = threading.Thread(target=send_slowly)
    first.start()
    try:
        assert has_begun.wait(60)
        with client(target) as hub:
            while hub.zfs_state(target.dot_id).guids:  # the hub may not have read the first piece yet
                pass
            with pytest.raises(Conflict, match="another stream"):
                expect_busy(hub, target)
    finally:
        may_end.set()
        first.join()
    assert received(dots, target) == [guid]


def expect_busy(hub, target):
    """Until the hub has read the first piece of the other stream, it refuses this one for what it is."""
    while True:
        try:
            hub.send_zfs(target.dot_id, iter([b"no stream"]), to_guid=1, from_guid=7, resume=True)
        except Invalid:
            continue


def test_a_full_pool_says_so_and_keeps_what_it_has(running_zfs, hub_process, dataset, folder, tmp_path):
    write(folder, "first", 1_000)
    dataset.snapshot("one", {})
    write(folder, "large", 80 * MEBIBYTE)
    dataset.snapshot("two", {})
    with pool(tmp_path, "64M") as name:
        dots = Dataset(f"{name}/dots")
        with hub_process(tmp_path / "hub", "--zfs-root", dots.name, "--zfs-receive", "trusted") as hub:
            target = hub.new_target("zfs:receive")
            send(dataset, "@one", target)
            base, guid = guids(dataset)
            with (
                client(target) as sender,
                sending(send_arguments(dataset.name, "@two", "@one")) as pieces,
                pytest.raises(HubFull),
            ):
                sender.send_zfs(target.dot_id, pieces, to_guid=guid, from_guid=base, resume=False)
            assert received(dots, target) == [base]


def test_a_hub_takes_no_streams_unless_told_to(hub_process, dataset, tmp_path):
    dataset.snapshot("one", {})
    with hub_process(tmp_path / "hub") as hub, pytest.raises(NotFound, match="takes no ZFS streams"):
        send(dataset, "@one", hub.new_target("zfs:receive"))


def test_a_token_without_the_scope_may_not(zfs_hub, dataset):
    dataset.snapshot("one", {})
    with pytest.raises((NotFound, Forbidden)):
        send(dataset, "@one", zfs_hub.new_target())


@pytest.mark.parametrize("token", ["", "-rf", "1-abc-def", "/etc/passwd"])
def test_a_token_that_means_nothing_is_invalid(running_zfs, token):
    with pytest.raises(ResumeTokenInvalid):
        read_token(token)
