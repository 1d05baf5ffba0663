"""The tables of runs, made anew from what committers pushed: what a push made, and nothing else."""

from __future__ import annotations

import asyncio
import errno
import json
import os

import pytest
from sqlalchemy import delete, insert, select, update
from support.hub_command import hub_command
from support.pushing import START

from committer.storage.objects import digest
from dotscience.record import FileRef, ModelArtefact
from hub_server.content.local import LocalStorage
from hub_server.content.packs import Packs
from hub_server.services.reindexing import Reindexer
from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database
from hub_server.store.schema import commit, model, model_version, object_, project, run, run_file, run_key, run_value

DERIVED = (model_version, model, run_file, run_value, run_key)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """The database's URL, None for a file."""
    if request.param == "sqlite":
        yield None
        return
    with request.getfixturevalue("postgres_server").database() as made:
        yield made


@pytest.fixture
def data(tmp_path):
    return tmp_path / "hub"


@pytest.fixture
def backend(url, data):
    return Postgresql(url) if url else Sqlite(data / "hub.db")


@pytest.fixture
def pushed(url, data, serve_hub, new_run):
    """A stopped hub with two projects, whose pushes took turns."""
    with serve_hub(data, database=url) as hub:
        first, second = hub.new_project("first"), hub.new_project("second")
        twice = new_run(parameters={"lr": 0.1}, summary={"loss": float("nan")}, labels={"a\0b": "x" * 300})
        first.push(twice, new_run(models=[ModelArtefact(name="net", type="keras")]))
        second.push(
            new_run(inputs=[FileRef(path="in.csv", content_hash=digest(b"in").hex(), size=2, dot=second.dot_id)])
        )
        hub.clock.advance(minutes=1)
        models = [ModelArtefact(name=name, type="keras", files={"model": "m.h5"}) for name in ("net", "other", "net")]
        first.push(new_run(error="it failed", ended_at=None, started_at=None, models=models))
        first.push(new_run(run_id=twice.run_id, parameters={"lr": 0.2}))
        kept, trashed = new_run(labels={"stage": "prod"}), new_run(labels={"gone": 1}, models=models[:1])
        second.push(kept, trashed, files={"a": b"1"})
        edit(second, kept, tags=["good", "useful"])
        edit(second, trashed, tags=["bad"])
        hub.request("DELETE", f"{second.base}/runs/{trashed.run_id}", token=hub.admin).raise_for_status()
    return hub


def edit(project, record, **change):
    path = f"{project.base}/runs/{record.run_id}"
    version = project.hub.request("GET", path, token=project.hub.admin).headers["ETag"]
    project.hub.call("PATCH", path, json=change, headers={"If-Match": version})


def dump(backend):
    """All rows about runs, by what does not depend on the order in which keys were given."""
    engine = backend.reader()
    key = run_key.join(project, project.c.id == run_key.c.project_id)
    own = [column for column in run.c if column.name not in ("id", "project_id", "commit_id")]
    queries = [
        select(project.c.uuid, project.c.runs, project.c.last_run_at),
        select(project.c.uuid, commit.c.hash, *own)
        .join(project, project.c.id == run.c.project_id)
        .join(commit, commit.c.id == run.c.commit_id),
        select(project.c.uuid, run_key.c.kind, run_key.c.name, run_key.c.runs)
        .select_from(key)
        .where(run_key.c.runs > 0),
        select(run.c.uuid, run_key.c.kind, run_key.c.name, run_value.c.num, run_value.c.txt)
        .join(run, run.c.id == run_value.c.run_id)
        .join(run_key, run_key.c.id == run_value.c.key_id),
        select(run.c.uuid, run_file.c.direction, run_file.c.path, run_file.c.content_hash).join(
            run, run.c.id == run_file.c.run_id
        ),
        select(project.c.uuid, model.c.name, model.c.versions, model.c.updated_at).join(
            project, project.c.id == model.c.project_id
        ),
        select(model.c.name, model_version.c.number, model_version.c.doc, run.c.uuid)
        .join(model, model.c.id == model_version.c.model_id)
        .join(run, run.c.id == model_version.c.run_id),
    ]
    try:
        with engine.connect() as connection:
            return [sorted(map(repr, connection.execute(query))) for query in queries]
    finally:
        engine.dispose()


def change(backend, *statements):
    engine = backend.writer()
    with engine.begin() as connection:
        for one in statements:
            connection.execute(one)
    engine.dispose()


def reindex(backend, data, progress=lambda _done, _total: None):
    database = Database(backend, readers=1)
    try:
        return asyncio.run(Reindexer(database, Packs(data, LocalStorage(data)), progress).run())
    finally:
        database.close()


