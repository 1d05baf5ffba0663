"""Texts that users chose are compared by their bytes on PostgreSQL, too."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (
    ("project", "name"),
    ("token", "name"),
    ("branch", "name"),
    ("commit_", "branch"),
    ("run_key", "name"),
    ("run_value", "txt"),
    ("run_file", "path"),
)


def upgrade() -> None:
    """To this schema."""
    _collate("C")


def downgrade() -> None:
    """Back to the one before."""
    _collate(None)


def _collate(collation: str | None) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in COLUMNS:
        op.alter_column(table, column, type_=sa.String(collation=collation))
