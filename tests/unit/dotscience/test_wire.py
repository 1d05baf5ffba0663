"""Wire v1 to record and back; identity."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotscience.record import RUN_MIME, FileRef, ModelArtefact, RunRecord, decode_json, encode_json
from dotscience.wire import format_time, from_wire, marker_for, mime_bundle, parse_time, run_id_for, to_wire

ID = "474b2d81-c55a-42f8-a999-a381faaf9ca1"
DOT = "0c0ffee0-0000-4000-8000-000000000000"
ORIGINAL_PATTERN = re.compile(r"\[\[DOTSCIENCE-RUN:(.+)\]\](.*)\[\[/DOTSCIENCE-RUN:\1\]\]", re.MULTILINE | re.DOTALL)

EMPTY = {"version": "1", "input": [], "output": [], "labels": {}, "parameters": {}, "summary": {}}


def read(**changes):
    return from_wire(ID, EMPTY | changes, run_id=ID)


def test_a_full_record_on_the_wire():
    record = RunRecord(
        run_id=ID,
        description="",
        error="",
        started_at=datetime(2026, 11, 23, 5, 4, 3, 7, timezone(timedelta(hours=1))),
        mode="script",
        workload_file="train.py",
        parameters={"lr": 1e-05, "none": None, "on": True, "layers": [1, 2]},
        summary={"loss": 1.0, "bad": "nan"},
        labels={"stage": "dev"},
        inputs=[FileRef(path="b"), FileRef(path="a"), FileRef(path="a")],
        models=[ModelArtefact(name="iris é", type="sklearn-model", version="1.5", files={"model": "m.joblib"})],
    )
    assert to_wire(record) == EMPTY | {
        "description": "",
        "error": "",
        "start": "20261123T040403.000007",
        "workload-file": "train.py",
        "parameters": {"lr": "1e-05", "none": "None", "on": "True", "layers": "[1, 2]"},
        "summary": {"loss": "1.0", "bad": "nan"},
        "input": ["a", "b"],
        "labels": {
            "stage": "dev",
            "artefact:iris é": '{"files":{"model":"m.joblib"},"type":"sklearn-model","version":"1.5"}',
        },
    }


def test_models_come_back_as_they_were():
    label = '{"files":{"classes":"m/c.json","model":"m/\\u00e9"},"type":"tensorflow-model","version":"2.1.0"}'
    record, errors = read(labels={"artefact:roadsigns": label, "stage": "dev"})
    assert errors == []
    assert record.labels == {"stage": "dev"}
    assert record.models == [
        ModelArtefact(
            name="roadsigns",
            type="tensorflow-model",
            version="2.1.0",
            files={"classes": "m/c.json", "model": "m/é"},
        )
    ]
    assert to_wire(record)["labels"] == {"artefact:roadsigns": label, "stage": "dev"}


@pytest.mark.parametrize(
    "label", ["", "{", "[]", '{"type": 1, "files": {}}', '{"type": "x", "files": {"m": 1}}', "[" * 99_999]
)
def test_a_label_that_is_no_model_stays_a_label(label):
    record, [error] = read(labels={"artefact:x": label})
    assert record.labels == {"artefact:x": label}
    assert record.models == []
    assert "artefact:x" in error


def test_workload_file_is_for_scripts_only():
    assert to_wire(RunRecord(run_id=ID, mode="interactive", workload_file="a.ipynb")) == EMPTY
    assert read(**{"workload-file": "a.py"}).record.mode == "script"
    assert read().record.mode is None


def test_presence_of_error_means_failure():
    assert read(error="").record.error == ""
    assert read().record.error is None


@pytest.mark.parametrize("version", [None, "2", 1])
def test_another_version_is_not_read(version):
    record, [error] = read(version=version)
    assert record is None
    assert "version" in error


def test_wrong_fields_are_named_and_left_out():
    reading = from_wire(
        "x",
        {
            "version": "1",
            "input": "a",
            "output": ["ok", 5],
            "labels": {"a": 1, "b": "2"},
            "parameters": None,
            "description": ["<script>" * 100],
            "start": "yesterday",
            "end": "20260230T101112.0",
        },
        run_id=ID,
    )
    record = reading.record
    assert (record.inputs, record.outputs, record.labels) == ([], [FileRef(path="ok")], {"b": "2"})
    assert (record.description, record.started_at, record.ended_at) == (None, None, None)
    assert record.wire_id == "x"
    named = {error.split()[0] for error in reading.errors}
    assert named == {"input", "output", "labels", "parameters", "summary", "description", "start", "end"}
    assert all(len(error) < 200 for error in reading.errors)


def test_paths_that_leave_the_root_are_outside():
    paths = ["../../etc/hostname", "/etc/passwd", "a/../b", "./c", "..d"]
    found = {file.path: file.outside for file in read(input=paths).record.inputs}
    assert found == {"../../etc/hostname": True, "/etc/passwd": True, "b": False, "c": False, "..d": False}


def test_lone_surrogates_become_text_that_can_be_stored():
    record, _ = read(description="\udcff", parameters={"\ud800": "x"})
    assert record.description == "\\udcff"
    assert decode_json(encode_json(record), RunRecord) == record


TIMES = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(TIMES)
def test_times_round_trip(time):
    assert parse_time(format_time(time)) == time


@given(
    st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.dictionaries(st.text(), st.integers()))
    | st.fixed_dictionaries({key: st.one_of(st.text(), st.lists(st.text()), st.none()) for key in EMPTY})
)
def test_from_wire_never_raises_and_gives_storable_records(metadata):
    record, _ = from_wire("x", metadata | {"version": "1"}, run_id=ID)
    assert decode_json(encode_json(record), RunRecord) == record


def test_the_marker_is_one_ascii_line_that_the_original_pattern_matches():
    record = RunRecord(run_id=ID, description="entraîné \u2028 🚀\n")
    text = marker_for(record)
    match = ORIGINAL_PATTERN.search("progress |##" + text)
    assert (text[0], text[-1], text.strip().count("\n")) == ("\n", "\n", 0)
    assert text.isascii()
    assert match[1] == ID
    assert json.loads(match[2]) == to_wire(record)


def test_the_mime_bundle_holds_the_record_and_the_marker():
    record = RunRecord(run_id=ID, started_at=datetime(2026, 1, 1, tzinfo=UTC), parameters={"a": 1.5})
    bundle = mime_bundle(record)
    assert decode_json(json.dumps(bundle[RUN_MIME]), RunRecord) == record
    assert bundle["text/plain"] == marker_for(record).strip()


def test_run_ids():
    place = {"dot_id": DOT, "path": "a.ipynb", "cell": 1, "body": "{}"}
    assert run_id_for(ID.upper(), **place) == ID
    derived = run_id_for("None", **place)
    assert derived == run_id_for("None", **place)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", derived)
    others = [
        run_id_for("None", **place | change)
        for change in (
            {"body": "{ }"},
            {"cell": 2},
            {"path": "b.ipynb"},
            {"dot_id": ID},
            {"dot_id": None},
            {"dot_id": "x"},
        )
    ]
    assert len({derived, *others}) == 7
    assert run_id_for("../../etc/passwd", **place | {"body": "\ud800", "path": "\udcff"}) not in others
