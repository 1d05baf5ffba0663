"""Versions of models say which of their files a later run has overwritten, also those that are here already."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BATCH = 100


def upgrade() -> None:
    """To this schema."""
    connection = op.get_bind()
    run = sa.table("run", *map(sa.column, ("id", "doc")))
    version = sa.table("model_version", *map(sa.column, ("model_id", "number", "run_id", "doc")))
    published = sa.select(version.c.run_id)
    last = 0
    while True:
        marked = run.c.doc.like('%"overwritten":true%') & run.c.id.in_(published)
        rows = connection.execute(sa.select(run).where(run.c.id > last, marked).order_by(run.c.id).limit(BATCH)).all()
        for row in rows:
            _mark(connection, version, row)
        if len(rows) < BATCH:
            return
        last = rows[-1].id


def downgrade() -> None:
    """Back to the one before, which reads over what it does not know."""


def _mark(connection: sa.Connection, version: sa.TableClause, run: sa.Row[Any]) -> None:
    lost = [file["path"] for file in json.loads(run.doc).get("outputs", ()) if file.get("overwritten")]
    for row in connection.execute(sa.select(version).where(version.c.run_id == run.id)).all():
        doc = json.loads(row.doc)
        doc["overwritten"] = sorted({path for path in doc.get("files", {}).values() if _is_or_has(path, lost)})
        text = json.dumps(doc, separators=(",", ":"), ensure_ascii=False)
        mine = (version.c.model_id == row.model_id) & (version.c.number == row.number)
        connection.execute(sa.update(version).where(mine).values(doc=text))


def _is_or_has(path: str, lost: list[str]) -> bool:
    return any(path in (".", one) or one.startswith(f"{path}/") for one in lost)
