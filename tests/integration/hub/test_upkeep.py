"""Looking after what is stored: what nobody needs goes in its time, what is damaged is found and mended."""

from __future__ import annotations

import os
import random
import sqlite3

import pytest
from support.histories import count_shown, push_all, write_history

from committer.storage.objects import Kind, digest

WEEK_H = 7 * 24


def upkeep(hub, job, **body):
    """Do it, and wait for its end."""
    hub.call("POST", f"/api/v1/upkeep/{job}", json=body)
    while (state := hub.call("GET", "/api/v1/upkeep")[job])["running"]:
        pass
    assert state["error"] is None, state
    return state["result"]


def age(hub, hours=25):
    """Let a cycle see what is unused, and time pass."""
    upkeep(hub, "gc")
    hub.clock.advance(hours=hours)


def packs(hub):
    return {path.name for path in (hub.data / "packs").glob("*/*")}


def is_there(project, data):
    answer = project.have(digest(data))
    return answer.content == b"\1"


def epoch(project):
    return int(project.hub.call("GET", project.dot, token=project.token)["gc_epoch"])


def upload(project, new_pack, *contents):
    pack = new_pack()
    for one in contents:
        pack.add(Kind.BLOB, one)
    answer = project.put_pack(pack.bytes())
    assert answer.ok, answer.text
    return answer.json()["pack"]


def read(project, commit, path):
    return project.hub.request("GET", f"{project.base}/commits/{commit}/content?path={path}", token=project.token)


@pytest.fixture
def project(own_hub):
    return own_hub.new_project()


def test_what_no_commit_needs_goes_in_its_time(own_hub, project, new_pack, new_run):
    kept = project.push(new_run(), files={"a": b"needed"})
    pack = upload(project, new_pack, b"nobody needs this")
    before = epoch(project)

    first = upkeep(own_hub, "gc")
    assert (first["unused"], first["deleted"], first["packs_deleted"]) == (1, 0, 0)
    own_hub.clock.advance(hours=23)
    assert upkeep(own_hub, "gc")["deleted"] == 0
    own_hub.clock.advance(hours=1, seconds=1)
    assert upkeep(own_hub, "gc", dry_run=True)["deleted"] == 1
    assert epoch(project) == before

    done = upkeep(own_hub, "gc")
    assert (done["deleted"], done["unused"], done["failed"]) == (1, 0, [])
    assert epoch(project) > before
    assert not is_there(project, b"nobody needs this")
    assert pack in packs(own_hub)  # somebody may be reading it
    own_hub.clock.advance(hours=1, seconds=1)
    assert upkeep(own_hub, "gc")["packs_deleted"] == 1
    assert pack not in packs(own_hub)
    assert read(project, kept.commit, "a").content == b"needed"
    assert is_there(project, b"needed")


def test_one_cycle_alone_deletes_nothing_however_late_it_comes(own_hub, project, new_pack):
    upload(project, new_pack, b"uploaded")
    own_hub.clock.advance(days=100)
    assert upkeep(own_hub, "gc")["deleted"] == 0
    assert is_there(project, b"uploaded")


def test_who_asks_for_an_object_has_another_day_to_commit_it(own_hub, project, new_pack):
    upload(project, new_pack, b"asked for")
    age(own_hub)
    assert is_there(project, b"asked for")
    assert upkeep(own_hub, "gc")["deleted"] == 0
    own_hub.clock.advance(hours=25)
    assert upkeep(own_hub, "gc")["deleted"] == 1


def test_who_uploads_an_object_again_has_another_day(own_hub, project, new_pack):
    upload(project, new_pack, b"again")
    age(own_hub)
    upload(project, new_pack, b"again")
    assert upkeep(own_hub, "gc")["deleted"] == 0
    upload(project, new_pack, b"again", b"in another pack")
    assert is_there(project, b"again")


def test_a_commit_takes_what_was_about_to_be_deleted(own_hub, project, new_pack, new_run):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"late", "b": b"later"})
    assert project.put_pack(pack.bytes()).ok
    age(own_hub)
    assert project.post_commit(commit).status_code == 201
    assert upkeep(own_hub, "gc")["deleted"] == 0
    own_hub.clock.advance(days=3)
    assert upkeep(own_hub, "gc")["deleted"] == 0
    assert read(project, commit, "b").content == b"later"


def test_what_was_deleted_can_be_pushed_again(own_hub, project, new_pack, new_run):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"came back"})
    data = pack.bytes()
    assert project.put_pack(data).status_code == 201
    age(own_hub)
    upkeep(own_hub, "gc")
    assert project.post_commit(commit).json()["type"] == "/problems/missing-objects"
    assert project.put_pack(data).ok  # its file is still there, and about to be deleted
    assert project.post_commit(commit).status_code == 201
    own_hub.clock.advance(hours=2)
    upkeep(own_hub, "gc")
    assert read(project, commit, "a").content == b"came back"


