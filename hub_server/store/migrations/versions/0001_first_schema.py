"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "pack",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pack")),
        sa.UniqueConstraint("hash", name=op.f("uq_pack_hash")),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "login_code",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_login_code_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_login_code")),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=False),
        sa.Column("runs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_run_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_project_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_project_uuid")),
    )
    op.create_table(
        "session",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_session_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_session")),
    )
    op.create_table(
        "dot",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gc_epoch", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_dot_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dot")),
        sa.UniqueConstraint("project_id", name=op.f("uq_dot_project_id")),
    )
    op.create_table(
        "object",
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("pack_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("stored_size", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("encoding", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_object_pack_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_object_project_id")),
        sa.PrimaryKeyConstraint("project_id", "hash", name=op.f("pk_object")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_object_pack_id"), "object", ["pack_id"], unique=False)
    op.create_table(
        "project_pack",
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pack_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_project_pack_pack_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_project_pack_project_id")),
        sa.PrimaryKeyConstraint("project_id", "pack_id", name=op.f("pk_project_pack")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_project_pack_pack_id"), "project_pack", ["pack_id"], unique=False)
    op.create_table(
        "run_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("runs", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_run_key_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_key")),
        sa.UniqueConstraint("project_id", "kind", "name", name=op.f("uq_run_key_project_id_kind_name")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_token_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_token_project_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )
    op.create_index(op.f("ix_token_account_id"), "token", ["account_id"], unique=False)
    op.create_table(
        "branch",
        sa.Column("dot_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dot_id"], ["dot.id"], name=op.f("fk_branch_dot_id")),
        sa.PrimaryKeyConstraint("dot_id", "name", name=op.f("pk_branch")),
    )
    op.create_table(
        "commit_",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("dot_id", sa.String(length=36), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dot_id"], ["dot.id"], name=op.f("fk_commit__dot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commit_")),
        sa.UniqueConstraint("dot_id", "hash", name=op.f("uq_commit__dot_id_hash")),
    )
    op.create_index(op.f("ix_commit__dot_id_id"), "commit_", ["dot_id", "id"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("commit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("authority", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ingested_at", sa.BigInteger(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("record_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["commit_id"], ["commit_.id"], name=op.f("fk_run_commit_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_run_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("project_id", "seq", name=op.f("uq_run_project_id_seq")),
        sa.UniqueConstraint("project_id", "uuid", name=op.f("uq_run_project_id_uuid")),
    )
    op.create_index(op.f("ix_run_commit_id"), "run", ["commit_id"], unique=False)
    op.create_index(op.f("ix_run_project_id_happened_at_id"), "run", ["project_id", "happened_at", "id"], unique=False)
    op.create_table(
        "run_file",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_file_run_id")),
        sa.PrimaryKeyConstraint("run_id", "direction", "path", name=op.f("pk_run_file")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_file_content", "run_file", ["content_hash", "run_id"], unique=False)
    op.create_table(
        "run_value",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("num", sa.Float(), nullable=True),
        sa.Column("txt", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["run_key.id"], name=op.f("fk_run_value_key_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_value_run_id")),
        sa.PrimaryKeyConstraint("run_id", "key_id", name=op.f("pk_run_value")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_value_num",
        "run_value",
        ["key_id", "num", "run_id"],
        unique=False,
        sqlite_where=sa.text("num IS NOT NULL"),
    )
    op.create_index(
        "ix_run_value_txt",
        "run_value",
        ["key_id", "txt", "run_id"],
        unique=False,
        sqlite_where=sa.text("txt IS NOT NULL"),
    )


def downgrade() -> None:
    """Back to the one before."""
    op.drop_index("ix_run_value_txt", table_name="run_value", sqlite_where=sa.text("txt IS NOT NULL"))
    op.drop_index("ix_run_value_num", table_name="run_value", sqlite_where=sa.text("num IS NOT NULL"))
    op.drop_table("run_value")
    op.drop_index("ix_run_file_content", table_name="run_file")
    op.drop_table("run_file")
    op.drop_index(op.f("ix_run_project_id_happened_at_id"), table_name="run")
    op.drop_index(op.f("ix_run_commit_id"), table_name="run")
    op.drop_table("run")
    op.drop_index(op.f("ix_commit__dot_id_id"), table_name="commit_")
    op.drop_table("commit_")
    op.drop_table("branch")
    op.drop_index(op.f("ix_token_account_id"), table_name="token")
    op.drop_table("token")
    op.drop_table("run_key")
    op.drop_index(op.f("ix_project_pack_pack_id"), table_name="project_pack")
    op.drop_table("project_pack")
    op.drop_index(op.f("ix_object_pack_id"), table_name="object")
    op.drop_table("object")
    op.drop_table("dot")
    op.drop_table("session")
    op.drop_table("project")
    op.drop_table("login_code")
    op.drop_table("setting")
    op.drop_table("pack")
    op.drop_table("account")
