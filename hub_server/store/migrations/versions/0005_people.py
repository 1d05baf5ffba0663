"""Passwords, collaborators, public projects, what people say about runs, trash, audit log, and kept answers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema; whoever made a project owns it."""
    op.add_column("account", sa.Column("password_hash", sa.String()))
    op.add_column("project", sa.Column("is_public", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("project", sa.Column("deleted_at", sa.BigInteger()))
    op.add_column("session", sa.Column("by_code", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "collaborator",
        sa.Column("project_id", _key(), nullable=False),
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_collaborator_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_collaborator_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "account_id", name=op.f("pk_collaborator")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_collaborator_account_id"), "collaborator", ["account_id"])
    op.execute(
        "INSERT INTO collaborator (project_id, account_id, role, added_at) "
        "SELECT id, created_by, 'owner', created_at FROM project"
    )
    _create_audit()
    op.create_table(
        "idempotent",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", _words(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotent")),
    )
    op.create_index(op.f("ix_idempotent_at"), "idempotent", ["at"])
    _open_runs_to_people()


def downgrade() -> None:
    """Back to the one before."""
    op.drop_table("comment")
    op.drop_table("run_edit")
    op.drop_index("ix_run_deleted", "run")
    op.drop_column("run", "deleted_at")
    op.drop_table("idempotent")
    op.drop_table("audit")
    op.drop_table("collaborator")
    op.drop_column("session", "by_code")
    op.drop_column("project", "deleted_at")
    op.drop_column("project", "is_public")
    op.drop_column("account", "password_hash")


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _key(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(36)),
        sa.Column("account_name", sa.String(), nullable=False),
        sa.Column("credential", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("project", sa.String(36)),
        sa.Column("target", _words(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_index(op.f("ix_audit_project"), "audit", ["project"])


def _open_runs_to_people() -> None:
    op.add_column("run", sa.Column("deleted_at", sa.BigInteger()))
    in_trash = sa.text("deleted_at IS NOT NULL")
    op.create_index(
        "ix_run_deleted", "run", ["project_id", "deleted_at"], sqlite_where=in_trash, postgresql_where=in_trash
    )
    op.create_table(
        "run_edit",
        sa.Column("project_id", _key(), nullable=False),
        sa.Column("run_uuid", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", _words(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("edited_at", sa.BigInteger(), nullable=False),
        sa.Column("edited_by", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_run_edit_project_id")),
        sa.ForeignKeyConstraint(["edited_by"], ["account.id"], name=op.f("fk_run_edit_edited_by")),
        sa.PrimaryKeyConstraint("project_id", "run_uuid", name=op.f("pk_run_edit")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "comment",
        sa.Column("id", _key(), nullable=False),
        sa.Column("project_id", _key(), nullable=False),
        sa.Column("run_uuid", sa.String(36), nullable=False),
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("edited_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_comment_project_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_comment_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
    )
    op.create_index(op.f("ix_comment_project_id_run_uuid_id"), "comment", ["project_id", "run_uuid", "id"])


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _words() -> sa.String:
    return sa.String(collation="C" if op.get_bind().dialect.name == "postgresql" else None)
