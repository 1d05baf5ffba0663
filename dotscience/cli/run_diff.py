"""`ds runs diff`, `open` and `export`."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from dotscience import wording
from dotscience.cli.hub_access import folders_project
from dotscience.cli.short_ids import run_named
from dotscience.frames import FIXED, GROUPS, about

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHORT_RUN = 8
MISSING = "-"


@click.command(
    "diff",
    epilog="""\b
Examples:
  ds runs diff 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0 0b6ad1f0-8f5c-4b07-9a5e-0a4a2ff1e0a1
  ds runs diff RUN RUN RUN --all
  ds diff COMMIT COMMIT            the files and notebooks of two commits
""",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--files", is_flag=True, help="Of two runs: all files of their snapshots that differ.")
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(*, runs: Sequence[str], files: bool, everything: bool, as_json: bool) -> None:
    """Show in what runs differ: parameters, metrics, labels, files."""
    if files and len(runs) != 2:
        raise click.UsageError("--files compares the snapshots of two runs")
    client, project = folders_project()
    with client:
        found = client.compare(project, [run_named(client, project, run) for run in runs])
        if files:
            before, after = (run["commit"] for run in found["runs"])
            found = client.diff(project, after, against=before)
    if files and not as_json:
        _print_changes(found)
        return
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [row for row in _rows(found) if everything or row[-1]]
    if not rows:
        click.echo("These runs have the same parameters, metrics, labels and files.")
        return
    _print(found["runs"], rows)


@click.command("open", epilog="Example: ds runs open 6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0")
@click.argument("run", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the address, and open nothing.")
def open_(*, run: str | None, only_print: bool) -> None:
    """Open a run's page in a browser, or without RUN the list of this folder's project."""
    client, project = folders_project()
    with client:
        if run is not None:
            run = client.run(project, run_named(client, project, run))["id"]
        url = f"{client.url}/p/{project}" + (f"/runs/{run}" if run else "")
    click.echo(url)
    if not only_print:
        click.launch(url)


@click.command(
    "export",
    epilog="""\b
Examples:
  ds runs export > runs.csv
  ds runs export --filter 'summary.accuracy > 0.9' --format jsonl -o good.jsonl
""",
)
@click.option("--filter", "filter_string", default="", metavar="TEXT", help="Only those that meet this.")
@click.option("--format", "format_", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("-o", "--output", type=click.File("w", "utf-8", lazy=True), default="-", help="A file; stdout without.")
def export(*, filter_string: str, format_: str, output: TextIO) -> None:
    """Write all runs as a table, one row a run, or as JSON, one object a line."""
    client, project = folders_project()
    with client:
        found = client.runs(project, filter_string=filter_string)
        count = _write_csv(found, output) if format_ == "csv" else _write_jsonl(found, output)
    click.echo(f"{wording.counted(count, 'run')} written.", err=True)


def _write_jsonl(runs: Iterator[dict[str, Any]], output: TextIO) -> int:
    count = 0
    for count, run in enumerate(runs, 1):  # noqa: B007 - the last number is the count
        output.write(json.dumps(run) + "\n")
    return count


def _write_csv(runs: Iterator[dict[str, Any]], output: TextIO) -> int:
    """Which columns there are shows at the last run only, so the runs wait in a file."""
    from tempfile import TemporaryFile

    with TemporaryFile("w+", encoding="utf-8") as waiting:
        names: dict[tuple[str, str], None] = {}
        for run in runs:
            names |= dict.fromkeys(
                (kind, name) for kind, group in GROUPS.items() for name in run["record"].get(group) or {}
            )
            waiting.write(json.dumps(run) + "\n")
        waiting.seek(0)
        kinds = list(GROUPS)
        return _write_rows(
            map(json.loads, waiting), sorted(names, key=lambda one: (kinds.index(one[0]), one[1])), output
        )


def _write_rows(runs: Iterator[dict[str, Any]], named: Sequence[tuple[str, str]], output: TextIO) -> int:
    writer = csv.writer(output)
    writer.writerow(_safe(head) for head in [*FIXED, *(f"{kind}.{name}" for kind, name in named)])
    count = 0
    for count, run in enumerate(runs, 1):  # noqa: B007 - the last number is the count
        record = run["record"]
        fixed = [" ".join(one) if isinstance(one, list) else one for one in about(run).values()]
        values = [_value(record.get(GROUPS[kind]) or {}, name) for kind, name in named]
        writer.writerow([_safe(one) for one in [*fixed, *values]])
    return count


def _value(values: Mapping[str, Any], name: str) -> Any:
    """A value of a run; None is written as in JSON, so that it is not an empty cell, which is no value."""
    return "null" if name in values and values[name] is None else values.get(name)


def _safe(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    text = value if isinstance(value, str) else None
    if text is not None and text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text):
        return f"'{text}"
    return json.dumps(value) if isinstance(value, dict | list | bool) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _print_changes(found: dict[str, Any]) -> None:
    marks = {"added": "A", "removed": "D", "changed": "M"}
    for one in found["changes"]:
        click.echo(
            f"{marks[one['change']]}  {wording.printable(one['path'])}{' (mode only)' if one['only_mode'] else ''}"
        )
    if not found["changes"]:
        click.echo("The snapshots of these runs have the same files.")
    if not found["is_whole"]:
        click.echo("There are more; check both out to compare them.")


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, list[str], bool]]:
    """A name, what each run has, and whether that differs."""
    for kind, group in GROUPS.items():
        for one in found[group]:
            runs = zip(found["runs"], one["values"], strict=True)
            values = [
                _shown(value) if one["name"] in (run["record"].get(group) or {}) else MISSING for run, value in runs
            ]
            yield f"{kind}.{one['name']}", values, one["differs"]
    for one in found["files"]:
        hashes = [_content(run, one, value) for run, value in zip(found["runs"], one["content_hashes"], strict=True)]
        yield f"{one['direction']} {one['path']}", hashes, one["differs"]


def _shown(value: Any) -> str:
    return wording.value(value)


def _content(run: Mapping[str, Any], file: Mapping[str, Any], content_hash: str | None) -> str:
    """What a run had at a path: its hash, or what became of it."""
    if content_hash is not None:
        return wording.short(content_hash)
    refs = run["record"].get(f"{file['direction']}s") or ()
    marks = [mark for ref in refs if ref["path"] == file["path"] for mark in wording.marks(ref)]
    return ", ".join(marks) or MISSING


def _print(runs: list[dict[str, Any]], rows: list[tuple[str, list[str], bool]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    heads = [run["name"] or run["id"][:SHORT_RUN] for run in runs]
    table = Table("", *(escape(wording.printable(head)) for head in heads), box=box.SIMPLE)
    for name, values, differs in rows:
        style = "bold" if differs else "dim"
        table.add_row(*(escape(wording.printable(one)) for one in [name, *values]), style=style)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
