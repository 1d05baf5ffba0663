"""Storing runs, and reading them one by one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection, Row, Select, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from dotscience.record import FileRef, RunRecord
from hub_server.domain.types import Columns, RunInfo
from hub_server.domain.values import IndexedValue, index_value
from hub_server.store.schema import commit, project, run, run_file, run_key, run_value

Key = tuple[str, str]
"""Kind (param, summary or label) and name of a value."""


class NewRun(Struct, frozen=True, kw_only=True):
    """A run to be stored; `doc` is the record's JSON as the committer wrote it, `hash` that JSON's object."""

    record: RunRecord
    hash: bytes
    doc: str
    happened_at: datetime


class Ingest(Struct, frozen=True, kw_only=True):
    """Where runs are stored: the project, the commit that holds them, and when."""

    project_key: int
    commit_key: int
    commit_id: str
    now: datetime


def add_runs(connection: Connection, place: Ingest, runs: list[NewRun]) -> list[str]:
    """Store the runs of a commit in order; the ids of those that are new to the project.

    A run that the project has keeps its first content; where this one differs, the stored run gets a warning.
    """
    stored = _stored_hashes(connection, place.project_key, [one.record.run_id for one in runs])
    added: list[str] = []
    for one in runs:
        known = stored.get(one.record.run_id)
        if known is None:
            _add_run(connection, place, one)
            stored[one.record.run_id] = one.hash
            added.append(one.record.run_id)
        elif known != one.hash:
            _warn(connection, place, one.record.run_id)
    if added:
        _count(connection, place.project_key, len(added), max(one.happened_at for one in runs))
    return added


def find_run(connection: Connection, project_key: int, run_id: str) -> RunInfo | None:
    """One run of the project."""
    row = connection.execute(_runs().where(run.c.project_id == project_key, run.c.uuid == run_id)).first()
    return None if row is None else _info(row)


def read_runs(connection: Connection, keys: list[int]) -> list[RunInfo]:
    """The runs with these database keys, in this order."""
    found = {row.id: _info(row) for row in connection.execute(_runs().where(run.c.id.in_(keys)))}
    return [found[key] for key in keys]


def list_columns(connection: Connection, project_key: int) -> Columns:
    """The names in use in the project."""
    query = select(run_key.c.kind, run_key.c.name).where(run_key.c.project_id == project_key).order_by(run_key.c.name)
    names: dict[str, list[str]] = {"param": [], "summary": [], "label": []}
    for row in connection.execute(query):
        names[row.kind].append(row.name)
    return Columns(parameters=names["param"], summary=names["summary"], labels=names["label"])


def _stored_hashes(connection: Connection, project_key: int, run_ids: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(run_ids), 500):
        query = select(run.c.uuid, run.c.record_hash).where(
            run.c.project_id == project_key, run.c.uuid.in_(run_ids[start : start + 500])
        )
        found.update((row.uuid, row.record_hash) for row in connection.execute(query))
    return found


def _add_run(connection: Connection, place: Ingest, new: NewRun) -> None:
    record = new.record
    last = select(func.coalesce(func.max(run.c.seq), 0)).where(run.c.project_id == place.project_key)
    run_key_value = connection.execute(
        insert(run)
        .values(
            uuid=record.run_id,
            project_id=place.project_key,
            seq=last.scalar_subquery() + 1,
            commit_id=place.commit_key,
            authority=record.authority,
            status="success" if record.error is None else "error",
            happened_at=new.happened_at,
            ended_at=record.ended_at,
            ingested_at=place.now,
            warnings="[]",
            record_hash=new.hash,
            doc=new.doc,
        )
        .returning(run.c.id)
    ).scalar_one()
    _add_values(connection, place.project_key, run_key_value, record)
    _add_files(connection, run_key_value, record)


def _add_values(connection: Connection, project_key: int, run_id: int, record: RunRecord) -> None:
    values = _indexed_values(record)
    if not values:
        return
    keys = _keys(connection, project_key, list(values))
    connection.execute(
        insert(run_value),
        [{"run_id": run_id, "key_id": keys[key], "num": value.num, "txt": value.txt} for key, value in values.items()],
    )
    connection.execute(update(run_key).where(run_key.c.id.in_(list(keys.values()))).values(runs=run_key.c.runs + 1))


def _indexed_values(record: RunRecord) -> dict[Key, IndexedValue]:
    groups = (("param", record.parameters), ("summary", record.summary), ("label", record.labels))
    indexed = (((kind, name), index_value(value)) for kind, group in groups for name, value in group.items())
    return {key: value for key, value in indexed if value is not None}


def _keys(connection: Connection, project_key: int, names: list[Key]) -> dict[Key, int]:
    """The database keys of names, making those that are new."""
    rows = [{"project_id": project_key, "kind": kind, "name": name} for kind, name in names]
    connection.execute(upsert(run_key).on_conflict_do_nothing(), rows)
    found: dict[Key, int] = {}
    wanted = set(names)
    for start in range(0, len(names), 500):
        query = select(run_key.c.id, run_key.c.kind, run_key.c.name).where(
            run_key.c.project_id == project_key,
            run_key.c.kind.in_(("param", "summary", "label")),
            run_key.c.name.in_([name for _, name in names[start : start + 500]]),
        )
        found.update(((row.kind, row.name), row.id) for row in connection.execute(query))
    return {key: found[key] for key in wanted}


def _add_files(connection: Connection, run_id: int, record: RunRecord) -> None:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for direction, files in (("input", record.inputs), ("output", record.outputs)):
        for file in files:
            rows[direction, file.path] = {
                "run_id": run_id,
                "direction": direction,
                "path": file.path,
                "content_hash": _content_hash(file),
            }
    if rows:
        connection.execute(insert(run_file), list(rows.values()))


def _content_hash(file: FileRef) -> bytes | None:
    try:
        return bytes.fromhex(file.content_hash) if file.content_hash else None
    except ValueError:
        return None


def _warn(connection: Connection, place: Ingest, run_id: str) -> None:
    mine = (run.c.project_id == place.project_key) & (run.c.uuid == run_id)
    warnings: list[str] = msgspec.json.decode(connection.execute(select(run.c.warnings).where(mine)).scalar_one())
    warning = f"commit {place.commit_id[:12]} holds another record with this run's id; the first one was kept"
    if warning not in warnings:
        connection.execute(update(run).where(mine).values(warnings=msgspec.json.encode([*warnings, warning]).decode()))


def _count(connection: Connection, project_key: int, added: int, newest: datetime) -> None:
    mine = project.c.id == project_key
    last = connection.scalar(select(project.c.last_run_at).where(mine))
    connection.execute(
        update(project)
        .where(mine)
        .values(runs=project.c.runs + added, last_run_at=newest if last is None else max(last, newest))
    )


def _runs() -> Select[Any]:
    return (
        select(
            run.c.id,
            run.c.uuid,
            run.c.seq,
            run.c.ingested_at,
            run.c.warnings,
            run.c.doc,
            commit.c.hash.label("commit_hash"),
            project.c.uuid.label("project_uuid"),
        )
        .join(commit, commit.c.id == run.c.commit_id)
        .join(project, project.c.id == run.c.project_id)
    )


def _info(row: Row[Any]) -> RunInfo:
    return RunInfo(
        id=row.uuid,
        project_id=row.project_uuid,
        seq=row.seq,
        commit=row.commit_hash.hex(),
        ingested_at=row.ingested_at,
        warnings=msgspec.json.decode(row.warnings),
        record=Raw(row.doc.encode()),
    )
