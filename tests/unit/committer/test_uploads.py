"""Uploading: at a pace that all uploads share, counted, and always as many at a time as are allowed."""

from __future__ import annotations

import io
import threading
from contextlib import ExitStack

import pytest
from support.http_server import Answer, serve

from committer.sync.pacing import BURST_S, MIN_BYTES_PER_S, PIECE, Pacer, UploadStopped, open_uplink
from committer.sync.uploads import REPORT_S, Meter, PackBody, Sent, Uploads
from dotscience.client.hub import HubClient

PATIENCE_S = 30.0


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def time():
    return Time()


def pacer_at(time, bytes_per_s):
    return Pacer(bytes_per_s, clock=time.clock, sleep=time.sleep)


def test_bytes_go_at_the_pace_that_is_set(time):
    pacer = pacer_at(time, 1_000)
    for _ in range(10):
        pacer.take(500)
    assert time.now == pytest.approx(105)


def test_no_limit_means_no_pause(time):
    pacer_at(time, 0).take(10**12)
    assert time.now == 100


def test_only_a_moment_is_made_up_for_after_idling(time):
    pacer = pacer_at(time, 1_000)
    time.now += 3_600
    began = time.now
    pacer.take(1_000)
    assert time.now - began == pytest.approx(1 - BURST_S)


def test_a_sleep_that_ends_late_does_not_slow_the_rest_down(time):
    pacer = Pacer(1_000, clock=time.clock, sleep=lambda seconds: time.sleep(seconds + BURST_S / 2))
    for _ in range(100):
        pacer.take(100)
    assert time.now == pytest.approx(110, abs=BURST_S)


