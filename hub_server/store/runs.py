"""Storing runs, and reading them one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from dotscience.record import FileRef, RunRecord
from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.types import Columns, RunInfo
from hub_server.domain.values import IndexedValue, index_name, index_value
from hub_server.store import live_runs, models, search
from hub_server.store.counting import MAX_PAGE_CHARS, capped_count, count_fitting
from hub_server.store.run_names import Key
from hub_server.store.schema import (
    UtcTime,
    comment,
    commit,
    project,
    run,
    run_edit,
    run_file,
    run_key,
    run_value,
)
from hub_server.store.upsert import Upsert

Keyed = list[tuple[int, RunRecord]]
"""Records with their runs' database keys."""


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


# Statements of pushes and lists are made once: to make one costs SQLAlchemy more than to run it.

_IN_PROJECT = run.c.project_id == bindparam("project")
_STORED_HASHES = select(run.c.uuid, run.c.record_hash).where(
    _IN_PROJECT, run.c.uuid.in_(bindparam("ids", expanding=True))
)
_LAST_SEQ = select(func.coalesce(func.max(run.c.seq), 0)).where(_IN_PROJECT)
_ADD_RUNS = insert(run).returning(run.c.uuid, run.c.id)
_ADD_VALUES = insert(run_value)
_ADD_FILES = insert(run_file)
_TAGGED = {"num": 1.0, "txt": "true"}
"""A run has a tag as it has a value that is true, so that filters find it alike."""
_COMMENTS = (
    select(func.count())
    .where(comment.c.project_id == run.c.project_id, comment.c.run_uuid == run.c.uuid)
    .correlate(run)
    .scalar_subquery()
)
# Two joins more would take PostgreSQL as long to plan as all the rest of a page.
_COMMIT = select(commit.c.hash).where(commit.c.id == run.c.commit_id).correlate(run).scalar_subquery()
_PROJECT = select(project.c.uuid).where(project.c.id == run.c.project_id).correlate(run).scalar_subquery()
_INFO: Select[Any] = (
    select(
        run.c.id,
        run.c.uuid,
        run.c.seq,
        run.c.ingested_at,
        run.c.warnings,
        run.c.deleted_at,
        _COMMIT.label("commit_hash"),
        _PROJECT.label("project_uuid"),
        run_edit.c.name,
        run_edit.c.notes,
        run_edit.c.tags,
        run_edit.c.version,
        _COMMENTS.label("comments"),
    )
    .select_from(run)
    .outerjoin(run_edit, (run_edit.c.project_id == run.c.project_id) & (run_edit.c.run_uuid == run.c.uuid))
)
_RUNS = _INFO.add_columns(run.c.doc)
_SIZE = func.length(run.c.doc)
_SMALL_RUNS = _INFO.add_columns(_SIZE.label("size"), case((bindparam("small") >= _SIZE, run.c.doc)).label("doc"))
_AMONG_KEYS = run.c.id.in_(bindparam("keys", expanding=True))
_RUNS_BY_KEY = _RUNS.where(_AMONG_KEYS)
_SMALL_RUNS_BY_KEY = _SMALL_RUNS.where(_AMONG_KEYS)
_COUNT_KEYS = Upsert(
    run_key,
    lambda new: new.on_conflict_do_update(
        index_elements=[run_key.c.project_id, run_key.c.kind, run_key.c.name],
        set_={"runs": run_key.c.runs + new.excluded.runs},
    ).returning(run_key.c.kind, run_key.c.name, run_key.c.id),
)
_NEWEST = bindparam("newest", type_=UtcTime)
_COUNT_RUNS = (
    update(project)
    .where(project.c.id == bindparam("project"))
    .values(
        runs=project.c.runs + bindparam("added"),
        last_run_at=case((project.c.last_run_at > _NEWEST, project.c.last_run_at), else_=_NEWEST),
    )
)


