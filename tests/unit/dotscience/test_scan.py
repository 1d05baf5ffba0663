"""The scanner against what logs and notebooks really hold, and against an attacker."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotscience.scan import BUDGET_FACTOR, Scanner, scan
from dotscience.wire import encode_marker

ID = "474b2d81-c55a-42f8-a999-a381faaf9ca1"


def marker(wire_id: str, body: str) -> str:
    return f"[[DOTSCIENCE-RUN:{wire_id}]]{body}[[/DOTSCIENCE-RUN:{wire_id}]]"


def original(wire_id: str, metadata: dict) -> str:
    return marker(wire_id, json.dumps(metadata, sort_keys=True, indent=4)) + "\n"


def test_text_without_a_marker_has_no_blocks():
    assert scan("nothing here, not even [[DOTSCIENCE:1]]") == []


def test_text_before_and_after_on_the_same_line():
    [block] = scan("progress 99%|#### |" + marker(ID, "{}") + "\rprogress 100%")
    assert (block.wire_id, block.metadata, block.start) == (ID, {}, 19)


def test_several_runs_and_lines_between():
    text = original("1", {"a": 1}) + "epoch\n" + original("2", {"a": 2}) + original("None", {"a": 3})
    assert [(b.wire_id, b.metadata) for b in scan(text)] == [("1", {"a": 1}), ("2", {"a": 2}), ("None", {"a": 3})]


def test_terminal_codes_inside_the_block():
    [block] = scan(marker(ID, '{\x1b[31m"a": \x1b[0m1}'))
    assert block.metadata == {"a": 1}


def test_crlf_inside_the_block():
    text = original(ID, {"description": "x", "version": "1"}).replace("\n", "\r\n")
    assert [b.metadata for b in scan(text)] == [{"description": "x", "version": "1"}]


def test_first_line_overwritten_by_jupyterlab():
    """A progress bar, then `\\r`, then the marker: the bar's longer rest stays behind the marker's first line."""
    text = original(ID, {"a": "b"}).replace("{\n", "{| 100/100 [00:01<00:00]\n", 1)
    assert [b.metadata for b in scan(text)] == [{"a": "b"}]


def test_single_line_block_followed_by_leftovers():
    assert [b.metadata for b in scan(marker(ID, '{"a":1}') + "00:00, 12.3it/s]")] == [{"a": 1}]


def test_a_description_may_quote_its_own_markers():
    metadata = {"description": f"see {marker(ID, '{}')} and {marker('other', '{}')}"}
    assert [(b.wire_id, b.metadata) for b in scan(original(ID, metadata))] == [(ID, metadata)]
    assert [b.metadata for b in scan(encode_marker(ID, metadata))] == [metadata]


def test_an_unclosed_block_is_reported_and_does_not_hide_the_next():
    broken, good = scan('[[DOTSCIENCE-RUN:1]]{"a": \n' + original("2", {}))
    assert (broken.metadata, broken.error) == (None, "the block is not closed")
    assert good.metadata == {}


def test_the_printed_repr_of_a_beginning_is_no_block():
    """As in `print(repr(text[:60]))`: a real block goes on with a newline, a quote or a brace."""
    assert scan(f"captured '[[DOTSCIENCE-RUN:{ID}]]{{\\n   '\n") == []
    assert scan(f"captured '[[DOTSCIENCE-RUN:{ID}]]{{\\n   '\n" + original("2", {}))[0].metadata == {}


def test_a_block_written_into_another_is_found():
    text = '[[DOTSCIENCE-RUN:1]]{"a": ' + original("2", {}) + "1}[[/DOTSCIENCE-RUN:1]]"
    assert [(b.wire_id, b.metadata) for b in scan(text)] == [("1", None), ("2", {})]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ('{"a": NaN}', "NaN is not a JSON value"),
        ("[1]", "a JSON list, not an object"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_a_broken_body_is_an_error_and_nothing_else(body, reason):
    [block] = scan(marker(ID, body))
    assert block.metadata is None
    assert reason in block.error


def test_ids_end_at_brackets_and_lines_and_have_a_limit():
    assert scan(marker("a\nb", "{}")) == []
    assert scan(marker("x" * 257, "{}")) == []
    assert [b.wire_id for b in scan("see [[DOTSCIENCE-RUN: and " + marker("1", "{}"))] == ["1"]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"[[DOTSCIENCE-RUN:{i}]]" for i in range(100_000)),
        "[[DOTSCIENCE-RUN:x]]{" * 100_000 + "[[/DOTSCIENCE-RUN:x]]",
        "".join(f"[[DOTSCIENCE-RUN:{i}]]{{" for i in range(50_000))
        + "".join(f"[[/DOTSCIENCE-RUN:{i}]]" for i in range(50_000)),
        "[[DOTSCIENCE-RUN:" * 100_000,
        '[[DOTSCIENCE-RUN:x]]{"' * 100_000,
    ],
    ids=["unclosed", "one closing for all", "crossed", "never a token", "quotes"],
)
def test_the_work_is_bounded_by_the_length_of_the_text(text):
    scanner = Scanner(text)
    blocks = scanner.blocks()
    assert scanner.spent <= BUDGET_FACTOR * len(text)
    assert all(block.metadata is None and block.error for block in blocks)


def test_a_hundred_thousand_good_markers_are_all_read_by_the_cheap_way():
    scanner = Scanner("".join(marker(str(i), '{"version":"1"}') for i in range(100_000)))
    assert len(scanner.blocks()) == 100_000
    assert scanner.spent == 0


PIECES = st.sampled_from(
    [
        "[[DOTSCIENCE-RUN:1]]",
        "[[/DOTSCIENCE-RUN:1]]",
        "[[DOTSCIENCE-RUN:2]]",
        "[[/DOTSCIENCE-RUN:2]]",
        "[[DOTSCIENCE-RUN:",
        "{",
        "}",
        '"',
        '{"a":',
        "\r\n",
        "\x1b[0m",
        "]]",
        "[[",
        "�",
        "1",
        ":",
        ",",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join))
def test_whatever_the_text_scanning_gives_ordered_blocks_that_explain_themselves(text):
    blocks = scan(text)
    assert [block.start for block in blocks] == sorted({block.start for block in blocks})
    assert all((block.metadata is None) == (block.error is not None) for block in blocks)


@given(st.text(max_size=20), st.dictionaries(st.text(), JSON, max_size=4), st.text(max_size=20))
def test_what_is_encoded_is_found_again(before, metadata, after):
    [block] = scan(before + encode_marker(ID, metadata) + after)
    assert (block.wire_id, block.metadata) == (ID, metadata)
