"""docs/design/test-matrix.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| (\d+) \|[^|]+\|(.*)\|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "design" / "test-matrix.md").read_text())


def test_every_row_has_tests_and_each_of_them_exists():
    assert [int(number) for number, _ in ROWS] == list(range(1, 24))
    named = {number: re.findall(r"`([^`]+)`", tests) for number, tests in ROWS}
    assert all(named.values())
    assert [path for paths in named.values() for path in paths if not (ROOT / path).is_file()] == []