def test_another_projects_use_of_a_pack_keeps_it(own_hub, project, new_pack, new_run):
    other = own_hub.new_project()
    pack = new_pack()
    commit = pack.add_commit(other, (new_run(),), {"a": b"shared"})
    data = pack.bytes()
    assert project.put_pack(data).status_code == 201
    assert other.put_pack(data).status_code == 201
    assert other.post_commit(commit).status_code == 201
    age(own_hub)
    assert upkeep(own_hub, "gc")["deleted"] == len(pack.objects)
    own_hub.clock.advance(hours=2)
    assert upkeep(own_hub, "gc")["packs_deleted"] == 0
    assert not is_there(project, b"shared")
    assert read(other, commit, "a").content == b"shared"


def test_many_small_packs_become_one(own_hub, project, new_run):
    commits = [project.push(new_run(), files={"n": b"%d" % number}).commit for number in range(20)]
    assert upkeep(own_hub, "gc")["repacked"] == 20
    own_hub.clock.advance(hours=2)
    assert upkeep(own_hub, "gc")["packs_deleted"] == 20
    assert len(packs(own_hub)) == 1
    assert [read(project, commit, "n").content for commit in commits] == [b"%d" % number for number in range(20)]
    assert upkeep(own_hub, "gc")["repacked"] == 0


def test_a_pack_of_which_most_is_unused_is_written_anew(own_hub, project, new_pack, new_run):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"needed"})
    noise = random.Random(1).randbytes(2**20)
    pack.add(Kind.BLOB, noise)
    assert project.put_pack(pack.bytes()).ok
    assert project.post_commit(commit).ok
    age(own_hub)
    assert upkeep(own_hub, "gc")["repacked"] == 1
    own_hub.clock.advance(hours=2)
    assert upkeep(own_hub, "gc")["freed"] > 2**20
    assert sum(path.stat().st_size for path in (own_hub.data / "packs").glob("*/*")) < 2**16
    assert read(project, commit, "a").content == b"needed"


def test_nothing_is_deleted_where_it_cannot_be_known_what_is_needed(own_hub, project, new_pack, new_run):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"needed"})
    tree = next(data for kind, data in pack.objects.values() if kind is Kind.TREE)
    del pack.objects[digest(tree)]
    lonely = new_pack()
    lonely.add(Kind.TREE, tree)
    lonely_bytes = lonely.bytes()
    assert project.put_pack(pack.bytes()).ok
    assert project.put_pack(lonely_bytes).ok
    assert project.post_commit(commit).ok
    upload(project, new_pack, b"unused")
    age(own_hub)
    name = digest(lonely_bytes).hex()
    (own_hub.data / "packs" / name[:2] / name).unlink()
    done = upkeep(own_hub, "gc")
    assert [one["project_id"] for one in done["failed"]] == [project.id]
    assert name in done["failed"][0]["detail"]
    assert done["deleted"] == 0
    assert is_there(project, b"unused")


def test_what_was_deleted_is_counted_where_a_pack_cannot_be_copied_afterwards(own_hub, project, new_pack, new_run):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"needed"})
    pack.add(Kind.BLOB, random.Random(1).randbytes(2**20))
    data = pack.bytes()
    assert project.put_pack(data).ok
    assert project.post_commit(commit).ok
    age(own_hub)
    damage(own_hub, digest(data).hex(), at=data.index(b"needed"))
    done = upkeep(own_hub, "gc")
    assert (done["deleted"], done["repacked"]) == (1, 0)
    (failed,) = done["failed"]
    assert failed["project_id"] == project.id
    assert failed["detail"].startswith("packs were left as they are")
    assert digest(b"needed").hex() in failed["detail"]


def test_a_file_that_the_database_does_not_know_goes_after_a_week(own_hub):
    name = digest(b"whatever").hex()
    path = own_hub.data / "packs" / name[:2] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whatever")
    for hours, is_left in ((0, True), (2, True), (WEEK_H, True), (2, False)):
        os.utime(path, (own_hub.clock.now.timestamp(),) * 2) if hours == 0 else None
        own_hub.clock.advance(hours=hours)
        upkeep(own_hub, "gc")
        assert path.exists() == is_left


# Scrubbing


def damage(hub, pack, *, at=60):
    path = hub.data / "packs" / pack[:2] / pack
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_is_well_is_found_to_be(own_hub, project, new_run):
    project.push(new_run(), files={"a": b"fine"})
    done = upkeep(own_hub, "scrub")
    assert (done["packs"], done["damaged"]) == (1, [])
    assert done["size"] > 0


