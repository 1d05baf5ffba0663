"""The same run in another spelling is the same; a real difference is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from committer.detect.run_content import content_digest, differing_fields
from dotscience.record import FileRef, ModelArtefact, RunRecord, decode_json, encode_json

RECORD = RunRecord(
    run_id="r",
    description="gr\u00fc\u00dfe",
    ended_at=datetime(2026, 1, 1, tzinfo=UTC),
    parameters={"one": 1.0, "k": 1e3, "zero": -0.0, "huge": 1e22, "big": 2**53 + 1, "nested": [[1.0, {"x": 2.0}]]},
    summary={"yes": True, "text": "1.0"},
    outputs=[FileRef(path="a")],
    models=[ModelArtefact(name="net", type="file", files={"model": "a"})],
)


def as_javascript_writes(value):
    """What JSON.parse and JSON.stringify make of it."""
    if isinstance(value, dict):
        return {name: as_javascript_writes(item) for name, item in reversed(value.items())}
    if isinstance(value, list):
        return [as_javascript_writes(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    return value


@pytest.mark.parametrize("ascii_only", [True, False])
def test_another_spelling_is_the_same_run(ascii_only):
    rewritten = json.dumps(as_javascript_writes(json.loads(encode_json(RECORD))), ensure_ascii=ascii_only)
    other = decode_json(rewritten, RunRecord)
    assert content_digest(other) == content_digest(RECORD)
    assert differing_fields(RECORD, other) == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"parameters": RECORD.parameters | {"one": 1.5}}, ["parameters.one"]),
        ({"summary": {"yes": 1, "text": "1.0"}}, ["summary.yes"]),
        ({"summary": {"yes": True, "text": 1.0}}, ["summary.text"]),
        ({"description": "other", "outputs": []}, ["description", "output"]),
        ({"models": []}, ["models.net"]),
    ],
)
def test_a_difference_is_named(changes, fields):
    other = msgspec.structs.replace(RECORD, **changes)
    assert content_digest(other) != content_digest(RECORD)
    assert [one for one in differing_fields(RECORD, other) if not one.startswith("labels.")] == fields
