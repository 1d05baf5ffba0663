"""Full-text search of runs: an index of words that each database keeps in its own way.

On SQLite that is a table of FTS5 without the text itself, so that what is taken out has to be told anew; on
PostgreSQL a column of lexemes with a GIN index. Both get words that are taken apart already (`domain.words`). Runs in
the trash are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Select,
    String,
    Text,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from dotscience.record import RunRecord
from hub_server.domain.words import words_in, words_of_run
from hub_server.store.schema import run, run_edit

NAME = "run_search"
"""The table; on SQLite, names of further ones begin with it."""

BATCH = 500

_FTS = table(NAME, column("rowid"), column("project"), column("words"), column(NAME))
_LEXEMES = table(NAME, column("run_id", BigInteger), column("project_id", BigInteger), column("words"))
_ADD_LEXEMES = insert(_LEXEMES).values(
    run_id=bindparam("run"),
    project_id=bindparam("project"),
    words=func.array_to_tsvector(bindparam("words", type_=ARRAY(Text))),
)
_ADD_FTS = text("INSERT INTO run_search (rowid, project, words) VALUES (:run, :project, :words)")
_TAKE_OUT_FTS = text(
    "INSERT INTO run_search (run_search, rowid, project, words) VALUES ('delete', :run, :project, :words)"
)
_EMPTY_FTS = text("INSERT INTO run_search (run_search) VALUES ('delete-all')")

_RUNS = select(run.c.id, run.c.project_id, run.c.doc, run_edit.c.name, run_edit.c.notes, run_edit.c.tags).outerjoin(
    run_edit, (run_edit.c.project_id == run.c.project_id) & (run_edit.c.run_uuid == run.c.uuid)
)
_OF_KEYS = _RUNS.where(run.c.id.in_(bindparam("keys", expanding=True)))
_NEXT = _RUNS.where(run.c.id > bindparam("after"), run.c.deleted_at.is_(None)).order_by(run.c.id).limit(BATCH)


def create(connection: Connection) -> None:
    """Make the index, empty."""
    if _is_sqlite(connection):
        options = "content='', tokenize='unicode61', prefix='2 3'"
        connection.execute(text(f"CREATE VIRTUAL TABLE {NAME} USING fts5(project, words, {options})"))
        return
    connection.execute(
        text(f"CREATE TABLE {NAME} (run_id BIGINT PRIMARY KEY, project_id BIGINT NOT NULL, words TSVECTOR NOT NULL)")
    )
    connection.execute(text(f"CREATE INDEX ix_{NAME}_words ON {NAME} USING gin (words)"))


def index(connection: Connection, keys: Sequence[int]) -> None:
    """Put runs, by their database keys, into the index, which does not have them."""
    _add(connection, _read(connection, keys))


def take_out(connection: Connection, keys: Sequence[int]) -> None:
    """Take runs out of the index, which has them with what is stored of them now."""
    if not _is_sqlite(connection):
        connection.execute(delete(_LEXEMES).where(_LEXEMES.c.run_id.in_(keys)))
        return
    for row in _read(connection, keys):
        connection.execute(_TAKE_OUT_FTS, _values(row, as_text=True))


def rebuild(connection: Connection) -> None:
    """Make the index anew from everything that is stored."""
    if _is_sqlite(connection):
        connection.execute(_EMPTY_FTS)
    else:
        connection.execute(delete(_LEXEMES))
    after = 0
    while rows := connection.execute(_NEXT, {"after": after}).all():
        _add(connection, rows)
        after = rows[-1].id


def terms(system: str, project_key: int, wanted: str) -> str:
    """What to search for (`matching`): every word of a text, the last one perhaps only begun."""
    *whole, begun = words_in(wanted)
    if system == "sqlite":
        words = " AND ".join([*(f'"{word}"' for word in whole), f'"{begun}" *'])
        return f"project : p{project_key} AND words : ({words})"
    return " & ".join([*(f"'{word}'" for word in whole), f"'{begun}':*"])


def matching(system: str, name: str) -> Select[Any]:
    """The keys (`run_id`) of a project's runs that are searched for.

    The parameters are `project`, the project's key, and, by this name, the `terms`.
    """
    wanted = bindparam(name, type_=String())
    if system == "sqlite":
        return select(_FTS.c.rowid.label("run_id")).where(_FTS.c[NAME].op("MATCH")(wanted))
    mine = _LEXEMES.c.project_id == bindparam("project")
    return select(_LEXEMES.c.run_id).where(mine, _LEXEMES.c.words.op("@@")(cast(wanted, TSQUERY)))


def _read(connection: Connection, keys: Sequence[int]) -> list[Any]:
    some = [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
    return [row for part in some for row in connection.execute(_OF_KEYS, {"keys": part})]


def _add(connection: Connection, rows: Sequence[Any]) -> None:
    if not rows:
        return
    if _is_sqlite(connection):
        connection.execute(_ADD_FTS, [_values(row, as_text=True) for row in rows])
    else:
        connection.execute(_ADD_LEXEMES, [_values(row, as_text=False) for row in rows])


def _values(row: Any, *, as_text: bool) -> dict[str, Any]:
    record = msgspec.json.decode(row.doc, type=RunRecord)
    tags = msgspec.json.decode(row.tags or "[]", type=list[str])
    words = words_of_run(record, row.name or "", row.notes or "", tags)
    if as_text:
        return {"run": row.id, "project": f"p{row.project_id}", "words": " ".join(words)}
    return {"run": row.id, "project": row.project_id, "words": words}


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
