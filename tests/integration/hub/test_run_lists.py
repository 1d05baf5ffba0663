"""Lists of runs that are narrowed: by the API, and by `ds runs`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from msgspec import structs

from committer.storage.codec import digest
from dotscience.cli.frame import main
from dotscience.client import credentials
from dotscience.record import FileRef
from dotscience.workspace import HubBinding, new_workspace, write_project
from hub_server.services import history
from hub_server.store.backends import sqlite

OPTIMIZERS = ("adam", "sgd")


@pytest.fixture
def filled(project, new_run):
    """A project of 12 runs: `summary.accuracy` is 0 to 11, `param.optimizer` is adam for the even ones."""
    records = [
        new_run(
            parameters={"optimizer": OPTIMIZERS[number % 2], "odd name": number},
            summary={"accuracy": number},
            error="no data" if number == 5 else None,
        )
        for number in range(12)
    ]
    project.push(*records)
    return project


def ask(project, text, **params):
    answer = project.hub.request(
        "GET",
        project.base + "/runs",
        token=project.token,
        params={"filter": text, "sort": "summary.accuracy", **params},
    )
    return answer.status_code, answer.json()


def accuracies(page):
    return [run["record"]["summary"]["accuracy"] for run in page["items"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('param.optimizer = "adam" and summary.accuracy > 3', [10, 8, 6, 4]),
        ('status = "error"', [5]),
        ('param."odd name" in (1, 7)', [7, 1]),
        ("summary.accuracy < 2 or not summary.accuracy < 11", [11, 1, 0]),
        ("started > -1d and summary.accuracy = 3", [3]),
        ("started < -1d", []),
        ("param.nobody exists", []),
        ("accuracy > 9 and optimizer = 'sgd'", [11]),
        ("nobody-wrote-this", []),
        (f"id = {'x' * 3!r}", []),
        ("  ", list(range(11, -1, -1))),
    ],
)
def test_a_filter_narrows_the_list(filled, text, expected):
    status, page = ask(filled, text)
    assert status == 200
    assert accuracies(page) == expected
    assert (page["total"], page["total_is_exact"]) == (len(expected), True)


def test_ago_is_counted_from_the_moment_of_the_question(serve_hub, tmp_path, new_run):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        project.push(new_run(summary={"accuracy": 1}))
        assert accuracies(ask(project, "started > -2h")[1]) == [1]
        hub.clock.advance(hours=3)
        assert accuracies(ask(project, "started > -2h")[1]) == []


def test_pages_of_a_narrowed_list_go_on_where_they_ended(filled):
    seen, cursor = [], {}
    while True:
        _, page = ask(filled, 'param.optimizer = "sgd"', limit=2, **cursor)
        seen += accuracies(page)
        assert page["total"] == 6
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [11, 9, 7, 5, 3, 1]
    status, problem = ask(filled, 'param.optimizer = "adam"', limit=2, **cursor)
    assert status == 400
    assert "not one of this list" in problem["detail"]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("summary.accuracy > high", 19),
        ("recall > 1", 0),
        ("summary.accuracy > '\u0000'", 20),
        ("x" * 4_001, None),
        ("summary.accuracy > 1; DROP TABLE run", 20),
    ],
)
def test_what_is_no_filter_is_refused_and_where_that_shows_is_said(filled, text, position):
    status, problem = ask(filled, text)
    assert status == 400
    if position is not None:
        assert problem["type"] == "/problems/invalid-filter"
        assert problem["position"] == position
        assert f"at character {position + 1}" in problem["detail"]


@pytest.mark.parametrize("hub", ["sqlite"], indirect=True, scope="module")
def test_a_filter_that_takes_too_long_says_so_and_holds_nothing_up(filled, monkeypatch):
    monkeypatch.setattr(sqlite, "STEPS_BETWEEN_LOOKS", 1)
    monkeypatch.setattr(history, "WALK_S", 0.0)
    monkeypatch.setattr(history, "DRIVE_S", 0.0)
    status, problem = ask(filled, "input ~ 'x'")
    assert status == 422
    assert problem["type"] == "/problems/filter-too-slow"
    monkeypatch.undo()
    assert ask(filled, "input ~ 'x'")[0] == 200


def bound(root, **fields):
    """Make a folder a workspace."""
    (root / ".dotscience").mkdir()
    write_project(structs.replace(new_workspace(root), **fields))


@pytest.fixture
def ds(filled, tmp_path, monkeypatch):
    """Run a command in a folder that is bound to the project."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    binding = HubBinding(url=filled.hub.url, project_id=filled.id, project_name="project")
    bound(tmp_path, dot_id=filled.dot_id, hub=binding)
    credentials.save(filled.hub.url, filled.id, filled.token)

    def run(*arguments):
        return CliRunner().invoke(main, arguments)

    return run


def test_runs_are_listed(ds):
    result = ds("runs", "ls", "--sort", "summary.accuracy", "--filter", "param.optimizer = 'sgd'", "-n", "2")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if "optimizer=sgd" in line]
    assert [line.split()[-1] for line in lines] == ["11", "9"]
    assert "There are more" in result.output


