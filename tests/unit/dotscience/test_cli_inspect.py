"""`ds inspect` on notebooks, logs, sidecars, folders and standard input."""

import json
import os

import pytest
from click.testing import CliRunner

from dotscience.cli.frame import main
from dotscience.record import RunRecord, encode_json
from dotscience.wire import encode_marker, marker_for, mime_bundle, run_id_for
from dotscience.workspace import new_workspace, write_project

ID = "474b2d81-c55a-42f8-a999-a381faaf9ca1"
RECORD = RunRecord(run_id=ID, description="fit", parameters={"lr": 0.5}, summary={"loss": 0.25})


def notebook(*outputs) -> bytes:
    cell = {"cell_type": "code", "id": "c1", "outputs": list(outputs)}
    return json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}).encode()


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inspect(*arguments, **options):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)], **options)


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_of_a_notebook(folder):
    (folder / "a.ipynb").write_bytes(notebook({"output_type": "display_data", "data": mime_bundle(RECORD)}))
    [run] = lines(inspect("a.ipynb", "--json"))
    assert (run["id"], run["run_id"], run["errors"]) == (ID, ID, [])
    assert run["metadata"]["parameters"] == {"lr": "0.5"}
    assert run["record"]["parameters"] == {"lr": 0.5}
    assert run["location"] == {
        "path": "a.ipynb",
        "cell": 0,
        "cell_id": "c1",
        "output": 0,
        "output_type": "display_data",
    }


def test_a_pipe_in_a_folder_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.ipynb")
    assert inspect(".").stdout == "No runs found.\n"


def test_a_broken_block_has_no_metadata_and_says_why(folder):
    (folder / "log").write_text("[[DOTSCIENCE-RUN:x]]{oops[[/DOTSCIENCE-RUN:x]]")
    result = inspect("log", "--json")
    [run] = lines(result)
    assert (run["id"], run["metadata"], "record" in run) == ("x", None, False)
    assert "not JSON" in run["errors"][0]
    assert result.exit_code == 0
    assert "not JSON" in " ".join(inspect("log").stdout.split())


def test_logs_and_sidecars_and_other_json(folder):
    (folder / "out.txt").write_text(marker_for(RECORD))
    (folder / "run.json").write_bytes(encode_json(RECORD))
    (folder / "log.json").write_text(json.dumps({"message": "x"}) + marker_for(RECORD))
    runs = lines(inspect("out.txt", "run.json", "log.json", "--json"))
    assert [run["location"] for run in runs] == [
        {"path": "out.txt", "line": 2},
        {"path": "run.json"},
        {"path": "log.json", "line": 2},
    ]
    assert runs[0]["metadata"] == runs[1]["metadata"] == runs[2]["metadata"]


def test_a_folder_is_its_notebooks_without_hidden_copies(folder):
    for name in ("b.ipynb", "sub/a.ipynb", ".ipynb_checkpoints/b-checkpoint.ipynb", "sub/.~a.ipynb"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(notebook(stream(encode_marker(name, {"version": "1"}))))
    assert [run["id"] for run in lines(inspect(folder, "--json"))] == ["b.ipynb", "sub/a.ipynb"]


@pytest.mark.parametrize(
    "data", [notebook(stream(marker_for(RECORD))), marker_for(RECORD).encode(), encode_json(RECORD)]
)
def test_standard_input_may_be_anything(data):
    assert [run["id"] for run in lines(inspect("-", "--json", input=data))] == [ID]


def test_no_runs_is_no_error(folder):
    (folder / "log").write_text("nothing")
    result = inspect("log")
    assert (result.exit_code, result.output) == (0, "No runs found.\n")
    assert inspect("log", "--json").output == ""


def test_a_missing_file_is_status_2():
    result = inspect("no-such-file")
    assert result.exit_code == 2
    assert "no-such-file" in result.output


def test_an_unreadable_notebook_fails_after_the_others_were_shown(folder):
    (folder / "half.ipynb").write_bytes(b'{"cells": [')
    (folder / "log").write_text(marker_for(RECORD))
    result = inspect("half.ipynb", "log", "--json")
    assert result.exit_code == 1
    assert [run["id"] for run in lines(result)] == [ID]
    assert "half.ipynb is not a notebook" in result.stderr


def test_in_a_workspace_runs_have_the_ids_that_the_committer_gives(folder):
    workspace = new_workspace(folder)
    write_project(workspace)
    (folder / "sub").mkdir()
    (folder / "sub/a.ipynb").write_bytes(notebook(stream("[[DOTSCIENCE-RUN:None]]{}[[/DOTSCIENCE-RUN:None]]")))
    [run] = lines(inspect("sub/a.ipynb", "--json"))
    assert run["run_id"] == run_id_for("None", dot_id=workspace.dot_id, path="sub/a.ipynb", cell=0, body="{}")
    assert run["location"]["path"] == "sub/a.ipynb"


def test_hostile_text_cannot_drive_the_terminal(folder):
    (folder / "log").write_text(encode_marker(ID, {"version": "1", "description": "\x1b]0;owned\x07[red]x[/red]"}))
    output = inspect("log").output
    assert "\x1b" not in output
    assert "[red]" in output


@pytest.mark.parametrize("content", [b'{"cells": 5}', b"{}", b'{"worksheets": []}'])
def test_json_that_is_no_notebook_says_so(folder, content):
    (folder / "odd.ipynb").write_bytes(content)
    result = inspect("odd.ipynb")
    assert result.exit_code == 1
    assert "odd.ipynb is not a notebook" in result.stderr


def test_a_sidecar_that_is_damaged_says_so(folder):
    (folder / "run.json").write_bytes(encode_json(RECORD)[:-1])
    result = inspect("run.json")
    assert result.exit_code == 1
    assert "run.json is not a run record" in result.stderr
