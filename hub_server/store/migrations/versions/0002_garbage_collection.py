"""What collecting garbage and checking packs must remember."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema."""
    op.add_column("dot", sa.Column("gc_cycle", sa.Integer(), server_default="0", nullable=False))
    op.add_column("pack", sa.Column("doomed_at", sa.BigInteger(), nullable=True))
    op.add_column("pack", sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("pack", sa.Column("checked_at", sa.BigInteger(), nullable=True))
    op.add_column("pack", sa.Column("damaged_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_pack_doomed_at", "pack", ["doomed_at"], sqlite_where=sa.text("doomed_at IS NOT NULL"))
    op.create_index("ix_pack_damaged_at", "pack", ["damaged_at"], sqlite_where=sa.text("damaged_at IS NOT NULL"))
    op.add_column("object", sa.Column("unused_since", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_object_unused", "object", ["project_id", "unused_since"], sqlite_where=sa.text("unused_since IS NOT NULL")
    )


def downgrade() -> None:
    """Back to the one before."""
    op.drop_index("ix_object_unused", table_name="object")
    op.drop_column("object", "unused_since")
    op.drop_index("ix_pack_damaged_at", table_name="pack")
    op.drop_index("ix_pack_doomed_at", table_name="pack")
    for name in ("damaged_at", "checked_at", "deleting", "doomed_at"):
        op.drop_column("pack", name)
    op.drop_column("dot", "gc_cycle")
