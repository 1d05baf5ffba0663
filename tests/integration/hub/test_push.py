"""Pushing: packs, commits, runs, and everything that can be wrong with them."""

from __future__ import annotations

import random
import shutil
import struct
from contextlib import suppress
from uuid import uuid4

import msgspec
import pytest

from committer.storage.compression import Encoding, compress_zstd
from committer.storage.objects import Kind, digest
from committer.storage.pack import HEADER, PACK_MAGIC, RECORD_MAGIC, TRAILER, PackEntry
from dotscience.record import FileRef, encode_json
from dotscience.record_limits import MAX_RUN_BYTES


def problem(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"/problems/{kind}"
    assert {"title", "status", "detail", "request_id"} <= set(document)
    assert document["request_id"] == answer.headers["X-Request-Id"]
    return document


def test_a_pushed_run_is_listed_as_it_was_written(project, new_run, new_pack, environment):
    pack = new_pack()
    named = pack.add(Kind.ENVIRONMENT, encode_json(environment)).hex()
    record = new_run(parameters={"lr": "0.1"}, summary={"loss": 0.5}, labels={"who": "me"}, environment=named)
    commit = pack.add_commit(project, (record,), {"a.txt": b"hello"})
    assert project.put_pack(pack.bytes()).status_code == 201
    answer = project.post_commit(commit)
    assert answer.status_code == 201
    assert answer.json() == {"commit": commit, "branch": "main", "runs": 1, "refused": []}

    listed = project.get("/runs")
    assert (listed["total"], listed["total_is_exact"], listed["next"]) == (1, True, None)
    (run,) = listed["items"]
    assert (run["id"], run["project_id"], run["seq"]) == (record.run_id, project.id, 1)
    assert (run["commit"], run["warnings"]) == (commit, [])
    assert run["record"] == msgspec.json.decode(encode_json(record))
    shown = project.get(f"/runs/{record.run_id}")
    assert shown["environment"] == msgspec.json.decode(encode_json(environment))
    columns = {"parameters": ["lr"], "summary": ["loss"], "labels": ["who"], "tags": []}
    assert project.get("/columns") == columns
    info = project.hub.call("GET", project.base)
    assert (info["runs"], info["head"], info["last_run_at"]) == (1, commit, "2026-01-02T03:04:05Z")
    assert project.get(f"/commits/{commit}")["runs"] == [record.run_id]
    assert [one["id"] for one in project.get("/commits")["items"]] == [commit]


def test_the_record_goes_to_the_client_byte_for_byte(project, new_run):
    record = new_run(description='quotes " and \u2028 and emoji 🐍', parameters={"b": 1, "a": [1, {"c": None}]})
    project.push(record)
    answer = project.hub.request("GET", project.base + "/runs", token=project.token)
    assert encode_json(record) in answer.content


def test_everything_is_idempotent(project, new_run, new_pack):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"1"})
    data = pack.bytes()
    assert [project.put_pack(data).status_code for _ in range(2)] == [201, 200]
    assert [project.post_commit(commit).status_code for _ in range(3)] == [201, 200, 200]
    assert project.post_commit(commit).json()["runs"] == 1
    assert project.get("/runs")["total"] == 1


def test_a_replay_after_the_branch_has_moved_on_is_still_fine(project, new_run):
    first = project.push(new_run())
    project.push(new_run())
    assert project.post_commit(first.commit).status_code == 200
    assert project.hub.call("GET", project.dot, token=project.token)["branches"] == {"main": project.head}


def test_a_fork_may_repeat_the_whole_history(project, new_run):
    pushed = [project.push(new_run()).commit for _ in range(3)]
    for _ in range(2):
        parents = [None, *pushed]
        for parent, commit in zip(parents, pushed, strict=False):
            answer = project.post_commit(commit, parent=parent, branch="main~fork-box-1")
            if answer.status_code == 409:
                assert answer.json()["head"] == pushed[-1]
    heads = project.hub.call("GET", project.dot, token=project.token)["branches"]
    assert heads == {"main": pushed[-1], "main~fork-box-1": pushed[-1]}
    assert project.post_commit(pushed[-1], parent=pushed[1], branch="main~fork-box-1").status_code == 200
    assert (project.get("/runs")["total"], project.get("/commits")["total"]) == (3, 3)


