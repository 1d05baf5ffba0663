"""Counting without reading everything."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select

MAX_COUNT = 10_001
"""Counts stop here.

That there are more than 10,000 is all that people want to know, and an exact count reads every row.
"""


def capped_count(connection: Connection, query: Select[Any]) -> tuple[int, bool]:
    """How many rows the query has, and whether that is exact."""
    some = query.limit(MAX_COUNT).subquery()
    count = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return (count, True) if count < MAX_COUNT else (MAX_COUNT - 1, False)
