"""The tables.

Runs are stored once as the immutable JSON that the committer made (`run.doc`), beside an index of their values
(`run_key`, `run_value`) and files (`run_file`) that can be rebuilt from it. Lists read ids from the index and the
documents of these; the value tables are never joined into a list, but the page's rows (see docs/hub.md, "Data").

Everything that is compared or joined often has an integer key. Hashes are 32 bytes, times microseconds since 1970
(UTC).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.engine import Dialect

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970 so that every database orders it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        """To the database."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        """From the database."""
        return None if value is None else EPOCH + int(value) * MICROSECOND


WORDS = String().with_variant(String(collation="C"), "postgresql")
"""A text that users chose: compared and sorted by its bytes on every database. PostgreSQL by itself compares as the
language of its cluster does."""


def _row_id() -> Column[int]:
    # SQLite numbers rows by itself only for the type INTEGER; elsewhere ids need 64 bits.
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


setting = Table(
    "setting",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("password_hash", String),
)

project = Table(
    "project",
    metadata,
    _row_id(),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", WORDS, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", ForeignKey("account.id"), nullable=False),
    Column("runs", Integer, nullable=False, server_default="0"),
    Column("last_run_at", UtcTime),
    Column("is_public", Boolean, nullable=False, server_default=false()),
    Column("deleted_at", UtcTime),
)
"""`deleted_at` is when the project was moved to the trash, where nothing of it is lost."""

collaborator = Table(
    "collaborator",
    metadata,
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    sqlite_with_rowid=False,
)
"""Who works on a project; `role` is owner, editor or viewer."""

token = Table(
    "token",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE")),
    Column("name", WORDS, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("scopes", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
)

session = Table(
    "session",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_used_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("by_code", Boolean, nullable=False, server_default=true()),
)
"""`by_code`: a login link began it, so that a forgotten password can be set anew."""

login_code = Table(
    "login_code",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    _row_id(),
    Column("at", UtcTime, nullable=False, index=True),
    Column("account_id", String(36)),
    Column("account_name", String, nullable=False),
    Column("credential", String, nullable=False),
    Column("client", String, nullable=False),
    Column("action", String, nullable=False),
    Column("project", String(36), index=True),
    Column("target", WORDS, nullable=False),
    Column("status", Integer, nullable=False),
    Column("project_name", String),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("last_at", UtcTime),
    Index(
        "ix_audit_refused",
        "action",
        "client",
        "at",
        sqlite_where=text("status >= 400"),
        postgresql_where=text("status >= 400"),
    ),
)
"""Who did what, when, from where, and with which outcome (an HTTP status), with the names that were true then.

An entry is never changed, whatever goes elsewhere, but for one of refusals by the throttle: it stands for `times` of
them, the last at `last_at` (empty while it is one). Failed sign-ins go after a time.
"""

idempotent = Table(
    "idempotent",
    metadata,
    Column("owner", String, primary_key=True),
    Column("key", WORDS, primary_key=True),
    Column("request_hash", LargeBinary(32), nullable=False),
    Column("status", Integer),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary),
    Column("at", UtcTime, nullable=False, index=True),
)
"""What was answered to requests with an Idempotency-Key; `body` is empty where it held a secret."""

dot = Table(
    "dot",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", ForeignKey("project.id"), nullable=False, unique=True),
    Column("gc_epoch", Integer, nullable=False, server_default="1"),
    Column("gc_cycle", Integer, nullable=False, server_default="0"),
    Column("created_at", UtcTime, nullable=False),
)
"""`gc_epoch` grows whenever objects of the project were deleted, `gc_cycle` whenever unused ones are looked for."""

branch = Table(
    "branch",
    metadata,
    Column("dot_id", ForeignKey("dot.id"), primary_key=True),
    Column("name", WORDS, primary_key=True),
    Column("head", LargeBinary(32), nullable=False),
    Column("moved_at", UtcTime, nullable=False),
)

commit = Table(
    "commit_",
    metadata,
    _row_id(),
    Column("dot_id", ForeignKey("dot.id"), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("branch", WORDS, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("runs", Integer, nullable=False),
    Column("pushed_at", UtcTime, nullable=False),
    Column("doc", Text, nullable=False),
    UniqueConstraint("dot_id", "hash"),
    Index(None, "dot_id", "id"),
)
"""`doc` is the commit's `CommitInfo` as JSON."""

