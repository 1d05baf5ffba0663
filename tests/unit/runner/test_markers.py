"""Runs are found in output however it is cut into pieces, and output without runs costs no memory."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotscience.wire import encode_marker
from runner.local.markers import MAX_BUFFER, MAX_HELD, MarkerFilter, MarkerStream


def marker(run_id: str) -> bytes:
    empty = {"input": [], "output": [], "labels": {}, "parameters": {}, "summary": {}}
    return encode_marker(run_id, {"version": "1", "description": "a run", **empty}).encode()


def feed_all(pieces):
    stream = MarkerStream()
    return [record.run_id for piece in pieces for record in stream.feed(piece)], stream


@given(st.lists(st.integers(min_value=1, max_value=60), max_size=40))
def test_any_cut_of_the_output_gives_the_same_runs(sizes):
    ids = [str(uuid4()) for _ in range(3)]
    output = b"start\n" + b"between\n".join(marker(run_id) for run_id in ids) + b"end\n"
    pieces, position = [], 0
    for size in sizes:
        pieces.append(output[position : position + size])
        position += size
    pieces.append(output[position:])
    assert feed_all(pieces)[0] == ids


def test_a_run_is_given_as_soon_as_its_block_is_closed():
    stream, run_id = MarkerStream(), str(uuid4())
    whole = marker(run_id)
    assert not list(stream.feed(whole[:-5]))
    assert [record.run_id for record in stream.feed(whole[-5:])] == [run_id]


@pytest.mark.parametrize("text", [b"no runs here\n" * 10_000, b"[[DOTSCIENCE-RU" * 1000])
def test_output_without_a_block_is_forgotten(text):
    found, stream = feed_all([text, b"x"])
    assert found == []
    assert len(stream._buffer) < 100


def test_a_block_that_never_closes_does_not_fill_the_memory():
    stream = MarkerStream()
    list(stream.feed(b'[[DOTSCIENCE-RUN:abc]]{"'))
    for _ in range(3):
        list(stream.feed(b"x" * (MAX_BUFFER // 2)))
    assert len(stream._buffer) <= MAX_BUFFER


def shown(pieces):
    filtered = MarkerFilter()
    return b"".join([*(filtered.feed(piece) for piece in pieces), filtered.flush()])


@given(st.lists(st.integers(min_value=1, max_value=60), max_size=40))
def test_any_cut_of_the_output_is_shown_without_the_markers(sizes):
    output = b"start\n" + b"between [[DOT\n".join(marker(str(uuid4())) for _ in range(3)) + b"end"
    pieces, position = [], 0
    for size in sizes:
        pieces.append(output[position : position + size])
        position += size
    pieces.append(output[position:])
    assert shown(pieces) == b"start\n\nbetween [[DOT\n\nbetween [[DOT\n\nend"


def test_text_is_shown_at_once_and_a_block_that_never_closes_in_the_end():
    filtered = MarkerFilter()
    assert filtered.feed(b"50 %\r") == b"50 %\r"
    assert filtered.feed(b"x [[DOTSCIENCE-RUN:abc]]{") == b"x "
    assert filtered.flush() == b"[[DOTSCIENCE-RUN:abc]]{"
    assert len(filtered.feed(b"[[DOTSCIENCE-RUN:abc]]" + b"x" * MAX_HELD)) > MAX_HELD
