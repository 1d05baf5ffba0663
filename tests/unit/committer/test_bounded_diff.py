"""Unified diffs are difflib's, at a cost that a budget bounds."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from committer.bounded_diff import Budget, unified_diff
from dotscience.errors import TooDifferent

LINES = st.lists(st.sampled_from(["", "a", "b", "c c", "-", "+d"]), max_size=40)


@given(LINES, LINES, st.integers(0, 4))
def test_the_lines_are_those_of_difflib(before, after, context):
    expected = list(difflib.unified_diff(before, after, lineterm="", n=context))[2:]
    assert unified_diff(before, after, Budget(), context=context) == expected


def test_lines_that_are_everywhere_are_matched_as_difflib_does():
    before, after = ["x", "", "y", ""] * 200, ["x", "", "z", ""] * 200
    expected = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    assert unified_diff(before, after, Budget(), context=2) == expected


def test_a_budget_is_for_all_that_is_compared_with_it():
    before, after, budget = ["a"] * 10, ["a"] * 9 + ["b"], Budget(200)
    assert unified_diff(before, after, budget)
    with pytest.raises(TooDifferent):
        unified_diff(before, after, budget)


def test_what_takes_the_cube_of_its_length_is_refused():
    lines = [str(number) for number in range(100)] * 400
    with pytest.raises(TooDifferent):
        unified_diff(lines, sorted(lines), Budget())
