"""`ds inspect`: what would be detected in a notebook, log or sidecar, without recording anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from dotscience.errors import DotscienceError, NotebookError, WireFormatError
from dotscience.notebook import FoundRun, find_runs, find_runs_in_text, read_sidecar
from dotscience.notebook_cells import read_cells
from dotscience.record import encode_json
from dotscience.workspace import find_root, read_project

if TYPE_CHECKING:
    from rich.table import Table

STDIN = "-"


@click.command(
    epilog="""\b
Examples:
  ds inspect analysis.ipynb
  ds inspect --json notebooks/ | jq .metadata.summary
  python train.py | ds inspect -
"""
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="PATH...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run and line.")
def inspect(paths: tuple[str, ...], *, as_json: bool) -> None:
    """Show the runs in notebooks, logs and sidecars.

    PATH is a notebook (.ipynb), a sidecar (.json), any other file as a log, a folder for all notebooks below it, or -
    for standard input. Nothing is recorded. The exit status is 1 where a file could not be read.
    """
    runs = []
    failed = False
    for path in _expand(paths):
        try:
            runs += _read(path)
        except (DotscienceError, OSError) as error:
            click.echo(f"Error: {_printable(str(error))}", err=True)
            failed = True
    if as_json:
        _print_json(runs)
    elif runs:
        _print_tables(runs)
    elif not failed:
        click.echo("No runs found.")
    sys.exit(1 if failed else 0)


def _expand(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path == STDIN or not Path(path).is_dir():
            yield path
            continue
        notebooks = Path(path).rglob("*.ipynb")
        yield from sorted(str(one) for one in notebooks if one.is_file() and not _is_copy(one.relative_to(path)))


def _is_copy(notebook: Path) -> bool:
    """Checkpoints and editors' temporary files are copies of notebooks, and hidden folders are not looked into."""
    return any(part.startswith(".") for part in notebook.parts)


def _read(path: str) -> list[FoundRun]:
    """The runs in one file, identified as the committer would: by their path in the workspace that holds them."""
    if path == STDIN:
        return _read_any(sys.stdin.buffer.read())
    data = Path(path).read_bytes()
    root = find_root(Path(path).absolute().parent)
    dot_id = read_project(root).dot_id if root else None
    place = Path(path).absolute().relative_to(root).as_posix() if root else path
    found = _read_as(Path(path).suffix, data, place, dot_id)
    return [msgspec.structs.replace(run, location=msgspec.structs.replace(run.location, path=path)) for run in found]


def _read_as(suffix: str, data: bytes, path: str, dot_id: str | None) -> list[FoundRun]:
    if suffix == ".ipynb":
        found = find_runs(data, path=path, dot_id=dot_id)
        if not found:
            read_cells(data, path)  # is it a notebook at all?
        return found
    if suffix == ".json":
        return _read_sidecar_or_log(data, path, dot_id)
    return find_runs_in_text(data, path=path, dot_id=dot_id)


def _read_sidecar_or_log(data: bytes, path: str, dot_id: str | None) -> list[FoundRun]:
    try:
        return [read_sidecar(data, path)]
    except WireFormatError:
        found = find_runs_in_text(data, path=path, dot_id=dot_id)
        if not found and b'"run_id"' in data:
            raise  # it was meant to be a sidecar
        return found


def _read_any(data: bytes) -> list[FoundRun]:
    """Standard input has no name to tell what it is: a notebook, a sidecar, or else a log."""
    try:
        return [read_sidecar(data, STDIN)]
    except WireFormatError:
        pass
    try:
        return find_runs(data, path=STDIN)
    except NotebookError:
        return find_runs_in_text(data, path=STDIN)


def _print_json(runs: list[FoundRun]) -> None:
    for run in runs:
        click.echo(json.dumps(_document(run)))


def _document(run: FoundRun) -> dict[str, Any]:
    document = {
        "id": run.wire_id,
        "run_id": run.run_id,
        "metadata": run.metadata,
        "location": msgspec.to_builtins(run.location),
        "errors": run.errors,
    }
    return document if run.record is None else document | {"record": json.loads(encode_json(run.record))}


def _print_tables(runs: list[FoundRun]) -> None:
    from rich.console import Console

    console = Console()
    for path, group in groupby(runs, key=lambda run: run.location.path):
        console.print(_printable(path), style="bold", markup=False, highlight=False)
        console.print(_table(group))
    console.print(f"{len(runs)} run{'s' if len(runs) > 1 else ''}", highlight=False)


def _table(runs: Iterable[FoundRun]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Run", no_wrap=True)
    table.add_column("Where", no_wrap=True)
    for title in ("Description", "Parameters", "Summary"):
        table.add_column(title, overflow="fold")
    for run in runs:
        table.add_row(*(Text(_printable(text)) for text in _row(run)))
    return table


def _row(run: FoundRun) -> tuple[str, str, str, str, str]:
    metadata = run.metadata or {}
    lines = [str(metadata.get("description", ""))]
    if "error" in metadata:
        lines.append(f"failed: {metadata['error']}")
    lines += [f"! {error}" for error in run.errors]
    text = "\n".join(line for line in lines if line)
    return run.wire_id[:8], _where(run), text, _pairs(metadata, "parameters"), _pairs(metadata, "summary")


def _where(run: FoundRun) -> str:
    place = run.location
    if place.cell is not None:
        return f"cell {place.cell}"
    return "" if place.line is None else f"line {place.line}"


def _pairs(metadata: dict[str, Any], key: str) -> str:
    """`name=value` for each entry; long values are cut: `--json` has them whole."""
    values = metadata.get(key)
    if not isinstance(values, dict):
        return ""
    return "\n".join(f"{name}={value}"[:60] for name, value in values.items())


def _printable(text: str) -> str:
    """Text from a file that anybody may have written, without the codes that would drive the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)
