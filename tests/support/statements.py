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
    """The steps of SQLite's plans, one after the other."""
    return [
        row[3]
        for statement, parameters in statements
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    ]