def test_threads_share_one_pace(time):
    """Each is told to wait until all that was asked for before it has gone, so nobody moves the clock for another."""
    pauses = []
    pacer = Pacer(1_000, clock=time.clock, sleep=pauses.append)
    threads = [threading.Thread(target=pacer.take, args=(1_000,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(pauses) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])


def test_a_stream_is_paced_by_its_pieces(time):
    pieces = [b"x" * 300, b"", b"y" * 700]
    assert b"".join(pacer_at(time, 1_000).paced(iter(pieces), threading.Event())) == b"".join(pieces)
    assert time.now == pytest.approx(101)


def test_a_stream_takes_its_share_in_small_pieces_and_none_when_it_is_stopped(time):
    stop = threading.Event()
    pieces = pacer_at(time, 10**6).paced(iter([bytes(10**6)]), stop)
    assert len(next(pieces)) == PIECE
    stop.set()
    with pytest.raises(UploadStopped):
        next(pieces)


@pytest.mark.parametrize(
    ("concurrency", "limit", "streams", "width"),
    [
        (2, 0, 1, 2),
        (8, 0, 0, 8),
        (8, MIN_BYTES_PER_S, 0, 1),
        (8, 3 * MIN_BYTES_PER_S, 0, 3),
        (8, 3 * MIN_BYTES_PER_S, 1, 2),
        (2, 100 * MIN_BYTES_PER_S, 1, 2),
    ],
)
def test_there_are_never_more_uploads_than_the_limit_can_feed(concurrency, limit, streams, width):
    assert open_uplink(concurrency, limit, streams=streams).width == width


def test_the_largest_pack_arrives_in_time_at_the_lowest_limit():
    from hub_server.services.sync import MAX_PACK_BYTES
    from hub_server.serving import BODY_TIMEOUT_S

    assert MAX_PACK_BYTES / MIN_BYTES_PER_S < 0.9 * BODY_TIMEOUT_S


def test_a_meter_tells_now_and_then_and_when_all_is_done(time):
    told = []
    meter = Meter(told.append, clock=time.clock)
    meter.expect(100)
    for count in (10, 20, 30):
        meter.add(count)
    time.now += REPORT_S
    meter.add(20)
    meter.add(10)
    meter.expect(-5)
    meter.add(5)
    assert told == [Sent(10, 100), Sent(80, 100), Sent(95, 95)]


@pytest.fixture
def make_body(tmp_path):
    """Makes the body of a pack with this content, and what is told of it."""
    with ExitStack() as stack:

        def make(content, pacer, stop=None):
            path = tmp_path / "pack"
            path.write_bytes(content)
            told = []
            meter = Meter(told.append)
            meter.expect(len(content))
            file = stack.enter_context(path.open("rb", buffering=0))
            return stack.enter_context(PackBody(file, pacer, meter, stop or threading.Event())), told

        yield make


def test_a_pack_is_sent_in_pieces_at_its_pace_and_counted_once_though_it_is_sent_again(make_body, time):
    content = bytes(range(256)) * 400
    requests = []

    def answer(request):
        requests.append(request)
        return Answer(502 if len(requests) == 1 else 201)

    with serve(answer) as url, HubClient(url) as hub:
        body, told = make_body(content, pacer_at(time, len(content)))
        hub.put_pack("d", "ab" * 32, body)
    assert [request.body for request in requests] == [content, content]
    assert {request.headers["Content-Length"] for request in requests} == {str(len(content))}
    assert time.now == pytest.approx(102)
    assert told[-1] == Sent(len(content), len(content))


def test_an_upload_that_is_stopped_ends_at_its_next_piece(make_body):
    stop = threading.Event()

    class Stopping:
        def take(self, count):
            stop.set()

    body, _ = make_body(bytes(10**6), Stopping(), stop)
    with serve(lambda _: Answer(201)) as url, HubClient(url) as hub, pytest.raises(UploadStopped):
        hub.put_pack("d", "ab" * 32, body)
    assert body.tell() < 10**6


class Puts:
    """Uploads that end when they are told to."""

    def __init__(self):
        self.begun = {name: threading.Event() for name in (b"1", b"2", b"3")}
        self.may_end = {name: threading.Event() for name in self.begun}
        self.ended = {name: threading.Event() for name in self.begun}
        self.fails = set()
        self.stopped = []

    def put(self, pack, stop):
        self.begun[pack].set()
        assert self.may_end[pack].wait(PATIENCE_S)
        if pack in self.fails:
            raise OSError(pack.decode())
        if stop.is_set():
            self.stopped.append(pack)
            raise UploadStopped
        self.ended[pack].set()


@pytest.fixture
def puts():
    made = Puts()
    yield made
    for event in made.may_end.values():
        event.set()


def test_the_next_begins_as_soon_as_any_has_ended(puts):
    done = []
    with Uploads(puts.put, done.append, width=2) as uploads:
        uploads.add(b"1")
        uploads.add(b"2")
        assert puts.begun[b"1"].wait(PATIENCE_S)
        puts.may_end[b"2"].set()
        uploads.add(b"3")
        assert puts.begun[b"3"].wait(PATIENCE_S)
        assert done == [b"2"], "the first is under way still"
        for event in puts.may_end.values():
            event.set()
    assert sorted(done) == [b"1", b"2", b"3"]


def test_the_first_failure_stops_the_others_and_is_raised(puts):
    done = []
    puts.fails = {b"2"}

    def add_all():
        with Uploads(puts.put, done.append, width=3) as uploads:
            for name in puts.begun:
                uploads.add(name)
            end_when_stopped(uploads, puts.may_end[b"1"])
            puts.may_end[b"3"].set()
            assert puts.ended[b"3"].wait(PATIENCE_S)
            puts.may_end[b"2"].set()

    with pytest.raises(OSError, match="2"):
        add_all()
    assert puts.stopped == [b"1"]
    assert done == [b"3"], "what had arrived is not sent again"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("push")]


def end_when_stopped(uploads, may_end):
    """Let an upload end once the others are being stopped."""

    def wait():
        assert uploads._stop.wait(PATIENCE_S)
        may_end.set()

    threading.Thread(target=wait).start()


def test_an_error_of_the_caller_stops_what_is_under_way(puts):
    done = []

    def fail():
        with Uploads(puts.put, done.append, width=2) as uploads:
            uploads.add(b"1")
            end_when_stopped(uploads, puts.may_end[b"1"])
            raise io.UnsupportedOperation

    with pytest.raises(io.UnsupportedOperation):
        fail()
    assert (puts.stopped, done) == ([b"1"], [])