def test_a_moved_head_is_said_and_nothing_is_stored(project, new_run, new_pack):
    first = project.push(new_run())
    second = project.push(new_run())
    project.head = first.commit
    pack = new_pack()
    late = pack.add_commit(project, (new_run(),), {"b": b"2"})
    project.put_pack(pack.bytes())
    document = problem(project.post_commit(late, parent=first.commit), 409, "head-moved")
    assert document["head"] == second.commit
    assert project.get("/runs")["total"] == 2
    assert project.hub.request("GET", f"{project.base}/commits/{late}", token=project.token).status_code == 404
    assert project.post_commit(late, branch="main~fork-box-1").status_code == 201
    heads = project.hub.call("GET", project.dot, token=project.token)["branches"]
    assert heads == {"main": second.commit, "main~fork-box-1": late}
    assert project.get("/runs")["total"] == 3


def test_a_branch_only_moves_to_a_child_of_its_head(project, new_run, new_pack):
    first = project.push(new_run())
    project.head = None
    pack = new_pack()
    orphan = pack.add_commit(project, (), {"c": b"3"})
    project.put_pack(pack.bytes())
    problem(project.post_commit(orphan, parent=first.commit), 422, "invalid")
    assert problem(project.post_commit(orphan), 409, "head-moved")["head"] == first.commit


def test_missing_objects_are_named(project, new_run, new_pack):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"present", "b": b"absent"})
    del pack.objects[digest(b"absent")]
    project.put_pack(pack.bytes())
    document = problem(project.post_commit(commit), 422, "missing-objects")
    assert document["missing"] == [digest(b"absent").hex()]
    assert project.get("/runs")["total"] == 0
    unknown = "ab" * 32
    assert problem(project.post_commit(unknown), 422, "missing-objects")["missing"] == [unknown]


def test_at_most_a_thousand_missing_objects_are_named(project, new_pack):
    pack = new_pack()
    files = {f"f{number}": f"{number}".encode() for number in range(1100)}
    commit = pack.add_commit(project, (), files)
    pack.objects = {name: one for name, one in pack.objects.items() if one[0] is not Kind.BLOB}
    project.put_pack(pack.bytes())
    assert len(problem(project.post_commit(commit), 422, "missing-objects")["missing"]) == 1000


def test_parents_come_first(project, new_pack):
    project.head = "cd" * 32
    pack = new_pack()
    commit = pack.add_commit(project, (), {})
    project.put_pack(pack.bytes())
    document = problem(project.post_commit(commit, parent=project.head), 422, "missing-parents")
    assert document["missing"] == [project.head]


def test_a_repeated_run_keeps_its_first_content_and_says_so(project, new_run):
    record = new_run(summary={"x": 1})
    project.push(record)
    changed = msgspec.structs.replace(record, summary={"x": 2})
    second = project.push(changed, files={"n": b"1"})
    project.push(record, files={"n": b"2"})
    (run,) = project.get("/runs")["items"]
    assert run["record"]["summary"] == {"x": 1}
    (warning,) = run["warnings"]
    assert second.commit[:12] in warning


def test_the_same_run_may_be_in_two_projects(hub, new_run):
    record = new_run()
    for project in (hub.new_project(), hub.new_project()):
        project.push(record)
        assert project.get("/runs")["total"] == 1


def test_projects_do_not_learn_what_others_have(hub, new_pack):
    one, other = hub.new_project(), hub.new_project()
    pack = new_pack()
    name = pack.add(Kind.BLOB, b"secret")
    data = pack.bytes()
    assert one.put_pack(data).status_code == 201

    assert one.have(name + bytes(32)).content == b"\x01"
    assert one.have(name + bytes(32)).headers["X-Dotscience-Gc-Epoch"] == "1"
    assert other.have(name + bytes(32)).content == b"\x00"
    assert other.put_pack(data).status_code == 201, "known to the hub, but not to this project"
    assert other.have(name + bytes(32)).content == b"\x01"


