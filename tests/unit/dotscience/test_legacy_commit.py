"""The original's commit metadata, read and written."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from dotscience.legacy_commit import describe_commit, read_runs, remote_commit, runner_environment
from dotscience.record import FileRef, ModelArtefact, RunRecord

DOT = "0b3a3b3e-6a52-4d3b-9d5f-0c6f6e3f0a11"
RUN = "39693108-0b5c-4bb1-9c1f-6e1a2f3b4c5d"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)


def record(**fields):
    return RunRecord(**{"run_id": RUN, "started_at": TIME, "ended_at": TIME, **fields})


def test_what_remote_mode_writes_is_read_again():
    written = record(
        description="d",
        error="",
        workload_file="train.py",
        mode="script",
        parameters={"a.b": "1"},
        summary={"f1": "0.5"},
        labels={"stage": "dev"},
        models=[ModelArtefact(name="m", type="sklearn-model", version="1", files={"model": "m.pkl"})],
        outputs=[FileRef(path="m.pkl")],
    )
    metadata = remote_commit(written, author="alice", output_files=["m.pkl"])
    (read,), errors = read_runs(metadata, dot_id=DOT)
    assert errors == read.warnings == []
    assert (read.authority, read.mode, read.error) == ("remote", "remote", "")
    for name in ("run_id", "description", "started_at", "ended_at", "workload_file", "parameters", "summary", "labels"):
        assert getattr(read, name) == getattr(written, name)
    assert (read.models, read.outputs) == (written.models, written.outputs)
    environment = runner_environment(metadata, TIME)
    assert environment.hostname == read.place.host


def test_no_authority_but_remote_can_be_claimed():
    metadata = {"runs": json.dumps([RUN]), f"run.{RUN}.authority": "workload"}
    assert read_runs(metadata, dot_id=DOT).records[0].authority == "remote"


def test_a_commit_without_runs():
    assert read_runs({"message": "m"}, dot_id=DOT) == ([], [])
    assert runner_environment({}, TIME) is None


@pytest.mark.parametrize("runs", ["", "x", "{}", "[1]", "null", "[" * 50_000, json.dumps(["x"] * 1001)])
def test_runs_that_are_no_list_of_ids(runs):
    records, errors = read_runs({"runs": runs}, dot_id=DOT)
    assert (records, len(errors)) == ([], 1)
    assert len(errors[0]) < 200


def test_an_id_that_is_none_gives_the_same_run_each_time():
    metadata = {"runs": '["None"]', "run.None.description": "d"}
    first, again = (read_runs(metadata, dot_id=DOT).records[0] for _ in range(2))
    assert first == again
    assert first.wire_id == "None"
    assert read_runs(metadata | {"run.None.description": "e"}, dot_id=DOT).records[0].run_id != first.run_id


def test_an_id_with_dots_and_one_that_begins_another():
    metadata = {"runs": '["a", "a.b"]', "run.a.description": "1", "run.a.b.description": "2"}
    first, second = read_runs(metadata, dot_id=DOT).records
    assert (first.description, second.description) == ("1", "2")


@pytest.mark.parametrize(
    ("text", "path", "commit"),
    [
        ("a.csv@c1", "a.csv", "c1"),
        ("a@b.csv@c1", "a@b.csv", "c1"),
        ("a.csv", "a.csv", None),
        ("@c1", "@c1", None),
        ("a.csv@", "a.csv@", None),
        ("a@b/c.csv", "a@b/c.csv", None),
    ],
)
def test_inputs_name_the_commit_that_holds_them(text, path, commit):
    metadata = {"runs": json.dumps([RUN]), f"run.{RUN}.input-files": json.dumps([text])}
    (read,) = read_runs(metadata, dot_id=DOT).records[0].inputs
    assert (read.path, read.commit) == (path, commit)


def test_what_is_lost_is_said_and_not_at_any_length():
    metadata = {"runs": json.dumps([RUN]), f"run.{RUN}.comments-count": "3", f"run.{RUN}.output-files": "x"}
    metadata |= {f"unknown.{number}": "x" for number in range(50)}
    warnings = read_runs(metadata, dot_id=DOT).records[0].warnings
    assert warnings[0].startswith("output is 'x', not a list of paths")
    assert warnings[1] == "the run's 'comments-count' is not kept"
    assert (len(warnings), warnings[-1]) == (21, "and 32 more")


def test_a_commit_is_described_as_the_originals_were():
    runs = [record(authority="derived", inputs=[FileRef(path="a", commit="c1")], outputs=[FileRef(path="b")])]
    described = describe_commit(runs, author="alice", message="m", created_at=TIME)
    assert described == {
        "author": "alice",
        "message": "m",
        "timestamp": "1767323045678900000",
        "type": "dotscience.run.v1",
        "runs": f'["{RUN}"]',
        f"run.{RUN}.version": "1",
        f"run.{RUN}.authority": "derived",
        f"run.{RUN}.start": "20260102T030405.678900",
        f"run.{RUN}.end": "20260102T030405.678900",
        f"run.{RUN}.input-files": '["a@c1"]',
        f"run.{RUN}.output-files": '["b"]',
    }
