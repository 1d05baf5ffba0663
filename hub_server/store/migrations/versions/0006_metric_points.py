"""Runs that are going on, and the points of their metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema."""
    op.create_table(
        "live_run",
        _id("id"),
        _id("project_id"),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_live_run_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_run")),
        sa.UniqueConstraint("project_id", "uuid", name=op.f("uq_live_run_project_id_uuid")),
    )
    op.create_index(op.f("ix_live_run_project_id_published_id"), "live_run", ["project_id", "published", "id"])
    op.create_table(
        "metric_series",
        _id("id"),
        _id("live_run_id"),
        sa.Column("name", _words(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("last_num", sa.Float()),
        sa.Column("last_txt", sa.String()),
        sa.ForeignKeyConstraint(["live_run_id"], ["live_run.id"], name=op.f("fk_metric_series_live_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_series")),
        sa.UniqueConstraint("live_run_id", "name", name=op.f("uq_metric_series_live_run_id_name")),
    )
    op.create_table(
        "metric_point",
        _id("series_id"),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("num", sa.Float()),
        sa.Column("txt", sa.String()),
        sa.ForeignKeyConstraint(["series_id"], ["metric_series.id"], name=op.f("fk_metric_point_series_id")),
        sa.PrimaryKeyConstraint("series_id", "step", name=op.f("pk_metric_point")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Back to the one before."""
    for name in ("metric_point", "metric_series", "live_run"):
        op.drop_table(name)


def _id(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _words() -> sa.String:
    return sa.String(collation="C" if op.get_bind().dialect.name == "postgresql" else None)