def test_have_answers_in_order_least_significant_bit_first(project, new_pack):
    pack = new_pack()
    names = [pack.add(Kind.BLOB, bytes([number])) for number in range(20)]
    kept = {number for number in range(20) if number % 3 == 0}
    pack.objects = {names[number]: pack.objects[names[number]] for number in kept}
    project.put_pack(pack.bytes())
    answer = project.have(b"".join(names))
    assert len(answer.content) == 3
    assert {i for i in range(24) if answer.content[i // 8] >> (i % 8) & 1} == kept


@pytest.mark.parametrize("size", [31, 33, 32 * 16_384 + 32])
def test_have_takes_whole_hashes_up_to_a_limit(project, size):
    answer = project.have(bytes(size))
    assert answer.status_code == (413 if size > 600 else 400)


def entry_pack(records):
    """A pack with headers and index exactly as given, which a `PackWriter` would never write."""
    body, entries = b"", []
    for kind, name, payload, size, encoding in records:
        entries.append(PackEntry(name, kind, len(body), len(payload), size, encoding))
        body += HEADER.pack(RECORD_MAGIC, kind, encoding, name, len(payload), size) + payload
    index = compress_zstd(msgspec.msgpack.encode(entries))
    return body + index + TRAILER.pack(len(index), digest(index), PACK_MAGIC)


def hostile_packs():
    good = entry_pack([(Kind.BLOB, digest(b"x"), b"x", 1, Encoding.RAW)])
    bomb = compress_zstd(bytes(100 * 2**20))
    yield "empty", b""
    yield "text", b"<html>" * 100
    yield "truncated", good[:-7]
    yield "flipped", good[:20] + bytes([good[20] ^ 1]) + good[21:]
    yield "wrong hash", entry_pack([(Kind.BLOB, digest(b"y"), b"x", 1, Encoding.RAW)])
    yield "bomb that lies", entry_pack([(Kind.BLOB, digest(b"x"), bomb, 10, Encoding.ZSTD)])
    yield "bomb that boasts", entry_pack([(Kind.BLOB, digest(b"x"), bomb, 2**32 - 1, Encoding.ZSTD)])


@pytest.mark.parametrize(("what", "data"), list(hostile_packs()), ids=[what for what, _ in hostile_packs()])
def test_a_pack_that_is_not_what_it_says_is_refused(project, what, data):
    problem(project.put_pack(data), 422, "corrupt-pack")
    assert not list((project.hub.data / "staging").iterdir()), "what was refused is not kept"
    assert not list((project.hub.data / "packs").glob(f"*/{digest(data).hex()}"))


def test_a_pack_must_have_the_hash_in_its_address(project, new_pack):
    pack = new_pack()
    pack.add(Kind.BLOB, b"x")
    document = problem(project.put_pack(pack.bytes(), name="00" * 32), 422, "corrupt-pack")
    assert "00" * 32 in document["detail"]
    problem(project.put_pack(pack.bytes(), name="../../etc/passwd"), 404, "not-found")
    problem(project.put_pack(pack.bytes(), name="zz"), 404, "not-found")


def test_a_pack_has_a_largest_size(project):
    problem(project.put_pack(bytes(64 * 2**20 + 1)), 413, "too-large")


def test_a_large_chunked_upload_without_a_length_is_stopped(serve_hub, tmp_path):
    with serve_hub(tmp_path / "own") as hub:
        _send_endlessly(hub.new_project())
    assert not list((tmp_path / "own" / "staging").iterdir())


def _send_endlessly(project):
    def endless():
        for _ in range(65):
            yield bytes(2**20)

    answer = None
    with suppress(OSError):  # the hub may also just close the connection
        answer = project.hub.request(
            "PUT",
            f"{project.dot}/packs/{'00' * 32}",
            token=project.token,
            data=endless(),
            headers={"Content-Type": "application/octet-stream"},
        )
    assert answer is None or answer.status_code in (400, 413)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.TREE, b"not a tree"),
        (Kind.RUN, b"{}"),
        (Kind.RUN, b'{"schema":"dotscience.run.v1","run_id":"x","parameters":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        (Kind.RUN, b'{"schema":"dotscience.run.v1","run_id":"other"}'),
        (Kind.RUN, b'{"schema":"dotscience.run.v1","run_id":"x","unknown":"\xff"}'),
        (Kind.ENVIRONMENT, b"[]"),
    ],
)
def test_objects_that_are_not_what_the_commit_takes_them_for_are_refused(project, new_pack, new_run, kind, data):
    pack = new_pack()
    name = pack.add(kind, data)
    changes = {"root": name} if kind is Kind.TREE else {"runs": [("x", name)]}
    if kind is Kind.ENVIRONMENT:
        record = new_run(environment=name.hex())
        changes = {"runs": [(record.run_id, pack.add(Kind.RUN, encode_json(record)))]}
    commit = pack.add_commit(project, (), {}, **changes)
    assert project.put_pack(pack.bytes()).status_code == 201
    problem(project.post_commit(commit), 422, "invalid")
    assert project.hub.call("GET", project.dot, token=project.token)["branches"] == {}