run = Table(
    "run",
    metadata,
    _row_id(),
    Column("uuid", String(36), nullable=False),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("commit_id", ForeignKey("commit_.id"), nullable=False, index=True),
    Column("authority", String, nullable=False),
    Column("status", String, nullable=False),
    Column("happened_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("ingested_at", UtcTime, nullable=False),
    Column("warnings", Text, nullable=False),
    Column("record_hash", LargeBinary(32), nullable=False),
    Column("doc", Text, nullable=False),
    Column("deleted_at", UtcTime),
    UniqueConstraint("project_id", "uuid"),
    UniqueConstraint("project_id", "seq"),
    Index("ix_run_listed", "project_id", "happened_at", "id", "deleted_at"),
    Index(
        "ix_run_deleted",
        "project_id",
        "deleted_at",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
)
"""`happened_at` is when the run started, else ended, else was committed; never empty, so that every run has its place.

`deleted_at` is when the run was moved to the trash. There it has no values and no files in the tables below, which can
be made again from `doc`.
"""

run_edit = Table(
    "run_edit",
    metadata,
    Column("project_id", ForeignKey("project.id"), primary_key=True),
    Column("run_uuid", String(36), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", WORDS, nullable=False),
    Column("notes", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("edited_at", UtcTime, nullable=False),
    Column("edited_by", ForeignKey("account.id"), nullable=False),
    sqlite_with_rowid=False,
)
"""What people have said about a run, beside its record, which never changes. `version` grows with every change; `tags`
is a JSON list. By the run's id rather than its key, as runs can be taken in again.
"""

comment = Table(
    "comment",
    metadata,
    _row_id(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("run_uuid", String(36), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("edited_at", UtcTime),
    Index(None, "project_id", "run_uuid", "id"),
)
"""What people have written below a run."""

run_key = Table(
    "run_key",
    metadata,
    _row_id(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("name", WORDS, nullable=False),
    Column("runs", Integer, nullable=False, server_default="0"),
    UniqueConstraint("project_id", "kind", "name"),
)
"""A name in use in a project; `kind` is param, summary, label or tag, `runs` counts the runs with an indexed value."""

run_value = Table(
    "run_value",
    metadata,
    Column("key_id", ForeignKey("run_key.id"), nullable=False),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("num", Float),
    Column("txt", WORDS),
    PrimaryKeyConstraint("key_id", "run_id", postgresql_include=["num", "txt"]),
    Index("ix_run_value_num", "key_id", "num", "run_id", sqlite_where=text("num IS NOT NULL")),
    Index("ix_run_value_txt", "key_id", "txt", "run_id", sqlite_where=text("txt IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""A key belongs to one project, so these indexes need no project of their own.

The values of one key are together, in the order of their runs: to look them up for many runs, as filters do, touches a
twentieth of the pages that it takes where the values of one run are together. On PostgreSQL that is the index.
"""

run_file = Table(
    "run_file",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True),
    Column("direction", String, primary_key=True),
    Column("path", WORDS, primary_key=True),
    Column("content_hash", LargeBinary(32)),
    Index("ix_run_file_content", "content_hash", "run_id"),
    sqlite_with_rowid=False,
)
"""What a run read ("input") and wrote ("output"); provenance joins runs on `content_hash`."""

model = Table(
    "model",
    metadata,
    _row_id(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("name", WORDS, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("project_id", "name"),
)
"""A name under which runs of a project have published models; `versions` counts them."""

model_version = Table(
    "model_version",
    metadata,
    Column("model_id", ForeignKey("model.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False, index=True),
    Column("doc", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What one run published under the name. Numbers count up in the order in which the hub took the runs in; `doc` is the
run's `PublishedModel` (hub_server/store/models.py) as JSON."""

live_run = Table(
    "live_run",
    metadata,
    _row_id(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("uuid", String(36), nullable=False),
    Column("state", String, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("heard_at", UtcTime, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("points", Integer, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("doc", Text, nullable=False),
    UniqueConstraint("project_id", "uuid"),
    Index(None, "project_id", "published", "id"),
)
"""A run that reports while it goes on; it stays as the owner of its points when it is `published`.

`received` is how far into the committer's file the points are here, `doc` the run's record at its first point.
"""

metric_series = Table(
    "metric_series",
    metadata,
    _row_id(),
    Column("live_run_id", ForeignKey("live_run.id"), nullable=False),
    Column("name", WORDS, nullable=False),
    Column("points", Integer, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("last_num", Float),
    Column("last_txt", String),
    UniqueConstraint("live_run_id", "name"),
)
"""A metric of a run that has points; `points` counts all that came, the `last_` columns are the last of them."""

metric_point = Table(
    "metric_point",
    metadata,
    Column("series_id", ForeignKey("metric_series.id"), primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("num", Float),
    Column("txt", String),
    sqlite_with_rowid=False,
)
"""Never joined into a list. `at` is in microseconds; `txt` is a value that is not finite, and `num` is empty then."""

pack = Table(
    "pack",
    metadata,
    _row_id(),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("doomed_at", UtcTime),
    Column("deleting", Boolean, nullable=False, server_default=false()),
    Column("checked_at", UtcTime),
    Column("damaged_at", UtcTime),
    Index("ix_pack_doomed_at", "doomed_at", sqlite_where=text("doomed_at IS NOT NULL")),
    Index("ix_pack_damaged_at", "damaged_at", sqlite_where=text("damaged_at IS NOT NULL")),
)
"""A pack's file. `doomed_at` is when it was found to hold nothing that is used; `deleting` says that its file is being
deleted. `checked_at` is when its bytes were last found to be right, `damaged_at` when they were found not to be.
"""

project_pack = Table(
    "project_pack",
    metadata,
    Column("project_id", ForeignKey("project.id"), primary_key=True),
    Column("pack_id", ForeignKey("pack.id"), primary_key=True, index=True),
    Column("objects", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Who uploaded a pack; the file is kept once, but no project learns what another one has."""

object_ = Table(
    "object",
    metadata,
    Column("project_id", ForeignKey("project.id"), primary_key=True),
    Column("hash", LargeBinary(32), primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("pack_id", ForeignKey("pack.id"), nullable=False, index=True),
    Column("offset", BigInteger, nullable=False),
    Column("stored_size", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("encoding", Integer, nullable=False),
    Column("complete", Integer, nullable=False, server_default="0"),
    Column("unused_since", UtcTime),
    Index("ix_object_unused", "project_id", "unused_since", sqlite_where=text("unused_since IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""Where a project's objects lie: a record of a pack (`committer.storage.pack.PackEntry`).

`complete` is the kind as which an object was read when everything below it was found to be here, 0 before. Equal
bytes are one object whatever they are read as, so that "complete as a tree" says nothing about the same bytes as
anything else. `unused_since` is when no commit was found to need the object; such an object is never complete, so that
below a complete one nothing is unused but what the cycle under way found (docs/design/garbage-collection.md).
"""
