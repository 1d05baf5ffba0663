"""What work asks a database."""

from __future__ import annotations

from sqlalchemy import event


def statements_of(connection, work):
    """The statements that `work` sends, with their parameters."""
    sent = []

    def note(conn, cursor, statement, parameters, context, many):
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(connection, "before_cursor_execute", note)
    return sent


def plan_of(connection, statements):
    """The steps of the database's plans, one after the other."""
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN (COSTS OFF)"}[connection.dialect.name]
    return [
        row[-1].strip()
        for statement, parameters in statements
        for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)
    ]