def test_tables_that_are_right_stay_as_they_are(pushed, backend, data):
    before, seen = dump(backend), []
    done = reindex(backend, data, lambda *told: seen.append(told))
    assert (done.projects, done.commits, done.runs, done.added, done.damaged) == (2, 5, 6, 0, [])
    assert dump(backend) == before
    assert all(before)
    assert seen[-1] == (11, 12), "one run is in two commits"


def test_an_index_that_is_lost_is_what_the_pushes_made(pushed, backend, data):
    before = dump(backend)
    change(backend, *map(delete, DERIVED), update(project).values(runs=0, last_run_at=None))
    done = reindex(backend, data)
    assert (done.runs, done.added, done.damaged) == (6, 0, [])
    assert dump(backend) == before


def test_runs_that_are_lost_are_what_the_pushes_made(pushed, backend, data):
    change(backend, update(run).values(deleted_at=None))  # which stands nowhere else
    reindex(backend, data)
    before = dump(backend)
    change(backend, *map(delete, (*DERIVED, run)), update(project).values(runs=0, last_run_at=None))
    done = reindex(backend, data)
    assert (done.runs, done.added, done.damaged) == (6, 6, [])
    assert dump(backend) == before


def test_tables_that_are_wrong_are_put_right(pushed, backend, data):
    before = dump(backend)
    change(
        backend,
        update(run).values(doc="{}", status="?", record_hash=bytes(32), happened_at=START),
        update(run_value).values(num=7.0, txt=None),
        update(run_key).values(runs=1_000),
        update(model).values(versions=50),
        delete(run_file),
        update(project).values(runs=99),
    )
    assert reindex(backend, data).damaged == []
    assert dump(backend) == before


def test_names_that_no_run_uses_go(pushed, backend, data):
    before = dump(backend)
    owner = select(project.c.id).where(project.c.name == "first").scalar_subquery()
    change(
        backend,
        insert(run_key).values(project_id=owner, kind="param", name="never", runs=3),
        insert(model).values(project_id=owner, name="none", versions=1, updated_at=START),
    )
    reindex(backend, data)
    assert dump(backend) == before


def test_a_record_that_is_damaged_is_said_and_its_run_stays(pushed, backend, data):
    before = dump(backend)
    for path in (data / "packs").glob("*/*"):
        path.unlink()
    change(backend, *map(delete, DERIVED))
    done = reindex(backend, data)
    assert (done.runs, done.added) == (6, 0)
    assert len(done.damaged) == 5
    assert all(one.detail.startswith("commit ") and "is not in" in one.detail for one in done.damaged)
    assert dump(backend) == before


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EACCES, errno.ESTALE])
def test_what_passes_is_no_damage_and_changes_nothing(pushed, backend, data, monkeypatch, number):
    change(backend, *map(delete, DERIVED))
    before = dump(backend)
    monkeypatch.setattr(LocalStorage, "read", failing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        reindex(backend, data)
    assert dump(backend) == before


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_run_without_a_row_or_a_record_is_said_and_no_other_is_lost(pushed, backend, data):
    engine = backend.reader()
    with engine.connect() as connection:
        lost = connection.execute(select(run.c.uuid, run.c.record_hash).where(run.c.status == "error")).one()
    engine.dispose()
    change(backend, *map(delete, (*DERIVED, run)), delete(object_).where(object_.c.hash == lost.record_hash))
    done = reindex(backend, data)
    assert (done.runs, done.added) == (5, 5)
    (damaged,) = done.damaged
    assert damaged.detail.startswith(f"run {lost.uuid} cannot be read")


def test_a_hub_that_runs_and_a_folder_that_is_no_hub_s_are_left_alone(tmp_path, url, data, serve_hub):
    with serve_hub(data, database=url):
        told = hub_command(data, "reindex", database=url)
        assert (told.returncode, told.stdout) == (1, "")
        assert "a hub already runs on" in told.stderr
        if url:
            told = hub_command(tmp_path / "other", "reindex", database=url)
            assert "another hub uses the database" in told.stderr
    if url is None:
        assert "there is no hub's database" in hub_command(tmp_path / "none", "reindex").stderr
        assert not (tmp_path / "none").exists()


def test_the_command_says_what_it_did(pushed, url, data):
    told = hub_command(data, "reindex", database=url)
    assert told.returncode == 0, told.stderr
    assert told.stdout == "Read 5 commits of 2 projects, and indexed 6 runs\n"
    (data / "packs").rename(data / "lost")
    told = hub_command(data, "reindex", "--json", database=url)
    assert (told.returncode, len(json.loads(told.stdout)["damaged"])) == (1, 5)
