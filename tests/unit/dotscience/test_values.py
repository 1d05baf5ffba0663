"""Typed values write themselves exactly as the original's strings."""

import enum
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotscience.record import RunRecord, decode_json, encode_json
from dotscience.values import typed


class Colour(enum.Enum):
    RED = 1


class Level(int):
    def __str__(self):
        return "high"


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**63 - 1, 0.1, 1e-20, -0.0, "", "é", [1, [2.5, None]], {"a": {"b": True}}, [], {}],
)
def test_plain_values_keep_their_type(value):
    assert typed(value) == value
    assert type(typed(value)) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        float("nan"),
        float("inf"),
        (1, 2),
        {1: 2},
        {"b": 1, "a": 2},
        [float("nan")],
        b"bytes",
        Colour.RED,
        Level(3),
        Decimal("1.10"),
        np.array([1, 2]),
        [np.float64(1)],
        {1},
        ["\ud800"],
    ],
    ids=repr,
)
def test_everything_else_is_its_text(value):
    result = typed(value)
    assert type(result) is str
    assert result == str(value).encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.float64("nan"), "nan"),
        (np.uint64(2**64 - 1), str(2**64 - 1)),
    ],
    ids=repr,
)
def test_numpy_scalars_become_the_number_that_is_written_alike(value, expected):
    assert typed(value) == expected
    assert type(typed(value)) is type(expected)
    assert str(typed(value)) == str(value)


def test_deep_nesting_is_text():
    deep = []
    for _ in range(100):
        deep = [deep]
    assert typed(deep) == str(deep)


def test_later_changes_of_a_list_do_not_reach_the_run():
    layers = [1]
    kept = typed(layers)
    layers.append(2)
    assert kept == [1]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner),
    max_leaves=6,
)


@given(VALUES)
def test_every_value_is_written_alike_before_and_after_storage(value):
    record = RunRecord(run_id="x", parameters={"v": typed(value)})
    stored = decode_json(encode_json(record), RunRecord).parameters["v"]
    text = str(value)
    assert str(stored) == (text if text.isascii() else text.encode("utf-8", "backslashreplace").decode())
