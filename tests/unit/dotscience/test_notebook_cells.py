"""What is read of cells, from the notes of every kind of writer (docs/design/executions.md)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from support.notebooks import code, display, document, failure, stream, text

from dotscience.errors import NotebookError
from dotscience.notebook_cells import CellError, read_cells, read_state


def only(cell):
    [state] = read_cells(document(cell))
    return state


def test_layout_and_markdown_make_no_difference():
    split = code(["1\n", "2"], stream(["a\n", "b"]), display(text__plain=["x\n", "y"]), count=1, cell_id="c1")
    whole = code("1\n2", stream("a\nb"), display(text__plain="x\ny"), count=1, cell_id="c1")
    [state] = read_cells(document(text(), split))
    assert (state.index, state.cell_id, state.execution_count, state.has_output) == (1, "c1", 1, True)
    assert read_cells(document(text(), whole)) == [state]
    assert read_cells(json.dumps(json.loads(document(text(), split)), indent=4).encode()) == [state]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([stream("a\n"), stream("b\n")], [stream("a\nb\n")]),
        ([stream("a\n"), stream("x", "stderr"), stream("b\n")], [stream("a\nb\n"), stream("x", "stderr")]),
        ([display(image__png="iVBO\n")], [display(image__png="iVBO")]),
        ([display(text__plain="a\r\nb")], [display(text__plain="a\nb")]),
        ([display(text__plain="a\n")], [display(text__plain="a")]),
        ([display(application__json={"x": [1.0, -0.0, 1e3]})], [display(application__json={"x": [1, 0, 1000]})]),
        ([display() | {"metadata": {"needs_background": "light"}}], [display()]),
        ([failure()], [failure() | {"traceback": []}]),
    ],
)
def test_what_editors_rewrite_is_the_same_output(one, other):
    assert only(code("x", *one)).outputs == only(code("x", *other)).outputs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([stream("a")], [stream("b")]),
        ([stream("a")], [stream("a", "stderr")]),
        ([display(image__png="iVBO")], [display(image__png="iVBA")]),
        ([display(application__json={"x": 1})], [display(application__json={"x": 2})]),
        ([failure(message="a")], [failure(message="b")]),
        ([stream("a")], []),
        ([stream("a b")], [stream("ab")]),
    ],
)
def test_what_differs_is_another_output(one, other):
    assert only(code("x", *one)).outputs != only(code("x", *other)).outputs


@pytest.mark.parametrize(
    ("metadata", "start", "end"),
    [
        ({}, None, None),
        ({"execution": None}, None, None),
        ({"execution": {"iopub.execute_input": 1e99}}, None, None),
        ({"execution": {"iopub.execute_input": "yesterday"}}, None, None),
        ({"execution": {"iopub.execute_input": "2026-03-01T12:00:01Z"}}, 1, None),
        (
            {
                "execution": {
                    "iopub.status.busy": "2026-03-01T12:00:01.000Z",
                    "iopub.execute_input": "2026-03-01T12:00:02.000Z",
                    "shell.execute_reply": "2026-03-01T12:00:05.000Z",
                    "iopub.status.idle": "2026-03-01T12:00:06.000Z",
                }
            },
            2,
            5,
        ),
        (
            {
                "execution": {
                    "iopub.status.busy": "2026-03-01T12:00:01Z",
                    "iopub.status.idle": "2026-03-01T12:00:06Z",
                }
            },
            1,
            6,
        ),
        ({"execution": {"shell.execute_reply": "2026-03-01T14:00:05+02:00"}}, 5, 5),
        ({"papermill": {"start_time": "2026-03-01T12:00:01.5", "end_time": None, "status": "running"}}, 1.5, None),
        ({"ploomber": {"timestamp_start": 1772366401.0, "timestamp_end": 1772366403.0}}, 1, 3),
        ({"ExecuteTime": {"start_time": "2026-03-01T12:00:01Z", "end_time": "2026-03-01T12:00:02Z"}}, 1, 2),
        ({"executionInfo": {"timestamp": 1772366405000, "elapsed": 2000, "status": "ok"}}, 3, 5),
        ({"executionInfo": {"timestamp": "soon"}}, None, None),
    ],
)
def test_times_are_whatever_the_writer_left(metadata, start, end):
    state = only(code("x", metadata=metadata))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    found = [None if one is None else (one - noon).total_seconds() for one in (state.started_at, state.ended_at)]
    assert found == [start, end]


def test_an_exception_is_read_as_plain_text():
    state = only(code("x", stream("a"), failure("ZeroDivisionError", "division by zero")))
    assert state.error == CellError(
        "ZeroDivisionError", "division by zero", "---------\nZeroDivisionError: division by zero"
    )
    assert only(code("x", {"output_type": "error", "ename": 1, "traceback": "x"})).error == CellError("", "", "")
    assert only(code("x", failure(message="\ud800"))).error.message == "?"


def test_papermill_says_whether_it_goes_on():
    running = code("x", metadata={"papermill": {"status": "running", "start_time": "2026-03-01T12:00:01"}})
    going_on = document(running, papermill={"start_time": "2026-03-01T12:00:00", "end_time": None})
    over = document(running, papermill={"start_time": "2026-03-01T12:00:00", "end_time": "2026-03-01T12:01:00"})
    assert [read_state(data).is_executing for data in (going_on, over, document(running))] == [True, False, False]
    assert read_state(going_on).cells[0].is_running


def test_fields_of_wrong_types_are_nothing():
    odd = {"cell_type": "code", "id": 5, "source": 3, "execution_count": "1", "metadata": [], "outputs": [None, 3]}
    [state] = read_cells(b'{"cells": [null, %s], "metadata": 5}' % json.dumps(odd).encode())
    assert (state.cell_id, state.execution_count, state.started_at, state.has_output) == (None, None, None, False)
    assert read_cells(document(code("x", stream("\ud800"))))[0].has_output


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b'{\n<<<<<<< HEAD\n "cells": []\n=======\n>>>>>>> x\n}', "unresolved Git conflicts"),
        (b'{"worksheets": [{"cells": []}], "nbformat": 3}', "nbformat 3"),
        (b'{"hello": 1}', "no list of cells"),
        (b"[1]", "no list of cells"),
    ],
)
def test_what_is_no_notebook_is_named(data, what):
    with pytest.raises(NotebookError, match=what):
        read_state(data)
