"""`ds runs`: the runs of this folder's project, as its hub lists them."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.markup import escape

from dotscience import wording
from dotscience.cli import run_edits
from dotscience.cli.hub_access import folders_project
from dotscience.cli.run_diff import SHORT_RUN, diff, export, open_
from dotscience.cli.short_ids import commit_named, run_named
from dotscience.cli.trace import trace_lines
from dotscience.errors import DotscienceError, Invalid, NotFound
from dotscience.frames import duration_s, source_of
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.table import Table

    from dotscience.client.hub import HubClient

NO_RUNS = "There is no run on the hub yet: save a notebook that executed something, or `ds run` one."
LIVE_STATES = {"running": ("running", "blue"), "ended": ("arriving", "green"), "lost": ("lost", "yellow")}
SHOWN_VALUES = 4
VALUE_CHARS = 24
WIDTH = 200
"""Columns where nobody says how wide the terminal is."""


@click.group(
    epilog="""\b
Examples:
  ds runs ls --sort summary.accuracy
  ds runs show 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0
"""
)
def runs() -> None:
    """The runs of this folder's project: find, compare, describe and export them."""


for command in (*run_edits.COMMANDS, diff, export, open_):
    runs.add_command(command)


@runs.command(
    epilog="""\b
Examples:
  ds runs ls
  ds runs ls --sort summary.accuracy --filter 'param.optimizer = "adam" and started > -7d'
  ds runs ls --json -n 1000 | jq -s 'map(.record.summary.accuracy) | max'
  ds runs ls --running
"""
)
@click.option(
    "--filter", "filter_string", default="", metavar="TEXT", help="Only those that meet this; see docs/filters.md."
)
@click.option("--sort", default="started_at", metavar="WHAT", help="started_at, param.NAME, summary.NAME, label.NAME.")
@click.option("--asc", is_flag=True, help="Smallest or oldest first; by default largest or newest.")
@click.option("-n", "--number", type=click.IntRange(1), default=20, help="How many to list at most; default: 20.")
@click.option("--running", is_flag=True, help="Only those that are not published yet: running, arriving or lost.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run and line.")
def ls(*, filter_string: str, sort: str, asc: bool, number: int, running: bool, as_json: bool) -> None:
    """List runs, newest first; above them those that are not published yet, if nothing else is asked for."""
    client, project = folders_project()
    is_narrowed = bool(filter_string) or sort != "started_at" or asc
    if running and is_narrowed:
        raise click.UsageError("--running lists runs that have no values yet to filter or sort by")
    if running or not (is_narrowed or as_json):
        with client:
            live = list(islice(client.live_runs(project), number))
        _show_live(live, as_json=as_json, is_all=running)
    if running:
        return
    with client, _pointing_at_mistakes(filter_string):
        found = client.runs(project, filter_string=filter_string, sort=sort, order="asc" if asc else "desc")
        shown = list(islice(found, number))
        has_more = len(shown) == number and next(found, None) is not None
    if as_json:
        for run in shown:
            click.echo(json.dumps(run))
    elif not shown:
        click.echo("No run meets the filter." if filter_string else spelled(NO_RUNS))
    else:
        _print_table(shown, sort)
        if has_more:
            click.echo(f"There are more; -n {number * 5} lists more of them.")


@runs.command(
    epilog="""\b
Examples:
  ds runs show 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0
  ds runs show 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 --json | jq .environment.packages
"""
)
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(*, run: str, as_json: bool) -> None:
    """Show everything that is known of one run, published or going on."""
    client, project = folders_project()
    with client:
        found = _published_or_live(client, project, run_named(client, project, run))
        found = _with_pusher(client, project, found)
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print_run(found)


