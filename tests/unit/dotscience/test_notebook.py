"""Runs in saved notebooks, in every form that JupyterLab, nbclient and the original library leave them."""

import json

import msgspec
import pytest

from dotscience.errors import NotebookError, WireFormatError
from dotscience.notebook import Location, find_runs, find_runs_in_text, read_sidecar
from dotscience.notebook_cells import read_cells
from dotscience.record import RUN_MIME, RunRecord, encode_json
from dotscience.wire import marker_for, mime_bundle, to_wire

ID = "474b2d81-c55a-42f8-a999-a381faaf9ca1"
OTHER = "4b4dd85a-b380-4b40-8571-83a8f5fb0a83"
WIRE = {"version": "1", "input": [], "output": [], "labels": {}, "parameters": {}, "summary": {}}


def block(wire_id=ID, **changes):
    body = json.dumps(WIRE | changes, sort_keys=True, indent=4)
    return f"[[DOTSCIENCE-RUN:{wire_id}]]{body}[[/DOTSCIENCE-RUN:{wire_id}]]\n"


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def display(data, output_type="display_data"):
    return {"output_type": output_type, "data": data, "metadata": {}}


def cell(*outputs, **changes):
    return {"cell_type": "code", "id": "c1", "execution_count": 1, "source": "", "outputs": list(outputs)} | changes


def notebook(*cells) -> bytes:
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def found(*cells):
    return find_runs(notebook(*cells), path="a.ipynb", dot_id=None)


MARKDOWN = {"cell_type": "markdown", "source": block()}


def test_location_of_a_run_in_a_stream():
    [run] = found(MARKDOWN, cell(stream("x"), stream(block().splitlines(keepends=True), "stderr")))
    assert (run.wire_id, run.run_id, run.metadata, run.carrier, run.errors) == (ID, ID, WIRE, "marker", [])
    assert msgspec.to_builtins(run.location) == {
        "path": "a.ipynb",
        "cell": 1,
        "cell_id": "c1",
        "output": 1,
        "output_type": "stream",
        "stream": "stderr",
    }


def test_text_of_displayed_data_is_read_and_of_results_is_not():
    data = {"text/plain": block(), "image/png": "iVBORw0KGgo="}
    assert [run.location.output_type for run in found(cell(display(data)))] == ["display_data"]
    assert found(cell(display(data, "execute_result"), {"output_type": "error", "traceback": [block()]})) == []
    assert found(cell(display(mime_bundle(RunRecord(run_id=ID)), "execute_result"))) == []


def test_several_runs_in_one_cell_in_order():
    runs = found(cell(stream(block() + "x\n" + block(OTHER)), stream(block("None"), "stderr")))
    assert [(run.wire_id, run.location.output) for run in runs] == [(ID, 0), (OTHER, 0), ("None", 1)]


def test_a_block_split_over_stream_items_is_found_where_it_begins():
    text = "before " + block()
    first, second, third = text[:12], text[12:200], text[200:]
    [run] = found(cell(stream(first), stream("noise", "stderr"), stream(second), stream(third)))
    assert (run.metadata, run.location.output) == (WIRE, 0)


def test_an_unclosed_block_at_the_end_of_an_item_does_not_hide_the_next_item():
    broken, good = found(cell(stream('[[DOTSCIENCE-RUN:x]]{"a"'), stream(block())))
    assert (broken.metadata, broken.record, broken.errors) == (None, None, ["the block is not closed"])
    assert (good.run_id, good.location.output) == (ID, 1)


def test_two_threads_without_an_id_are_two_runs_and_a_copy_is_none():
    runs = found(
        cell(stream(block("None", description="a") + block("None", description="b") + block("None", description="a")))
    )
    assert [run.record.description for run in runs] == ["a", "b"]
    assert len({run.run_id for run in runs}) == 2
    assert {run.record.wire_id for run in runs} == {"None"}


def test_the_same_id_in_several_carriers_is_one_run_and_mime_wins():
    record = RunRecord(run_id=ID, parameters={"lr": 0.5})
    [run] = found(cell(stream(marker_for(record)), display(mime_bundle(record))))
    assert (run.carrier, run.record, run.metadata) == ("mime", record, to_wire(record))
    assert run.location == Location("a.ipynb", 0, "c1", 1, "display_data")


