"""Backups of a hub that goes on, and what becomes of them: nothing is lost that a committer still has."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import psycopg
import pytest
from support.bucket import bucket
from support.histories import count_shown, push_all, write_history
from support.hub_command import hub_command


def done(*arguments, status=0, **options):
    """The outcome of a command, as JSON."""
    ended = hub_command(*arguments, "--json", **options)
    assert ended.returncode == status, ended.stderr
    return json.loads(ended.stdout)


def refused(*arguments, **options):
    """What a command says that does nothing."""
    ended = hub_command(*arguments, **options)
    assert (ended.returncode, ended.stdout) == (1, ""), ended
    assert ended.stderr.startswith("Error: ")
    return ended.stderr


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request):
    """Make the database of one hub: its URL, None for a file."""
    if request.param == "sqlite":
        yield lambda: None
        return
    server = request.getfixturevalue("postgres_server")
    opened = []

    def make():
        opened.append(server.database())
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.__exit__(None, None, None)


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "dest"


def test_what_a_restored_hub_lost_comes_back_from_the_committer(tmp_path, dest, serve_hub, new_database):
    database = new_database()
    with serve_hub(tmp_path / "hub", database=database) as hub:
        project = hub.new_project()
        history = write_history(tmp_path / "store", project.dot_id, length=3)
        push_all(history.store, history.target(hub.url, project))
        made = done(hub.data, "backup", dest, database=database)
        assert (made["packs"], made["copied"], made["damaged"]) == (3, 3, [])
        later = write_history(tmp_path / "later", project.dot_id, length=2)
        push_all(later.store, later.target(hub.url, project))  # to a fork, as it begins anew
        epoch = hub.call("GET", project.dot)["gc_epoch"]
    restored = new_database()
    told = done(tmp_path / "new", "restore", dest, database=restored)
    assert (told["name"], told["packs"], told["damaged"]) == (made["name"], 3, [])
    with serve_hub(tmp_path / "new", database=restored) as hub:
        project.hub = hub
        state = hub.call("GET", project.dot)
        assert state["gc_epoch"] != epoch
        assert list(state["branches"]) == ["main"]
        assert count_shown(project, history) == 3
        push_all(later.store, later.target(hub.url, project))
        heads = hub.call("GET", project.dot)["branches"]
        assert sorted(heads.values()) == sorted([history.commits[-1], later.commits[-1]])
        assert {run["id"] for run in project.get("/runs")["items"]} == {
            one.run_id for one in [*history.made, *later.made]
        }
        assert hub.call("GET", "/api/v1/session")["scopes"], "the administrator's token is the one of before"


def test_commits_after_the_backup_come_again_on_their_branch(tmp_path, dest, serve_hub, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        history = write_history(tmp_path / "store", project.dot_id, length=4)
        done(hub.data, "backup", dest)
        push_all(history.store, history.target(hub.url, project))
        done(hub.data, "backup", dest)
    names = [path.name for path in sorted((dest / "backups").iterdir())]
    done(tmp_path / "old", "restore", dest, "--backup", names[0])
    with serve_hub(tmp_path / "old") as hub:
        project.hub = hub
        assert count_shown(project, history) == 0
        push_all(history.store, history.target(hub.url, project))
        assert count_shown(project, history) == 4
    done(tmp_path / "new", "restore", dest)
    with serve_hub(tmp_path / "new") as hub:
        project.hub = hub
        assert count_shown(project, history) == 4


def test_packs_are_copied_once_and_go_with_the_last_backup_that_needs_them(tmp_path, dest, serve_hub, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        project.push(new_run(), files={"a": b"1"})
        assert done(hub.data, "backup", dest)["copied"] == 1
        assert done(hub.data, "backup", dest)["copied"] == 0
        project.push(new_run(), files={"a": b"2"})
        third = done(hub.data, "backup", dest, "--keep", 2)
        assert (third["copied"], third["packs"], third["forgotten"]) == (1, 2, 1)
        assert done(dest.parent, "backup", dest, "--check")["packs"] == 2
    with serve_hub(tmp_path / "other") as hub:
        last = done(hub.data, "backup", dest, "--keep", 1)
    assert files(dest) == sorted(
        [f"backups/{last['name']}/{name}" for name in ("admin.token", "database", "manifest.json", "manifest.json.b3")]
        + ["lock"]
    )
    assert {path.stat().st_mode & 0o077 for path in dest.rglob("*")} == {0}


def test_the_database_knows_every_pack_that_is_copied_and_no_other(tmp_path, dest, serve_hub, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        hub.new_project().push(new_run(), files={"a": b"1"})
        stray = hub.data / "packs" / "ab" / ("ab" * 32)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"of a push that was cut off")
        made = done(hub.data, "backup", dest)
    assert made["packs"] == 1
    assert not (dest / "packs" / "ab" / stray.name).exists()


def test_a_half_backup_is_none(tmp_path, dest, serve_hub, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        hub.new_project().push(new_run())
        made = done(hub.data, "backup", dest)
        half = dest / "staging" / "half"
        shutil.copytree(dest / "backups" / made["name"], half)
        (half / "manifest.json").unlink()
        assert done(dest.parent, "backup", dest, "--check")["name"] == made["name"]
        done(hub.data, "backup", dest)
        assert not half.exists()


@pytest.mark.parametrize("name", ["manifest.json", "manifest.json.b3", "database", "admin.token"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_backup_is_not_restored(tmp_path, dest, backed_up, name, how):
    path = dest / "backups" / backed_up["name"] / name
    if how == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    for told in (refused(tmp_path / "new", "restore", dest), refused(tmp_path, "backup", dest, "--check")):
        assert name in told
    assert not (tmp_path / "new").exists()


@pytest.fixture
def backed_up(tmp_path, dest, serve_hub, new_run):
    """A backup of a hub with a project, and what it was told."""
    with serve_hub(tmp_path / "hub") as hub:
        hub.new_project().push(new_run(), files={"a": b"1"})
        return done(hub.data, "backup", dest)


def test_a_pack_that_is_damaged_in_the_backup_is_asked_for_again(tmp_path, dest, serve_hub):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        history = write_history(tmp_path / "store", project.dot_id, length=3)
        push_all(history.store, history.target(hub.url, project))
        done(hub.data, "backup", dest)
    pack = min((dest / "packs").glob("*/*"))
    pack.write_bytes(pack.read_bytes()[:-1] + b"x")
    assert done(tmp_path, "backup", dest, "--check", status=1)["damaged"] == [pack.name]
    assert done(tmp_path / "new", "restore", dest, status=1)["damaged"] == [pack.name]
    with serve_hub(tmp_path / "new") as hub:
        project.hub = hub
        push_all(history.store, history.target(hub.url, project))
        assert count_shown(project, history) == 3


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_pack_that_is_damaged_in_the_hub_is_said_and_left_out(tmp_path, dest, serve_hub, how):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        history = write_history(tmp_path / "store", project.dot_id, length=2)
        push_all(history.store, history.target(hub.url, project))
        pack = min((hub.data / "packs").glob("*/*"))
        pack.unlink() if how == "gone" else pack.write_bytes(pack.read_bytes()[:-1] + b"x")
        assert done(hub.data, "backup", dest, status=1)["damaged"] == [pack.name]
    done(tmp_path / "new", "restore", dest, status=1)
    with serve_hub(tmp_path / "new") as hub:
        project.hub = hub
        push_all(history.store, history.target(hub.url, project))
        assert count_shown(project, history) == 2


def test_a_data_folder_that_is_not_empty_is_left_alone(tmp_path, dest, backed_up):
    before = files(tmp_path / "hub")
    assert "is not empty" in refused(tmp_path / "hub", "restore", dest)
    assert files(tmp_path / "hub") == before


def test_a_restore_that_was_cut_off_is_no_hub(tmp_path, dest, backed_up):
    (dest / "packs").rename(dest / "elsewhere")
    (dest / "packs").write_text("no folder")
    done(tmp_path / "new", "restore", dest, status=1)
    (tmp_path / "new" / "restore.unfinished").touch()
    assert "was not restored to its end" in refused(tmp_path / "new")
    assert "is not empty" in refused(tmp_path / "new", "restore", dest)


def test_a_folder_that_holds_something_else_takes_no_backup(tmp_path, backed_up):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    assert "holds no backups" in refused(tmp_path / "hub", "backup", tmp_path / "photos")
    assert "no backups" in refused(tmp_path / "new", "restore", tmp_path / "photos")
    assert "cannot hold backups" in refused(tmp_path / "hub", "backup", tmp_path / "photos" / "a.jpg" / "b")
    assert "holds no backups" in refused(tmp_path / "hub", "backup", tmp_path / "hub")


def test_what_cannot_be_backed_up_or_restored_is_said(tmp_path, dest, backed_up):
    assert "there is no hub's database" in refused(tmp_path / "none", "backup", dest)
    assert f"it has {backed_up['name']}" in refused(tmp_path / "new", "restore", dest, "--backup", "yesterday")
    nowhere = refused(tmp_path / "new", "restore", dest, database="postgresql:///none?host=/nowhere")
    assert "restore it with no --database" in nowhere
    with closing(sqlite3.connect(tmp_path / "hub" / "hub.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    assert "has schema 0001" in refused(tmp_path / "hub", "backup", dest)


def test_postgresql_s_programs_are_asked_for(tmp_path, dest, serve_hub, postgres_server):
    with postgres_server.database() as url, serve_hub(tmp_path / "hub", database=url) as hub:
        told = refused(hub.data, "backup", dest, database=url, PATH=str(tmp_path))
        assert "pg_dump is not installed here" in told
        done(hub.data, "backup", dest, database=url)
        assert "another hub uses the database" in refused(tmp_path / "new", "restore", dest, database=url)
    with postgres_server.database() as url:
        shutil.rmtree(tmp_path / "new")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE mine (id int)")
        assert "is not empty" in refused(tmp_path / "new", "restore", dest, database=url)


@pytest.fixture
def storage(monkeypatch):
    """A bucket for packs, which this process and those that it starts find."""
    with bucket() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running.url


@pytest.mark.parametrize("flags", [[], ["--without-packs"]])
def test_a_hub_whose_packs_are_in_a_bucket(tmp_path, dest, serve_hub, storage, flags):
    with serve_hub(tmp_path / "hub", storage=storage) as hub:
        project = hub.new_project()
        history = write_history(tmp_path / "store", project.dot_id, length=3)
        push_all(history.store, history.target(hub.url, project))
        done(hub.data, "--storage", storage, "backup", dest, *flags)
    assert len(list((dest / "packs").glob("*/*"))) == (0 if flags else 3)
    done(tmp_path / "new", "--storage", storage, "restore", dest)
    with serve_hub(tmp_path / "new", storage=storage) as hub:
        project.hub = hub
        assert count_shown(project, history) == 3
    told = done(tmp_path / "folder", "restore", dest, status=1 if flags else 0)
    assert len(told["damaged"]) == (3 if flags else 0)
    with serve_hub(tmp_path / "folder") as hub:
        project.hub = hub
        push_all(history.store, history.target(hub.url, project))
        assert count_shown(project, history) == 3
