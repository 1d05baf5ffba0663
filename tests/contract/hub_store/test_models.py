"""Models are numbered as runs come in."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text, update
from support.hub_rows import START, add_project, add_runs, new_run

from dotscience.record import FileRef, ModelArtefact, RunRecord
from hub_server.store import models
from hub_server.store.database import Database
from hub_server.store.migrate import MIGRATIONS, migrate
from hub_server.store.schema import model_version


def artefact(name, **files):
    return ModelArtefact(name=name, type="sklearn-model", version="1.5", files=files)


def a_run(number, *artefacts, outputs=()):
    record = RunRecord(run_id=str(UUID(int=number)), started_at=START, models=list(artefacts), outputs=list(outputs))
    return new_run(record)


@pytest.fixture
def do(database):
    """Run work that may write."""
    return lambda work: asyncio.run(database.write(work))


def versions(connection, project, name):
    found = models.list_versions(connection, project, name, after=None, limit=10)
    return None if found is None else [(one.number, UUID(one.run_id).int, one.files) for one in found.items]


def test_versions_count_up_by_model_in_the_order_of_the_runs(do):
    project, dot = do(add_project)
    do(lambda c: add_runs(c, project, dot, [a_run(1, artefact("a", model="a.pkl")), a_run(2, artefact("b"))]))
    do(lambda c: add_runs(c, project, dot, [a_run(3, artefact("a"), artefact("a", model="again")), a_run(4)], commit=2))
    assert do(lambda c: versions(c, project, "a")) == [
        (3, 3, {"model": "again"}),
        (2, 3, {}),
        (1, 1, {"model": "a.pkl"}),
    ]
    assert do(lambda c: versions(c, project, "b")) == [(1, 2, {})]
    assert do(lambda c: versions(c, project, "c")) is None


def test_a_run_that_comes_again_makes_no_version(do):
    project, dot = do(add_project)
    for commit in (1, 2):
        do(lambda c, commit=commit: add_runs(c, project, dot, [a_run(1, artefact("a"))], commit=commit))
    assert do(lambda c: len(versions(c, project, "a"))) == 1


def test_projects_know_nothing_of_each_others_models(do):
    one, dot = do(add_project)
    two, other = do(lambda c: add_project(c, 2))
    do(lambda c: add_runs(c, one, dot, [a_run(1, artefact("a"))]))
    do(lambda c: add_runs(c, two, other, [a_run(1, artefact("a"))]))
    assert do(lambda c: versions(c, two, "a")) == [(1, 1, {})]
    assert [model.name for model in do(lambda c: models.list_models(c, one, after=None, limit=10)).items] == ["a"]


def test_models_and_versions_are_paged(do):
    project, dot = do(add_project)
    names = ["B", "a", "b", "it's \0 % 🐍"]
    do(lambda c: add_runs(c, project, dot, [a_run(number, artefact(name)) for number, name in enumerate(names)]))
    seen, after = [], None
    while True:
        page = do(lambda c, after=after: models.list_models(c, project, after=after, limit=1))
        seen += [model.name for model in page.items]
        after = page.position
        if after is None:
            break
    assert seen == sorted(name.replace("\0", "\N{SYMBOL FOR NULL}") for name in names)
    assert do(lambda c: models.find_version(c, project, names[-1], 1)).run_id == str(UUID(int=3))
    assert do(lambda c: models.find_version(c, project, names[-1], 2)) is None


def test_runs_of_an_earlier_schema_get_their_models(backend):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = backend.writer()
    with engine.begin() as connection:
        project, dot = add_project(connection)
        add_runs(connection, project, dot, [a_run(1, artefact("a")), a_run(2)])
        add_runs(connection, project, dot, [a_run(3, artefact("b"), artefact("a", model="m"))], commit=2)
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        assert connection.execute(text("SELECT count(*) FROM run")).scalar() == 3
    engine.dispose()
    migrate(backend)
    database = Database(backend)
    try:
        assert database.read_blocking(lambda c: versions(c, project, "a")) == [(2, 3, {"model": "m"}), (1, 1, {})]
        assert asyncio.run(
            database.write(lambda c: add_runs(c, project, dot, [a_run(4, artefact("a"))], commit=3))
        ) == [str(UUID(int=4))]
        assert database.read_blocking(lambda c: versions(c, project, "a"))[0][:2] == (3, 4)
    finally:
        database.close()


def test_versions_of_an_earlier_schema_get_what_was_overwritten(backend):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = backend.writer()
    lost = [FileRef(path=path, overwritten=True) for path in ("net!", "net/1", "net.txt")]
    made = [artefact("net", model="net", classes="net.txt", other="ne"), artefact("all", model="."), artefact("ne")]
    with engine.begin() as connection:
        project, dot = add_project(connection)
        add_runs(connection, project, dot, [a_run(1, *made, outputs=lost), a_run(2, *made)])
        kept = all_overwritten(connection, project)
        for row in connection.execute(select(model_version)).all():
            doc = {name: value for name, value in msgspec.json.decode(row.doc).items() if name != "overwritten"}
            mine = (model_version.c.model_id == row.model_id) & (model_version.c.number == row.number)
            connection.execute(update(model_version).where(mine).values(doc=msgspec.json.encode(doc).decode()))
        assert not any(one for found in all_overwritten(connection, project) for one in found)
        config.attributes["connection"] = connection
        command.downgrade(config, "0009")
    engine.dispose()
    migrate(backend)
    database = Database(backend)
    try:
        assert database.read_blocking(lambda c: all_overwritten(c, project)) == kept
    finally:
        database.close()
    assert kept == [[], ["net", "net.txt"], [], ["."], [], []]


def all_overwritten(connection, project):
    pages = [models.list_versions(connection, project, name, after=None, limit=10) for name in ("net", "all", "ne")]
    return [one.overwritten for page in pages for one in page.items]