@pytest.mark.parametrize("how", ["changed", "longer", "shorter", "gone"])
def test_damage_is_found_said_and_mended_by_the_next_push(own_hub, project, new_pack, new_run, how):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"precious"})
    data = pack.bytes()
    assert project.put_pack(data).ok
    assert project.post_commit(commit).ok
    name, before = digest(data).hex(), epoch(project)
    path = own_hub.data / "packs" / name[:2] / name
    changed = {"changed": data[:99] + bytes([data[99] ^ 1]) + data[100:], "longer": data + b"x", "shorter": data[:-1]}
    path.unlink() if how == "gone" else path.write_bytes(changed[how])

    (found,) = upkeep(own_hub, "scrub")["damaged"]
    assert found == {"pack": name, "projects": [project.id], "objects": len(pack.objects)}
    assert epoch(project) > before
    assert not is_there(project, b"precious")

    other = new_pack()  # whoever has the objects may have packed them in another way
    other.objects = dict(reversed(pack.objects.items()))
    assert project.put_pack(other.bytes()).status_code == 201
    assert is_there(project, b"precious")
    assert read(project, commit, "a").content == b"precious"
    own_hub.clock.advance(hours=2)
    upkeep(own_hub, "gc")
    own_hub.clock.advance(hours=2)
    upkeep(own_hub, "gc")
    assert packs(own_hub) == {digest(other.bytes()).hex()}
    assert upkeep(own_hub, "scrub")["damaged"] == []


def test_a_damaged_pack_that_comes_again_is_well(own_hub, project, new_pack, new_run):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"precious"})
    data = pack.bytes()
    project.put_pack(data)
    project.post_commit(commit)
    damage(own_hub, digest(data).hex())
    assert len(upkeep(own_hub, "scrub")["damaged"]) == 1
    assert project.put_pack(data).status_code == 200
    assert upkeep(own_hub, "scrub")["damaged"] == []
    assert is_there(project, b"precious")


def test_a_committer_mends_a_hub_without_a_new_commit(own_hub, project, tmp_path):
    history = write_history(tmp_path / "store", project.dot_id, length=20)
    target = history.target(own_hub.url, project)
    push_all(history.store, target)
    upkeep(own_hub, "gc")
    own_hub.clock.advance(hours=2)
    upkeep(own_hub, "gc")
    (pack,) = packs(own_hub)  # which the committer never made
    damage(own_hub, pack)
    assert len(upkeep(own_hub, "scrub")["damaged"]) == 1
    push_all(history.store, target)
    own_hub.clock.advance(hours=2)
    upkeep(own_hub, "gc")
    own_hub.clock.advance(hours=2)
    upkeep(own_hub, "gc")
    assert pack not in packs(own_hub)
    assert upkeep(own_hub, "scrub")["damaged"] == []
    assert count_shown(project, history) == 20


# By itself


def test_a_hub_does_it_by_itself_when_it_is_time(tmp_path, serve_hub, new_pack):
    with serve_hub(tmp_path / "hub") as hub:
        upload(hub.new_project(), new_pack, b"unused")
        assert hub.call("GET", "/api/v1/upkeep")["gc"]["started_at"] is None
    with sqlite3.connect(tmp_path / "hub" / "hub.db") as database:
        database.execute("UPDATE setting SET value = ? WHERE name = 'upkeep'", (b"2025-12-31T00:00:00+00:00",))
    with serve_hub(tmp_path / "hub") as hub:
        while (state := hub.call("GET", "/api/v1/upkeep"))["gc"]["result"] is None:
            pass
        assert state["gc"]["result"]["unused"] == 1
        while hub.call("GET", "/api/v1/upkeep")["scrub"]["result"] is None:
            pass
    with serve_hub(tmp_path / "hub") as hub:
        assert hub.call("GET", "/api/v1/upkeep")["gc"]["started_at"] is None


def test_it_can_be_left_to_the_operator(tmp_path, serve_hub):
    with serve_hub(tmp_path / "hub", upkeep_every_h=0) as hub:
        assert hub.call("GET", "/api/v1/upkeep")["gc"]["started_at"] is None
        upkeep(hub, "gc")


def test_failed_sign_ins_are_noted_for_90_days(own_hub):
    own_hub.request("POST", "/api/v1/sessions", json={"name": "nobody", "password": "a guess"})

    def is_noted():
        entries = own_hub.call("GET", "/api/v1/audit")["items"]
        return ("sign_in", "nobody") in [(one["action"], one["target"]) for one in entries]

    own_hub.clock.advance(days=89)
    upkeep(own_hub, "gc")
    assert is_noted()
    own_hub.clock.advance(days=2)
    upkeep(own_hub, "gc", dry_run=True)
    assert is_noted()
    upkeep(own_hub, "gc")
    assert not is_noted()
