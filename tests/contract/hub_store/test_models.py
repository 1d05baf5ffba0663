"""Models are numbered as runs come in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from dotscience.record import ModelArtefact, RunRecord, encode_json
from hub_server.domain.types import AccountInfo
from hub_server.store import accounts, commits, models, runs
from hub_server.store.database import Database
from hub_server.store.migrate import MIGRATIONS, migrate
from hub_server.store.projects import NewProject, ensure_project, project_key

START = datetime(2026, 1, 1, tzinfo=UTC)


def artefact(name, **files):
    return ModelArtefact(name=name, type="sklearn-model", version="1.5", files=files)


def a_run(number, *artefacts):
    record = RunRecord(run_id=str(UUID(int=number)), started_at=START, models=list(artefacts))
    return runs.NewRun(record=record, hash=bytes(32), doc=encode_json(record).decode(), happened_at=START)


def a_project(connection, number=1):
    account = accounts.ensure_first_account(connection, AccountInfo("a", "owner"), "admin", START)
    dot = str(UUID(int=number))
    wanted = NewProject(id=f"p{number}", name="p", dot_id=dot, created_by=account.id, created_at=START)
    return project_key(connection, ensure_project(connection, wanted).id), dot


def push(connection, project, dot, name, new):
    commit = commits.NewCommit(
        dot_id=dot, hash=name * 32, branch="main", root=bytes(32), runs=len(new), doc=b"{}", pushed_at=START
    )
    key = commits.add_commit(connection, commit)
    return runs.add_runs(connection, runs.Ingest(project_key=project, commit_key=key, commit_id="00", now=START), new)


@pytest.fixture
def do(database):
    """Run work that may write."""
    return lambda work: asyncio.run(database.write(work))


def versions(connection, project, name):
    found = models.list_versions(connection, project, name, after=None, limit=10)
    return None if found is None else [(one.number, UUID(one.run_id).int, one.files) for one in found.items]


def test_versions_count_up_by_model_in_the_order_of_the_runs(do):
    project, dot = do(a_project)
    do(lambda c: push(c, project, dot, b"1", [a_run(1, artefact("a", model="a.pkl")), a_run(2, artefact("b"))]))
    do(lambda c: push(c, project, dot, b"2", [a_run(3, artefact("a"), artefact("a", model="again")), a_run(4)]))
    assert do(lambda c: versions(c, project, "a")) == [
        (3, 3, {"model": "again"}),
        (2, 3, {}),
        (1, 1, {"model": "a.pkl"}),
    ]
    assert do(lambda c: versions(c, project, "b")) == [(1, 2, {})]
    assert do(lambda c: versions(c, project, "c")) is None


def test_a_run_that_comes_again_makes_no_version(do):
    project, dot = do(a_project)
    for name in (b"1", b"2"):
        do(lambda c, name=name: push(c, project, dot, name, [a_run(1, artefact("a"))]))
    assert do(lambda c: len(versions(c, project, "a"))) == 1


def test_projects_know_nothing_of_each_others_models(do):
    one, dot = do(a_project)
    two, other = do(lambda c: a_project(c, 2))
    do(lambda c: push(c, one, dot, b"1", [a_run(1, artefact("a"))]))
    do(lambda c: push(c, two, other, b"1", [a_run(1, artefact("a"))]))
    assert do(lambda c: versions(c, two, "a")) == [(1, 1, {})]
    assert [model.name for model in do(lambda c: models.list_models(c, one, after=None, limit=10)).items] == ["a"]


def test_models_and_versions_are_paged(do):
    project, dot = do(a_project)
    names = ["B", "a", "b", "it's \0 % 🐍"]
    do(lambda c: push(c, project, dot, b"1", [a_run(number, artefact(name)) for number, name in enumerate(names)]))
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
        project, dot = a_project(connection)
        push(connection, project, dot, b"1", [a_run(1, artefact("a")), a_run(2)])
        push(connection, project, dot, b"2", [a_run(3, artefact("b"), artefact("a", model="m"))])
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        assert connection.execute(text("SELECT count(*) FROM run")).scalar() == 3
    engine.dispose()
    migrate(backend)
    database = Database(backend)
    try:
        assert database.read_blocking(lambda c: versions(c, project, "a")) == [(2, 3, {"model": "m"}), (1, 1, {})]
        assert asyncio.run(database.write(lambda c: push(c, project, dot, b"3", [a_run(4, artefact("a"))]))) == [
            str(UUID(int=4))
        ]
        assert database.read_blocking(lambda c: versions(c, project, "a"))[0][:2] == (3, 4)
    finally:
        database.close()
