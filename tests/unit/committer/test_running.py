"""Runs that are going on, for the panel."""

import fcntl
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec

from committer.running import MAX_RUNNING, running_runs
from dotscience.record import RunRecord, encode_json

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


def write(folder, *values, **fields):
    """The file of a run, and a hold on it as its process has."""
    run_id = str(uuid4())
    lines = [encode_json(RunRecord(run_id=run_id, **fields))]
    lines += [msgspec.json.encode(["loss", step, step, value]) for step, value in enumerate(values)]
    file = (folder / f"{run_id}.points").open("wb")
    file.write(b"\n".join(lines) + b"\n")
    file.flush()
    fcntl.flock(file, fcntl.LOCK_EX)
    return run_id, file


def test_runs_are_listed_while_their_processes_have_them_newest_first(tmp_path):
    (old, one), (new, two), (published, three) = (
        write(tmp_path, 0.5, 0.25, description="slow", started_at=START),
        write(tmp_path, *map(float, range(10_000)), started_at=START + timedelta(hours=1)),
        write(tmp_path, 1.0),
    )
    (tmp_path / f"{published}.json").write_bytes(b"{}")
    with one, two, three:
        found = running_runs(tmp_path)
        assert [(run.run_id, run.latest) for run in found] == [(new, {"loss": 9999.0}), (old, {"loss": 0.25})]
        assert found[1].record.description == "slow"
    assert running_runs(tmp_path) == []


def test_what_anybody_may_have_written_there_is_left_out(tmp_path):
    (tmp_path / f"{uuid4()}.points").symlink_to("/etc/passwd")
    garbage = tmp_path / f"{uuid4()}.points"
    with garbage.open("wb") as file:
        file.write(b"no run\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert running_runs(tmp_path) == []
    assert running_runs(tmp_path / "nowhere") == []


def test_only_so_many_are_listed(tmp_path):
    files = [write(tmp_path, 0.5)[1] for _ in range(MAX_RUNNING + 1)]
    assert len(running_runs(tmp_path)) == MAX_RUNNING
    for file in files:
        file.close()
