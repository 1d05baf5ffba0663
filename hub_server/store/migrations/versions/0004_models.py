"""Models and their versions, also those of the runs that are here already."""

import json
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BATCH = 1_000


def upgrade() -> None:
    """To this schema."""
    op.create_table(
        "model",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", _words(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_model_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_model_project_id_name")),
    )
    op.create_table(
        "model_version",
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_model_version_model_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_model_version_run_id")),
        sa.PrimaryKeyConstraint("model_id", "number", name=op.f("pk_model_version")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_model_version_run_id"), "model_version", ["run_id"])
    _number_those_of_earlier_runs(op.get_bind())


def downgrade() -> None:
    """Back to the one before."""
    op.drop_table("model_version")
    op.drop_table("model")


def _words() -> sa.String:
    return sa.String(collation="C" if op.get_bind().dialect.name == "postgresql" else None)


def _number_those_of_earlier_runs(connection: sa.Connection) -> None:
    """In the order in which the runs came; each project's models get their numbers as if they came now."""
    run = sa.table("run", *map(sa.column, ("id", "project_id", "ingested_at", "doc")))
    versions: Counter[int] = Counter()
    keys: dict[tuple[int, str], int] = {}
    last = 0
    while True:
        query = sa.select(run).where(run.c.id > last, run.c.doc.like('%"models":[{%')).order_by(run.c.id).limit(BATCH)
        rows = connection.execute(query).all()
        for row in rows:
            for artefact in json.loads(row.doc).get("models", ()):
                _add(connection, row, artefact, keys, versions)
        if len(rows) < BATCH:
            return
        last = rows[-1].id


def _add(
    connection: sa.Connection,
    row: sa.Row[Any],
    artefact: dict[str, object],
    keys: dict[tuple[int, str], int],
    versions: Counter[int],
) -> None:
    model = sa.table("model", *map(sa.column, ("id", "project_id", "name", "versions", "updated_at")))
    version = sa.table("model_version", *map(sa.column, ("model_id", "number", "run_id", "doc")))
    name = str(artefact["name"]).replace("\0", "\N{SYMBOL FOR NULL}")
    place = row.project_id, name
    if place not in keys:
        made = {"project_id": row.project_id, "name": name, "versions": 0, "updated_at": row.ingested_at}
        keys[place] = connection.execute(sa.insert(model).values(made).returning(model.c.id)).scalar_one()
    key = keys[place]
    versions[key] += 1
    doc = json.dumps(artefact, separators=(",", ":"), ensure_ascii=False)
    connection.execute(sa.insert(version).values(model_id=key, number=versions[key], run_id=row.id, doc=doc))
    newest = {"versions": versions[key], "updated_at": row.ingested_at}
    connection.execute(sa.update(model).where(model.c.id == key).values(newest))