def test_of_repeated_displays_the_last_wins():
    shown = [display(mime_bundle(RunRecord(run_id=ID, description=text))) for text in ("one", "two")]
    [run] = found(cell(*shown), cell(stream(block(description="three"))))
    assert run.record.description == "two"


def test_of_repeated_markers_the_first_wins():
    [run] = found(cell(stream(block(description="one"))), cell(stream(block(description="two"))))
    assert run.record.description == "one"


def test_a_whole_copy_wins_over_a_broken_one():
    [run] = found(cell(stream(f"[[DOTSCIENCE-RUN:{ID}]]{{")), cell(stream(block())))
    assert run.metadata == WIRE


def test_a_forged_record_cannot_choose_a_file_name():
    [run] = found(cell(display({RUN_MIME: json.loads(encode_json(RunRecord(run_id="../../x")))})))
    assert run.wire_id == run.record.wire_id == "../../x"
    assert run.run_id == run.record.run_id != "../../x"
    assert "/" not in run.run_id


def test_a_mime_record_that_cannot_be_read_falls_back_to_its_text():
    bundle = mime_bundle(RunRecord(run_id=ID)) | {RUN_MIME: {"run_id": ID, "schema": "dotscience.run.v9"}}
    [run] = found(cell(display(bundle)))
    assert run.carrier == "marker"
    [run] = found(cell(display({RUN_MIME: {"run_id": ID, "schema": "dotscience.run.v9"}})))
    assert (run.wire_id, run.metadata) == (ID, None)
    assert "v9" in run.errors[0]


def test_what_jupyter_writes_but_json_forbids_is_read():
    """NaN in another output's data, and a lone surrogate: Python's JSON writer produces both."""
    data = notebook(cell(display({"application/x": {"y": float("nan")}}), stream("\ud83d" + block())))
    assert b"NaN" in data
    [run] = find_runs(data, path="a.ipynb")
    assert (run.metadata, run.location.output) == (WIRE, 1)
    [run] = find_runs(b"\xef\xbb\xbf" + notebook(cell(stream(block()))), path="a.ipynb")
    assert run.metadata == WIRE


def test_fields_of_wrong_types_do_not_hide_runs():
    odd = {"cell_type": "code", "id": 5, "outputs": [None, {"output_type": 1, "text": None}, stream([block(), 3])]}
    runs = find_runs(notebook(None, odd, {"cell_type": "code", "outputs": {}}), path="a.ipynb")
    assert [(run.location.cell, run.location.output) for run in runs] == [(1, 2)]
    assert read_cells(notebook(None, odd))[0].cell_id is None


@pytest.mark.parametrize(
    "data", [b"", b"[]", notebook(cell(stream(block())))[:-5], b"\x00", b'{"worksheets": []', block().encode()]
)
def test_half_a_notebook_is_an_error(data):
    with pytest.raises(NotebookError):
        find_runs(data, path="a.ipynb")
    with pytest.raises(NotebookError):
        read_cells(data)


def test_a_notebook_without_cells_is_an_error():
    with pytest.raises(NotebookError, match="nbformat 3"):
        find_runs(b'{"worksheets": [], "x": "DOTSCIENCE-RUN:"}', path="a.ipynb")


def test_a_notebook_without_markers_is_not_parsed():
    assert find_runs(b"{ anything }", path="a.ipynb") == []


def test_lines_of_a_log():
    runs = find_runs_in_text(b"\xff\n" + (block() + "\n" + block(OTHER)).encode(), path="log")
    assert [run.location.line for run in runs] == [2, 11]
    assert find_runs_in_text(b"nothing", path="log") == []


def test_sidecars():
    record = RunRecord(run_id=ID, description="x")
    run = read_sidecar(encode_json(record), "runs/x.json")
    assert (run.record, run.metadata, run.carrier, run.wire_id) == (record, to_wire(record), "sidecar", ID)
    for data in (b"{}", b"", b'{"schema": "dotscience.environment.v1"}', b"\xff"):
        with pytest.raises(WireFormatError, match=r"runs/x\.json is not a run record"):
            read_sidecar(data, "runs/x.json")
