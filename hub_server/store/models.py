"""Models and their versions: what runs have published as models, numbered in the order in which it came.

Versions of runs in the trash keep their numbers, and are not shown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import count as count_from
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, insert, select

from dotscience.record import ModelArtefact, RunRecord
from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.types import ModelInfo, ModelVersion
from hub_server.domain.values import index_name
from hub_server.store.counting import capped_count
from hub_server.store.schema import commit, model, model_version, run
from hub_server.store.upsert import Upsert

_COUNT = Upsert(
    model,
    lambda new: new.on_conflict_do_update(
        index_elements=[model.c.project_id, model.c.name],
        set_={"versions": model.c.versions + new.excluded.versions, "updated_at": new.excluded.updated_at},
    ).returning(model.c.name, model.c.id, model.c.versions),
)
_ADD = insert(model_version)


class PublishedModel(ModelArtefact, frozen=True, kw_only=True):
    """What a run published under the name; `overwritten` are those of its files' paths that its commit has otherwise.

    A path is among them if a later run wrote to it, or to anything below it, before the run's snapshot was taken.
    """

    overwritten: list[str] = msgspec.field(default_factory=list)


def add_versions(
    connection: Connection, project_key: int, runs: Sequence[tuple[int, RunRecord]], now: datetime
) -> None:
    """Number the models of new runs (with their keys), in their order.

    The number of statements does not grow with the number of models.
    """
    published = [(index_name(one.name), run_key, one) for run_key, record in runs for one in _published(record)]
    if not published:
        return
    counts = Counter(name for name, _, _ in published)
    rows = [
        {"project_id": project_key, "name": name, "versions": count, "updated_at": now}
        for name, count in counts.items()
    ]
    found = {row.name: row for row in connection.execute(_COUNT.on(connection), rows)}
    numbers = {name: count_from(found[name].versions - count + 1) for name, count in counts.items()}
    connection.execute(
        _ADD,
        [
            {"model_id": found[name].id, "number": next(numbers[name]), "run_id": run_key, "doc": _encode(one)}
            for name, run_key, one in published
        ],
    )


def _published(record: RunRecord) -> Iterator[PublishedModel]:
    lost = sorted(file.path for file in record.outputs if file.overwritten)
    for one in record.models:
        overwritten = sorted({path for path in one.files.values() if _is_or_has(path, lost)})
        yield PublishedModel(
            name=one.name, type=one.type, version=one.version, files=one.files, overwritten=overwritten
        )


def _is_or_has(path: str, lost: list[str]) -> bool:
    """Whether a path, or one below it, is among others, which are sorted; "." is the whole workspace."""
    if path == ".":
        return bool(lost)
    first, below = bisect_left(lost, path), bisect_left(lost, f"{path}/")
    return lost[first : first + 1] == [path] or any(one.startswith(f"{path}/") for one in lost[below : below + 1])


def list_models(connection: Connection, project_key: int, *, after: Position | None, limit: int) -> Slice[ModelInfo]:
    """The project's models by name, with how many versions each has whose run is not in the trash."""
    mine = select(model).where(model.c.project_id == project_key)
    query = mine.order_by(model.c.name).limit(limit + 1)
    if after is not None:
        last = model.alias()
        query = query.where(model.c.name > select(last.c.name).where(last.c.id == after[0]).scalar_subquery())
    trashed = _trashed(connection, project_key)
    return slice_of(
        connection.execute(query).all(),
        limit,
        item=lambda row: ModelInfo(
            name=row.name, versions=row.versions - trashed.get(row.id, 0), updated_at=row.updated_at
        ),
        position=lambda row: [row.id],  # a name may be longer than a cursor
        count=capped_count(connection, select(model.c.id).where(model.c.project_id == project_key)),
    )


def _trashed(connection: Connection, project_key: int) -> dict[int, int]:
    """How many versions of the project's models are of runs in the trash, by the model's key."""
    in_trash = (run.c.project_id == project_key) & run.c.deleted_at.is_not(None)
    query = select(model_version.c.model_id, func.count()).join(run, run.c.id == model_version.c.run_id).where(in_trash)
    return {row[0]: row[1] for row in connection.execute(query.group_by(model_version.c.model_id))}


def list_versions(
    connection: Connection, project_key: int, name: str, *, after: Position | None, limit: int
) -> Slice[ModelVersion] | None:
    """A model's versions, newest first; None where the project has no such model."""
    found = connection.execute(_model(project_key, name)).first()
    if found is None:
        return None
    query = _versions().where(model.c.id == found.id).order_by(model_version.c.number.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(model_version.c.number < after[0])
    return slice_of(
        connection.execute(query).all(),
        limit,
        item=_version,
        position=lambda row: [row.number],
        count=capped_count(connection, _versions().where(model.c.id == found.id)),
    )


def find_version(connection: Connection, project_key: int, name: str, number: int) -> ModelVersion | None:
    """One version of a model of the project."""
    mine = (model.c.project_id == project_key) & (model.c.name == index_name(name))
    row = connection.execute(_versions().where(mine, model_version.c.number == number)).first()
    return None if row is None else _version(row)


def _model(project_key: int, name: str) -> Select[Any]:
    return select(model).where(model.c.project_id == project_key, model.c.name == index_name(name))


def _versions() -> Select[Any]:
    return (
        select(model.c.name, model_version.c.number, model_version.c.doc, run.c.uuid, run.c.ingested_at, commit.c.hash)
        .select_from(model_version)
        .join(model, model.c.id == model_version.c.model_id)
        .join(run, (run.c.id == model_version.c.run_id) & run.c.deleted_at.is_(None))
        .join(commit, commit.c.id == run.c.commit_id)
    )


def _version(row: Row[Any]) -> ModelVersion:
    artefact = msgspec.json.decode(row.doc, type=PublishedModel)
    return ModelVersion(
        model=row.name,
        number=row.number,
        type=artefact.type,
        framework_version=artefact.version,
        files=artefact.files,
        overwritten=artefact.overwritten,
        run_id=row.uuid,
        commit=row.hash.hex(),
        ingested_at=row.ingested_at,
    )


def _encode(artefact: PublishedModel) -> str:
    return msgspec.json.encode(artefact).decode()
