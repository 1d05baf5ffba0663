"""What work asks a database."""

from __future__ import annotations

from contextlib import contextmanager

from sqlalchemy import event


@contextmanager
def listening(connection, listen):
    """Within the block `listen` is called with each statement that is sent, and SQLAlchemy's context of it."""

    def note(conn, cursor, statement, parameters, context, many):
        listen((statement, parameters), context)

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", note)


def statements_of(connection, work):
    """The statements that `work` sends, with their parameters."""
    sent = []
    with listening(connection, lambda statement, _: sent.append(statement)):
        work()
    return sent


def plan_of(connection, statements):
    """The steps of the database's plans, one after the other."""
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN (COSTS OFF)"}[connection.dialect.name]
    return [
        row[-1].strip()
        for statement, parameters in statements
        for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)
    ]
