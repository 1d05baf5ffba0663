"""Counting without reading everything."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Select, func, select

MAX_COUNT = 10_001
"""Counts stop here.

That there are more than 10,000 is all that people want to know, and an exact count reads every row.
"""

MAX_PAGE_CHARS = 8 * 2**20
"""What the documents of one page may have together; one has up to 4 MiB."""


def count_fitting(sizes: Iterable[int], most: int) -> int:
    """How many of these, from the first on, are at most `most` together; one at least."""
    return max(1, sum(total <= most for total in accumulate(sizes)))


def capped_count(connection: Connection, query: Select[Any]) -> tuple[int, bool]:
    """How many rows the query has, and whether that is exact."""
    some = query.limit(MAX_COUNT).subquery()
    count = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return (count, True) if count < MAX_COUNT else (MAX_COUNT - 1, False)
