"""The audit log counts what the throttle refuses in one entry, and has the names of projects."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REFUSED = "ix_audit_refused"


def upgrade() -> None:
    """To this schema; what was noted before stands for one request each, in projects of names that nobody noted."""
    op.add_column("audit", sa.Column("project_name", sa.String()))
    op.add_column("audit", sa.Column("times", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("audit", sa.Column("last_at", sa.BigInteger()))
    refused = sa.text("status >= 400")
    op.create_index(REFUSED, "audit", ["action", "client", "at"], sqlite_where=refused, postgresql_where=refused)


def downgrade() -> None:
    """Back to the one before."""
    op.drop_index(REFUSED, "audit")
    op.drop_column("audit", "last_at")
    op.drop_column("audit", "times")
    op.drop_column("audit", "project_name")