def add_runs(connection: Connection, place: Ingest, runs: list[NewRun]) -> list[str]:
    """Store the runs of a commit in order; the ids of those that are new to the project.

    A run that the project has keeps its first content; where this one differs, the stored run gets a warning. The
    number of statements does not grow with the number of runs.
    """
    kept = _stored_hashes(connection, place.project_key, [one.record.run_id for one in runs])
    added, differing = sort_out(kept, runs)
    if added:
        keys = insert_runs(connection, place, added)
        index_runs(connection, place.project_key, keys)
        search.index(connection, [key for key, _ in keys])
        models.add_versions(connection, place.project_key, keys, place.now)
        live_runs.mark_published(connection, place.project_key, [one.record.run_id for one in added])
        count_runs(connection, place.project_key, len(added), max(one.happened_at for one in added))
    for run_id in differing:
        warn(connection, place, run_id)
    return [one.record.run_id for one in added]


def sort_out(kept: dict[str, bytes], runs: Iterable[NewRun]) -> tuple[list[NewRun], list[str]]:
    """The runs of a commit that are new, and the ids of those that are not what was `kept`: the first content counts.

    `kept` has the hashes of records by the runs' ids, and gets those of the new ones.
    """
    added, differing = [], []
    for one in runs:
        run_id = one.record.run_id
        if run_id not in kept:
            kept[run_id] = one.hash
            added.append(one)
        elif kept[run_id] != one.hash:
            differing.append(run_id)
    return added, differing


def insert_runs(connection: Connection, place: Ingest, new: list[NewRun]) -> Keyed:
    """Store runs that the project does not have, numbered in their order; nothing that is derived from them."""
    last = connection.execute(_LAST_SEQ, {"project": place.project_key}).scalar_one()
    rows = [_run_row(place, one, last + number) for number, one in enumerate(new, 1)]
    found = connection.execute(_ADD_RUNS, rows)
    keys = {row.uuid: row.id for row in found}
    return [(keys[one.record.run_id], one.record) for one in new]


def index_runs(connection: Connection, project_key: int, runs: Keyed) -> None:
    """Store the values and files of runs by which they are found."""
    _insert_values(connection, project_key, runs)
    _insert_files(connection, runs)


def count_runs(connection: Connection, project_key: int, added: int, newest: datetime) -> None:
    """The project has so many more runs, the newest of which happened then."""
    connection.execute(_COUNT_RUNS, {"project": project_key, "added": added, "newest": newest})


def warn(connection: Connection, place: Ingest, run_id: str) -> None:
    """Note at a stored run that the commit has another record with its id; idempotent."""
    mine = (run.c.project_id == place.project_key) & (run.c.uuid == run_id)
    warnings: list[str] = msgspec.json.decode(connection.execute(select(run.c.warnings).where(mine)).scalar_one())
    warning = f"commit {place.commit_id[:12]} holds another record with this run's id; the first one was kept"
    if warning not in warnings:
        connection.execute(update(run).where(mine).values(warnings=msgspec.json.encode([*warnings, warning]).decode()))


