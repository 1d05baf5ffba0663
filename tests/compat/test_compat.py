"""What the original library left in notebooks and logs is found exactly as `INDEX.json` says."""

import json
from pathlib import Path

import pytest

from dotscience.notebook import FoundRun, find_runs, find_runs_in_text

HERE = Path(__file__).parent
INDEX = json.loads((HERE / "INDEX.json").read_text("utf-8"))


def read(name: str) -> list[FoundRun]:
    data = (HERE / name).read_bytes()
    find = find_runs if INDEX[name]["kind"] == "notebook" else find_runs_in_text
    return find(data, path=name)


def as_indexed(run: FoundRun) -> dict:
    where = run.location
    place = {"cell": where.cell, "output": where.output, "output_type": where.output_type, "stream": where.stream}
    content = {"id": run.wire_id, "metadata": run.metadata, "json_ok": run.metadata is not None}
    return content | {key: value for key, value in place.items() if value is not None}


@pytest.mark.parametrize("name", INDEX)
def test_exactly_the_indexed_runs_are_found(name):
    assert [as_indexed(run) for run in read(name)] == INDEX[name]["runs"]


@pytest.mark.parametrize("name", INDEX)
def test_every_run_becomes_a_record_without_errors_and_back(name):
    from dotscience.wire import to_wire

    for run in read(name):
        assert run.errors == []
        assert to_wire(run.record) == run.metadata
