"""Alembic's entry point; it runs on the connection that `hub_server.store.migrate` passes in."""

from typing import Any, Literal

from alembic import context

from hub_server.store.schema import UtcTime, Words, metadata


def render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own column types as what they are in the database: migrations must not change when our code does."""
    if kind != "type" or not isinstance(item, UtcTime | Words):
        return False
    return "sa.BigInteger()" if isinstance(item, UtcTime) else "sa.String()"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=render,
    transactional_ddl=True,
)
context.run_migrations()