def list_trash(connection: Connection, project_key: int, after: Position | None, limit: int) -> Slice[RunInfo]:
    """The project's runs in the trash, those that came there last first; fewer where their documents are large."""
    mine = (run.c.project_id == project_key) & run.c.deleted_at.is_not(None)
    deleted: ColumnElement[int] = type_coerce(run.c.deleted_at, BigInteger)
    query = select(run.c.id, deleted.label("deleted")).where(mine)
    query = query.order_by(deleted.desc(), run.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where((deleted < after[0]) | ((deleted == after[0]) & (run.c.id < after[1])))
    rows = connection.execute(query).all()
    found = read_runs(connection, [row.id for row in rows[:limit]])
    shown = dict(zip((row.id for row in rows), found, strict=False))
    count = capped_count(connection, select(run.c.id).where(mine))
    return slice_of(rows, len(found), lambda row: shown[row.id], lambda row: [row.deleted, row.id], count)


def find_run(connection: Connection, project_key: int, run_id: str) -> RunInfo | None:
    """One run of the project."""
    row = connection.execute(_RUNS.where(run.c.project_id == project_key, run.c.uuid == run_id)).first()
    return None if row is None else _info(row)


def find_runs(connection: Connection, project_key: int, run_ids: list[str]) -> dict[str, RunInfo]:
    """Those of the runs that the project has, by their ids."""
    mine = (run.c.project_id == project_key) & run.c.uuid.in_(run_ids)
    return {row.uuid: _info(row) for row in connection.execute(_RUNS.where(mine))}


def read_runs(connection: Connection, keys: list[int]) -> list[RunInfo]:
    """The runs with these database keys, in this order; fewer where their documents are large, but one at least."""
    found = connection.execute(_SMALL_RUNS_BY_KEY, {"keys": keys, "small": small_of(len(keys))})
    rows = {row.id: row for row in found}
    return complete(connection, [rows[key] for key in keys])


def select_runs(page: FromClause) -> Select[Any]:
    """What is to be known of the runs of a page, whose `run_id` has their database keys; large documents are missing.

    Its parameter `small` says what is not large (`small_of`), `complete` makes runs of its rows.
    """
    return _SMALL_RUNS.add_columns(*page.c).join(page, page.c.run_id == run.c.id)


def small_of(count: int) -> int:
    """The characters that each of so many documents may have, whatever the others have."""
    return MAX_PAGE_CHARS // max(count, 1)


def complete(connection: Connection, rows: Sequence[Row[Any]]) -> list[RunInfo]:
    """The runs of these rows; fewer where their documents are large, but one at least.

    Small documents came with the rest of the row. Larger ones are asked for once it is known how many fit.
    """
    large: dict[int, Row[Any]] = {}
    if any(row.doc is None for row in rows):
        rows = rows[: count_fitting((row.size for row in rows), MAX_PAGE_CHARS)]
        keys = [row.id for row in rows if row.doc is None]
        large = {row.id: row for row in connection.execute(_RUNS_BY_KEY, {"keys": keys})}
    return [_info(large.get(row.id, row)) for row in rows]


def list_columns(connection: Connection, project_key: int) -> Columns:
    """The names in use in the project."""
    mine = (run_key.c.project_id == project_key) & (run_key.c.runs > 0)
    query = select(run_key.c.kind, run_key.c.name).where(mine).order_by(run_key.c.name)
    names: dict[str, list[str]] = {"param": [], "summary": [], "label": [], "tag": []}
    for row in connection.execute(query):
        names[row.kind].append(row.name)
    return Columns(parameters=names["param"], summary=names["summary"], labels=names["label"], tags=names["tag"])


def trash_run(connection: Connection, project_key: int, run_key_: int, now: datetime) -> None:
    """Move a run that is not there to the trash: out of every index that lists and filters go along."""
    search.take_out(connection, [run_key_])
    keys = select(run_key.c.id).where(run_key.c.project_id == project_key)
    mine = run_value.c.key_id.in_(keys) & (run_value.c.run_id == run_key_)
    used = select(run_value.c.key_id).where(mine)
    connection.execute(update(run_key).where(run_key.c.id.in_(used)).values(runs=run_key.c.runs - 1))
    connection.execute(delete(run_value).where(mine))
    connection.execute(delete(run_file).where(run_file.c.run_id == run_key_))
    connection.execute(update(run).where(run.c.id == run_key_).values(deleted_at=now))
    connection.execute(update(project).where(project.c.id == project_key).values(runs=project.c.runs - 1))


def restore_run(connection: Connection, project_key: int, run_key_: int, tags: list[str]) -> None:
    """Move a run that is in the trash back."""
    doc = connection.execute(select(run.c.doc).where(run.c.id == run_key_)).scalar_one()
    record = msgspec.json.decode(doc, type=RunRecord)
    index_runs(connection, project_key, [(run_key_, record)])
    add_tags(connection, project_key, run_key_, tags)
    search.index(connection, [run_key_])
    connection.execute(update(run).where(run.c.id == run_key_).values(deleted_at=None))
    connection.execute(update(project).where(project.c.id == project_key).values(runs=project.c.runs + 1))


def add_tags(connection: Connection, project_key: int, run_key_: int, tags: list[str]) -> None:
    """Index a run by tags that it does not have."""
    if not tags:
        return
    keys = _count_keys(connection, project_key, Counter({("tag", index_name(tag)): 1 for tag in tags}))
    connection.execute(_ADD_VALUES, [{"run_id": run_key_, "key_id": key, **_TAGGED} for key in keys.values()])


def remove_tags(connection: Connection, project_key: int, run_key_: int, tags: list[str]) -> None:
    """Index a run by tags no longer."""
    names = [index_name(tag) for tag in tags]
    named = (run_key.c.project_id == project_key) & (run_key.c.kind == "tag") & run_key.c.name.in_(names)
    keys = connection.scalars(select(run_key.c.id).where(named)).all()
    connection.execute(delete(run_value).where(run_value.c.run_id == run_key_, run_value.c.key_id.in_(keys)))
    connection.execute(update(run_key).where(run_key.c.id.in_(keys)).values(runs=run_key.c.runs - 1))


def _stored_hashes(connection: Connection, project_key: int, run_ids: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(run_ids), 500):
        some = {"project": project_key, "ids": run_ids[start : start + 500]}
        found.update((row.uuid, row.record_hash) for row in connection.execute(_STORED_HASHES, some))
    return found


def _run_row(place: Ingest, new: NewRun, seq: int) -> dict[str, Any]:
    return {
        "uuid": new.record.run_id,
        "project_id": place.project_key,
        "seq": seq,
        "ingested_at": place.now,
        "warnings": "[]",
        **columns_of(new, place.commit_key),
    }


def columns_of(new: NewRun, commit_key: int) -> dict[str, Any]:
    """What a row says of a run because its record, in this commit, does."""
    return {
        "commit_id": commit_key,
        "authority": new.record.authority,
        "status": "success" if new.record.error is None else "error",
        "happened_at": new.happened_at,
        "ended_at": new.record.ended_at,
        "record_hash": new.hash,
        "doc": new.doc,
    }


def _insert_values(connection: Connection, project_key: int, runs: Keyed) -> None:
    values = [(run_id, key, value) for run_id, record in runs for key, value in _indexed_values(record)]
    if not values:
        return
    uses = Counter(key for _, key, _ in values)
    keys = _count_keys(connection, project_key, uses)
    connection.execute(
        _ADD_VALUES,
        [{"run_id": run_id, "key_id": keys[key], "num": value.num, "txt": value.txt} for run_id, key, value in values],
    )


def _indexed_values(record: RunRecord) -> Iterator[tuple[Key, IndexedValue]]:
    for kind, group in (("param", record.parameters), ("summary", record.summary), ("label", record.labels)):
        for name, value in group.items():
            indexed = index_value(value)
            if indexed is not None:
                yield (kind, index_name(name)), indexed


def _count_keys(connection: Connection, project_key: int, uses: Counter[Key]) -> dict[Key, int]:
    """The database keys of names, making those that are new, and counting the runs that use them now."""
    rows = [
        {"project_id": project_key, "kind": kind, "name": name, "runs": count} for (kind, name), count in uses.items()
    ]
    found = connection.execute(_COUNT_KEYS.on(connection), rows)
    return {(row.kind, row.name): row.id for row in found}


def _insert_files(connection: Connection, runs: Keyed) -> None:
    files = {
        (run_id, direction, file.path): _content_hash(file)
        for run_id, record in runs
        for direction, group in (("input", record.inputs), ("output", record.outputs))
        for file in group
    }
    rows = [
        {"run_id": run_id, "direction": direction, "path": path, "content_hash": content_hash}
        for (run_id, direction, path), content_hash in files.items()
    ]
    if rows:
        connection.execute(_ADD_FILES, rows)


def _content_hash(file: FileRef) -> bytes | None:
    try:
        return bytes.fromhex(file.content_hash) if file.content_hash else None
    except ValueError:
        return None


def _info(row: Row[Any]) -> RunInfo:
    return RunInfo(
        id=row.uuid,
        project_id=row.project_uuid,
        seq=row.seq,
        commit=row.commit_hash.hex(),
        ingested_at=row.ingested_at,
        warnings=msgspec.json.decode(row.warnings),
        record=Raw(row.doc.encode()),
        name=row.name or "",
        notes=row.notes or "",
        tags=msgspec.json.decode(row.tags or "[]"),
        version=row.version or 0,
        comments=row.comments,
        deleted_at=row.deleted_at,
    )
