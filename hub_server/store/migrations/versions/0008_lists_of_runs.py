"""Lists of runs by their start need nothing but the index."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = ["project_id", "happened_at", "id"]


def upgrade() -> None:
    """To this schema."""
    op.create_index("ix_run_listed", "run", [*COLUMNS, "deleted_at"])
    op.drop_index(op.f("ix_run_project_id_happened_at_id"), table_name="run")


def downgrade() -> None:
    """Back to the one before."""
    op.create_index(op.f("ix_run_project_id_happened_at_id"), "run", COLUMNS)
    op.drop_index("ix_run_listed", table_name="run")
