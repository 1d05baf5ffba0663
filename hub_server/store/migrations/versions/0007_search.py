"""Full-text search of runs, also of those that are here already."""

from alembic import op

from hub_server.store import search

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema; what the index has is derived, so that no other schema than this one's matters to it."""
    search.create(op.get_bind())
    search.rebuild(op.get_bind())


def downgrade() -> None:
    """Back to the one before."""
    op.drop_table(search.NAME)