def test_a_commit_of_another_dot_is_refused(project, new_pack):
    pack = new_pack()
    commit = pack.add_commit(project, (), {}, dot_id=str(uuid4()))
    project.put_pack(pack.bytes())
    problem(project.post_commit(commit), 422, "invalid")


@pytest.mark.parametrize("branch", ["", "a b", "../x", "a//b", "x" * 300, "é", "a\n", "-x"])
def test_branch_names_are_plain(project, new_pack, branch):
    pack = new_pack()
    commit = pack.add_commit(project, (), {})
    project.put_pack(pack.bytes())
    problem(project.post_commit(commit, branch=branch), 422, "invalid")


def test_a_file_with_the_bytes_of_a_record_does_no_harm(project, new_run, new_pack):
    record = new_run()
    pack = new_pack()
    commit = pack.add_commit(project, (record,), {"copy.json": encode_json(record)})
    pack.objects[digest(encode_json(record))] = (Kind.BLOB, encode_json(record))
    project.put_pack(pack.bytes())
    assert project.post_commit(commit).status_code == 201
    assert project.get("/runs")["total"] == 1


def test_hostile_names_and_values_are_data(project, new_run):
    nasty = "'; DROP TABLE run; -- <script>alert(1)</script> \u0000 %_\\ 🐍"
    record = new_run(
        description=nasty,
        parameters={nasty: nasty, "big": 10**400, "nan": "nan", "deep": [[[[1]]]], "": ""},
        summary={nasty: 1.5, "inf": "inf", "true": True},
        labels={nasty: None},
        inputs=[FileRef(path="../../etc/passwd", content_hash="zz"), FileRef(path=nasty, content_hash="00" * 32)],
        outputs=[FileRef(path=nasty), FileRef(path=nasty)],
    )
    project.push(record)
    (run,) = project.get("/runs")["items"]
    assert run["record"] == msgspec.json.decode(encode_json(record))
    sorted_by = project.hub.request(
        "GET", project.base + "/runs", token=project.token, params={"sort": f"summary.{nasty}"}
    )
    assert sorted_by.json()["total"] == 1


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_time_without_a_year_in_utc_is_refused(project, new_run, new_pack, time):
    run_id, pack = str(uuid4()), new_pack()
    data = encode_json(new_run(run_id=run_id, ended_at=None)).replace(b"2026-01-02T03:04:05Z", time.encode())
    assert time.encode() in data
    commit = pack.add_commit(project, (), {}, runs=[(run_id, pack.add(Kind.RUN, data))])
    assert project.put_pack(pack.bytes()).ok
    answer = project.post_commit(commit)
    assert answer.status_code == 422, answer.text
    assert "calendar" in answer.json()["detail"]
    assert project.hub.call("GET", project.base)["name"]


