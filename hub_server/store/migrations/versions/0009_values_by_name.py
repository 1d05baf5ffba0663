"""Values of one name are together, and all that is looked up in them is in one index."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PRIMARY_KEY = "pk_run_value"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To this schema."""
    if op.get_bind().dialect.name == "postgresql":
        _replace_key("key_id, run_id", "INCLUDE (num, txt)")
    else:
        _rebuild("key_id", "run_id")


def downgrade() -> None:
    """Back to the one before."""
    if op.get_bind().dialect.name == "postgresql":
        _replace_key("run_id, key_id")
    else:
        _rebuild("run_id", "key_id")


def _replace_key(columns: str, included: str = "") -> None:
    op.drop_constraint(PRIMARY_KEY, "run_value")
    op.execute(f"ALTER TABLE run_value ADD CONSTRAINT {PRIMARY_KEY} PRIMARY KEY ({columns}) {included}")


def _rebuild(*key: str) -> None:
    """SQLite keeps the rows of this table in the order of its key."""
    made = op.create_table(
        "new_run_value",
        *(sa.Column(name, NUMBER, nullable=False) for name in key),
        sa.Column("num", sa.Float()),
        sa.Column("txt", sa.String()),
        sa.ForeignKeyConstraint(["key_id"], ["run_key.id"], name=op.f("fk_run_value_key_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_value_run_id")),
        sa.PrimaryKeyConstraint(*key, name=op.f(PRIMARY_KEY)),
        sqlite_with_rowid=False,
    )
    names = [*key, "num", "txt"]
    kept = sa.table("run_value", *(sa.column(name) for name in names))
    rows = sa.select(kept).order_by(*(kept.c[name] for name in key))
    op.execute(made.insert().from_select(names, rows))
    op.drop_table("run_value")
    op.rename_table("new_run_value", "run_value")
    for value in ("num", "txt"):
        where = sa.text(f"{value} IS NOT NULL")
        op.create_index(f"ix_run_value_{value}", "run_value", ["key_id", value, "run_id"], sqlite_where=where)