@runs.command(
    epilog="""\b
Examples:
  ds runs trace 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0                which runs its inputs come from
  ds runs trace 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 --downstream   which runs used its outputs
  ds runs trace 4bf5122f344e:data/features.csv                      which run made the file
"""
)
@click.argument("run", metavar="RUN|COMMIT:PATH")
@click.option("--downstream", is_flag=True, help="Show what followed from the run, not what led to it.")
@click.option("--depth", type=click.IntRange(1, 100), default=10, help="How many steps to go; default: 10.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def trace(*, run: str, downstream: bool, depth: int, as_json: bool) -> None:
    """Show where a run's files come from, or where they went.

    Runs are joined by content: what one wrote and another read is the same to the last byte, whatever its name.
    """
    client, project = folders_project()
    direction: Literal["upstream", "downstream"] = "downstream" if downstream else "upstream"
    commit, colon, path = run.partition(":")
    with client:
        if colon:
            commit = commit_named(client, project, commit)
            found = client.trace_file(project, commit, path, direction=direction, depth=depth)
        else:
            found = client.trace(project, run_named(client, project, run), direction=direction, depth=depth)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for line in trace_lines(found, downstream=downstream):
            click.echo(line)


def _published_or_live(client: HubClient, project: str, run: str) -> dict[str, Any]:
    try:
        return client.run(project, run)
    except NotFound as missing:
        try:
            return client.live_run(project, run)
        except NotFound:
            raise missing from None


def _with_pusher(client: HubClient, project: str, found: dict[str, Any]) -> dict[str, Any]:
    """The run with who brought its commit to the hub, as the hub knows: None where it does not."""
    if not found.get("commit"):
        return found
    return {**found, "pushed_by": client.commit(project, found["commit"]).get("pushed_by")}


def _show_live(live: list[dict[str, Any]], *, as_json: bool, is_all: bool) -> None:
    if as_json:
        for run in live:
            click.echo(json.dumps(run))
    elif live:
        _print_live(live)
    elif is_all:
        click.echo("Every run is published; one appears here with its first ds.metric(name, value, step=...).")


@contextmanager
def _pointing_at_mistakes(filter_string: str) -> Iterator[None]:
    """Show where in a filter the hub says that it cannot be understood."""
    try:
        yield
    except Invalid as error:
        position = error.problem.get("position")
        if not isinstance(position, int):
            raise
        line = "".join(letter if letter.isprintable() else " " for letter in filter_string)
        raise DotscienceError(f"{error}\n\n  {line}\n  {' ' * position}^") from error


@runs.command(epilog="Example: ds runs watch --json | jq -r .record.description")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run and line.")
def watch(*, as_json: bool) -> None:
    """Print runs as they reach the hub, until Ctrl-C."""
    client, project = folders_project()
    with client:
        for event in client.events(project):
            if event["type"] == "resync":
                click.echo(spelled("The hub was away; `ds runs ls` shows what came meanwhile."), err=True)
            if event["type"] != "run.created":
                continue
            run = client.run(project, event["id"])
            click.echo(json.dumps(run) if as_json else _line(run))


def _line(run: Mapping[str, Any]) -> str:
    record = run["record"]
    state = "ok" if record.get("error") is None else "failed"
    return f"{_short_id(run)}  {_moment(record)}  {state}  {wording.printable(_title(run))}".rstrip()


def _print_table(shown: list[dict[str, Any]], sort: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    by_value = [sort] if sort != "started_at" else []
    table = Table("run", "started", "took", "", "what", "parameters", "summary", *by_value, box=box.SIMPLE)
    for run in shown:
        record = run["record"]
        state = Text("failed", style="red") if record.get("error") is not None else Text("ok", style="green")
        values = [_values(record.get(group)) for group in ("parameters", "summary")]
        values += [_sorted_by(record, name) for name in by_value]
        table.add_row(_short_id(run), _moment(record), _took(record), state, _what(run), *values)
    _print(table)


def _what(run: Mapping[str, Any]) -> str:
    """What a run is called, with its tags."""
    tags = " ".join(f"[{tag}]" for tag in run["tags"])
    mark = "(overwritten)" if any(file.get("overwritten") for file in run["record"].get("outputs") or ()) else ""
    return escape(" ".join(filter(None, (_short(_title(run)), wording.printable(tags), mark))))


def _title(run: Mapping[str, Any]) -> str:
    """What a run is called, published or going on."""
    record = run["record"]
    return run.get("name") or record.get("description") or source_of(record) or ""


def _short_id(run: Mapping[str, Any]) -> str:
    """As much of a run's id as commands need in a project of ordinary size."""
    return str(run["id"])[:SHORT_RUN]


def _took(record: Mapping[str, Any]) -> str:
    seconds = duration_s(record)
    return "" if seconds is None else wording.duration(seconds)


def _print_live(live: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("run", "started", "", "what", "latest", box=box.SIMPLE)
    for run in live:
        word, style = LIVE_STATES.get(run["status"], (run["status"], ""))
        record = run["record"]
        latest = _values({metric["name"]: metric["value"] for metric in run["latest"]})
        table.add_row(_short_id(run), _moment(record), Text(word, style=style), escape(_short(_title(run))), latest)
    _print(table)


def _print_run(found: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in _facts(found):
        table.add_row(Text(wording.printable(name), style="bold"), Text(wording.printable(value)))
    _print(table)


def _facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    record = found["record"]
    yield from _origin(found)
    yield from _warnings(found)
    for kind in ("parameters", "summary", "labels"):
        for name, value in (record.get(kind) or {}).items():
            yield f"{kind}.{name}", wording.value(value)
    for metric in found.get("latest", ()):
        yield f"metric.{metric['name']}", f"{wording.value(metric['value'])} at step {metric['step']}"
    for direction in ("inputs", "outputs"):
        for file in record.get(direction) or []:
            marks = f" ({', '.join(wording.marks(file))})" if wording.marks(file) else ""
            yield direction.removesuffix("s"), f"{file['path']}{marks}"
    yield from _models(record)
    yield from _environment(found.get("environment") or {})


def _origin(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which run it is, where it comes from, and how it ended."""
    record = found["record"]
    yield "run", found["id"]
    yield from _known("title", _title(found))
    if "commit" in found:
        yield "status", "success" if record.get("error") is None else "error"
        yield from _known("commit", found["commit"])
        yield from _known("pushed by", (found.get("pushed_by") or {}).get("account"))
    else:
        yield "state", LIVE_STATES.get(found["status"], (found["status"], ""))[0]
    yield "started", _moment(record)
    yield from _known("took", _took(record))
    yield from _known("error", record.get("error"))
    yield from _known("source", source_of(record))
    if "commit" in found:
        yield from _said(found)


def _known(name: str, text: str | None) -> Iterator[tuple[str, str]]:
    if text:
        yield name, text


def _warnings(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for warning in (*(found["record"].get("warnings") or ()), *(found.get("warnings") or ())):
        yield "warning", warning


def _models(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each with its framework, that one's version, and its files."""
    for model in record.get("models") or ():
        framework = " ".join(filter(None, (model["type"], model.get("version"))))
        yield "model", f"{model['name']} ({framework}): {', '.join(model['files'].values())}"


def _environment(environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a run ran on; --json has all packages."""
    for name in ("python", "platform", "hostname", "cpu", "git_commit"):
        if environment.get(name):
            dirty = " (with changes)" if name == "git_commit" and environment.get("git_dirty") else ""
            yield name.replace("_", " "), f"{environment[name]}{dirty}"
    for gpu in environment.get("gpus") or ():
        yield "gpu", gpu
    if environment.get("packages"):
        yield "packages", str(len(environment["packages"]))


def _said(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What people say about a run."""
    if found["deleted_at"]:
        yield "in the trash since", wording.moment(datetime.fromisoformat(found["deleted_at"]))
    if found["name"]:
        yield "name", found["name"]
    if found["tags"]:
        yield "tags", ", ".join(found["tags"])
    for line in found["notes"].splitlines():
        yield "notes", line
    if found["comments"]:
        yield "comments", f"{found['comments']}; `ds runs comment {found['id']}` shows them"


def _print(table: Table) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def _values(group: Mapping[str, Any] | None) -> str:
    named = list((group or {}).items())
    texts = [f"{wording.printable(name)}={_short(value)}" for name, value in named[:SHOWN_VALUES]]
    if len(named) > SHOWN_VALUES:
        texts.append(f"{len(named) - SHOWN_VALUES} more")
    return escape(", ".join(texts))


def _sorted_by(record: Mapping[str, Any], sort: str) -> str:
    kind, _, name = sort.partition(".")
    group = {"param": "parameters", "summary": "summary", "label": "labels"}.get(kind, "")
    return escape(_short((record.get(group) or {}).get(name, "")))


def _short(value: Any) -> str:
    text = wording.printable(wording.value(value))
    return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}…"


def _moment(record: Mapping[str, Any]) -> str:
    when = record.get("started_at") or record.get("ended_at")
    return wording.moment(datetime.fromisoformat(when)) if when else ""