def test_runs_are_listed_for_programs(ds):
    result = ds("runs", "ls", "--sort", "summary.accuracy", "--asc", "--json", "-n", "3")
    assert [json.loads(line)["record"]["summary"]["accuracy"] for line in result.output.splitlines()] == [0, 1, 2]


def test_no_run_is_said_to_be_none(ds):
    assert ds("runs", "ls", "--filter", "summary.accuracy > 99").output == "No run meets the filter.\n"


def test_a_mistake_in_a_filter_is_pointed_at(ds):
    result = ds("runs", "ls", "--filter", "summary.accuracy >\nhigh")
    assert result.exit_code == 1
    said, line, pointer = result.output.splitlines()[0], *result.output.splitlines()[-2:]
    assert "expected a value" in said
    assert pointer.index("^") == line.index("high")


def test_a_run_is_shown(ds, filled):
    run_id = filled.get("/runs?limit=1")["items"][0]["id"]
    shown = ds("runs", "show", run_id)
    assert shown.exit_code == 0, shown.output
    assert "parameters.optimizer" in shown.output
    assert json.loads(ds("runs", "show", run_id, "--json").output)["id"] == run_id
    missing = ds("runs", "show", "nobody")
    assert missing.exit_code == 1
    assert "there is no run 'nobody'" in missing.output


@pytest.fixture
def traced(filled, new_run):
    """Two runs of which the second reads what the first one wrote, and a file that nobody did."""
    made = FileRef(path="features", content_hash=digest(b"features").hex())
    raw = FileRef(path="raw.csv", content_hash=digest(b"raw").hex())
    prepare = filled.push(new_run(description="prepare", inputs=[raw], outputs=[made]))
    train = filled.push(new_run(description="train \x1b[31m", inputs=[made, raw]))
    return prepare.run_ids[0], train.run_ids[0]


def test_a_trace_goes_up_and_down(filled, traced):
    prepare, train = traced
    up = filled.get(f"/runs/{train}/trace")
    assert [run["id"] for run in up["runs"]] == [train, prepare]
    assert [(edge["maker"], edge["reader"], edge["path"]) for edge in up["edges"]] == [(prepare, train, "features")]
    assert [(one["run"], one["path"]) for one in up["unclaimed"]] == [(train, "raw.csv"), (prepare, "raw.csv")]
    down = filled.get(f"/runs/{prepare}/trace?direction=downstream")
    assert [run["id"] for run in down["runs"]] == [prepare, train]
    assert down["edges"] == up["edges"]
    one = filled.get(f"/runs/{train}/trace?depth=1&limit=2")
    assert (one["more"], [run["id"] for run in one["runs"]]) == ([prepare], [train, prepare])
    none = filled.get(f"/runs/{train}/trace?limit=1")
    assert (none["more"], [run["id"] for run in none["runs"]], none["edges"]) == ([train], [train], [])


def test_traces_are_for_those_who_see_the_project(filled, traced, hub):
    path = f"{filled.base}/runs/{traced[0]}/trace"
    assert hub.request("GET", path).status_code == 401
    assert hub.request("GET", path, token=hub.new_project("other").token).status_code == 404
    assert hub.request("GET", f"{filled.base}/runs/nobody/trace", token=filled.token).status_code == 404
    for query in ("depth=0", "depth=101", "limit=501", "direction=sideways", "steps=3"):
        assert hub.request("GET", f"{path}?{query}", token=filled.token).status_code == 400


def test_a_trace_is_shown_as_a_tree(ds, traced):
    prepare, train = traced
    shown = ds("runs", "trace", train)
    assert shown.output.splitlines() == [
        f"run {train[:8]} train \\x1b[31m",
        f"├── features: run {prepare[:8]} prepare",
        "│   └── raw.csv: written by no run",
        "└── raw.csv: written by no run",
    ]
    assert f"features: run {train[:8]}" in ds("runs", "trace", prepare, "--downstream").output
    assert "No run used what it wrote." in ds("runs", "trace", train, "--downstream").output
    assert json.loads(ds("runs", "trace", train, "--json").output)["more"] == []
    assert "beyond 1 run" in ds("runs", "trace", train, "--depth", "1").output


def test_what_runs_hold_does_not_drive_the_terminal(ds, filled, new_run):
    filled.push(new_run(parameters={"\x1b[2J": "[red]\x1b]0;title\x07[/nonsense]"}, description="\x1b[31m"))
    for result in (ds("runs", "ls"), ds("runs", "show", filled.get("/runs?limit=1")["items"][0]["id"])):
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output
        assert "[red]" in result.output


def test_a_folder_without_a_hub_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["runs", "ls"])
    assert result.exit_code == 1
    assert "ds init" in result.output
    bound(tmp_path)
    result = CliRunner().invoke(main, ["runs", "ls"])
    assert result.exit_code == 1
    assert "bound to no hub" in result.output
