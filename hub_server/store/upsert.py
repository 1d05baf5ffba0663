"""INSERT … ON CONFLICT, which SQLAlchemy has for each database by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite


class Upsert:
    """One statement, made once for each database: to make one costs SQLAlchemy more than to run it."""

    def __init__(self, table: Table, finish: Callable[[Any], Executable]) -> None:
        """`finish` gets the database's own INSERT into the table, and says what becomes of conflicts."""
        self._made = {"sqlite": finish(sqlite.insert(table)), "postgresql": finish(postgresql.insert(table))}

    def on(self, connection: Connection) -> Executable:
        """The statement for this connection's database."""
        return self._made[connection.dialect.name]