def test_two_hundred_runs_in_one_commit(project, new_run):
    records = [new_run(started_at=None, ended_at=None, summary={"n": number}) for number in range(200)]
    pushed = project.push(*records)
    assert pushed.answer["runs"] == 200
    seen, cursor = [], None
    while True:
        page = project.get("/runs?limit=70&order=asc" + (f"&cursor={cursor}" if cursor else ""))
        seen += [run["id"] for run in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == pushed.run_ids


def test_an_upload_that_cannot_be_stored_is_answered_and_can_be_repeated(own_hub, new_pack):
    project, pack = own_hub.new_project(), new_pack()
    pack.add(Kind.BLOB, random.Random(1).randbytes(3 * 2**20))
    data = pack.bytes()
    staging = own_hub.data / "staging"
    staging.rmdir()
    problem(project.put_pack(data), 500, "internal")
    staging.mkdir()
    assert project.put_pack(data).status_code == 201


def test_a_hub_restored_from_a_backup_takes_what_it_lost_again(serve_hub, tmp_path, new_run):
    data, backup = tmp_path / "hub", tmp_path / "backup"
    with serve_hub(data) as hub:
        project = hub.new_project()
        first = project.push(new_run(), files={"a": b"1"})
    shutil.copytree(data, backup)
    lost = new_run()
    with serve_hub(data) as hub:
        project.hub = hub
        project.push(lost, files={"a": b"2"})
    shutil.copy(backup / "hub.db", data / "hub.db")
    with serve_hub(data) as hub:
        project.hub = hub
        assert hub.call("GET", project.dot, token=project.token)["branches"] == {"main": first.commit}
        project.head = first.commit
        again = project.push(lost, files={"a": b"2"})
        assert [run["id"] for run in project.get("/runs")["items"]] == [lost.run_id, *first.run_ids]
        path = f"{project.base}/commits/{again.commit}/content?path=a"
        assert hub.request("GET", path, token=project.token).content == b"2"


def test_a_pack_of_old_format_is_no_pack(project):
    problem(project.put_pack(struct.pack("<I", 1) * 100), 422, "corrupt-pack")


def test_a_run_that_is_too_large_holds_up_nothing(project, new_run):
    large, beside, after = new_run(parameters={"v": "x" * MAX_RUN_BYTES}), new_run(), new_run()
    pushed = project.push(large, beside, files={"a.txt": b"kept"})
    assert pushed.answer["runs"] == 1
    (refused,) = pushed.answer["refused"]
    assert refused["run_id"] == large.run_id
    assert "4,194,304" in refused["reason"]
    again = project.post_commit(pushed.commit)
    assert (again.status_code, again.json()["refused"]) == (200, [refused])
    project.push(after)
    assert {run["id"] for run in project.get("/runs")["items"]} == {beside.run_id, after.run_id}
    assert project.get(f"/commits/{pushed.commit}")["runs"] == [beside.run_id]


def test_who_pushed_is_what_the_hub_knows_whatever_the_author_says(hub, new_run):
    """The author is what the committer says of itself; nobody pushes in another's name."""
    project = hub.new_project("pushed")
    pushed = project.push(new_run())
    found = hub.call("GET", f"/api/v1/projects/{project.id}/commits/{pushed.commit}")
    assert found["pushed_by"]["account"] == hub.call("GET", "/api/v1/session")["account"]["name"]
    assert found["pushed_by"]["credential"].startswith("token:")


def test_a_commit_is_taken_without_contents_that_are_lost_everywhere(project, new_run, new_pack):
    pack = new_pack()
    run = new_run()
    commit = pack.add_commit(project, (run,), {"a": b"present", "b": b"absent"})
    absent = pack.objects.pop(digest(b"absent"))
    project.put_pack(pack.bytes())
    lost = digest(b"absent").hex()
    answer = project.post_commit(commit, lost=[lost])
    assert answer.status_code == 201
    project.head = commit
    assert [one["id"] for one in project.get("/runs")["items"]] == [run.run_id]
    after = new_pack()
    after.objects[digest(b"absent")] = absent
    assert project.put_pack(after.bytes()).status_code == 201


@pytest.mark.parametrize("what", ["tree", "run"])
def test_only_contents_of_files_may_be_lost(project, new_run, new_pack, what):
    pack = new_pack()
    commit = pack.add_commit(project, (new_run(),), {"a": b"present"})
    kind = Kind.TREE if what == "tree" else Kind.RUN
    gone = next(name for name, one in pack.objects.items() if one[0] is kind)
    del pack.objects[gone]
    project.put_pack(pack.bytes())
    document = problem(project.post_commit(commit, lost=[gone.hex()]), 422, "missing-objects")
    assert document["missing"] == [gone.hex()]


def test_too_many_lost_contents_are_refused(project, new_pack):
    pack = new_pack()
    commit = pack.add_commit(project, (), {})
    project.put_pack(pack.bytes())
    assert project.post_commit(commit, lost=["ab" * 32] * 10_001).status_code == 422
