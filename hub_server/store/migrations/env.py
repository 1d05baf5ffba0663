"""Alembic's entry point; it runs on the connection that `hub_server.store.migrate` passes in."""

from typing import Any, Literal

from alembic import context

from hub_server.store.schema import UtcTime, metadata


def render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own column type as what it is in the database: migrations must not change when our code does."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=render,
    transactional_ddl=True,
)
context.run_migrations()
