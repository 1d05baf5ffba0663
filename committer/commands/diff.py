"""`ds diff`: which files differ between two commits, and how: text line by line, notebooks cell by cell."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from dotscience import wording
from dotscience.errors import TooDifferent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from committer.storage.diff import Change
    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry

MAX_SHOWN = 2**20
"""Bytes of a file above which only its size is compared for people to read; JSON never has contents."""

MAX_NOTEBOOK = 64 * 2**20


@click.command(
    "diff",
    epilog="""\b
Examples:
  ds diff                               what the newest commit changed
  ds diff 3f2a9c 81bb04                 between two commits or runs
  ds diff HEAD~5 HEAD -- notebooks/     below one folder only
  ds diff HEAD~5 HEAD --names           only which files
""",
)
@click.argument("before", required=False)
@click.argument("after", default="HEAD")
@click.argument("path", required=False)
@click.option("--names", is_flag=True, help="List the files only, not what changed in them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(*, before: str | None, after: str, path: str | None, names: bool, as_json: bool) -> None:
    """Show what changed from commit BEFORE to commit AFTER, or at or below PATH only.

    Each may be the id of a commit or of a run, HEAD, or one of these with ~N. Without both, it is what the newest
    commit changed; before the first one there was nothing.
    """
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    inside = "" if path is None else place.path_in(workspace, path)
    with place.history_of(workspace) as history, place.contents_of(workspace, history) as reader:
        newer = history.find(after)
        older = history.find(before) if before else history.before(newer)
        changes = _changes(reader, older.commit.root if older else None, newer.commit.root, inside)
        if as_json:
            files = [_document(reader, change, names=names) for change in changes]
            click.echo(json.dumps({"before": older.id if older else None, "after": newer.id, "files": files}))
        elif changes:
            _page(reader, changes, names=names)
        else:
            click.echo(
                f"No difference{f' from {wording.short(older.id)}' if older else ''} to {wording.short(newer.id)}."
            )


def _changes(reader: Reader, before: bytes | None, after: bytes, path: str) -> list[Change]:
    from committer.storage import diff as trees

    wanted = os.fsencode(path)
    found = (
        change
        for change in trees.diff(reader, before, after)
        if not wanted or change.path == wanted or change.path.startswith(wanted + b"/")
    )
    return sorted(found, key=lambda change: change.path)


def _page(reader: Reader, changes: list[Change], *, names: bool) -> None:
    for change in changes:
        click.echo(_headline(change))
        if not names:
            for line in _details(reader, change):
                click.echo(f"    {line}")
    click.echo(wording.counted(len(changes), "difference"))


def _headline(change: Change) -> str:
    letter, color = {"added": ("A", "green"), "removed": ("D", "red")}.get(_kind(change), ("M", "yellow"))
    text = f"{click.style(letter, fg=color)}  {wording.name(change.path)}{_slash(change)}"
    was, now = _size(change.before), _size(change.after)
    if change.is_content and was != now:
        return f"{text}  {' → '.join(wording.size(one) for one in (was, now) if one is not None)}"
    mode = _modes(change)
    return f"{text}  {mode}" if mode else text


def _modes(change: Change) -> str:
    if change.before is None or change.after is None or change.before.mode == change.after.mode:
        return ""
    return f"mode {change.before.mode:o} → {change.after.mode:o}"


def _slash(change: Change) -> str:
    entry = change.after or change.before
    return "/" if entry is not None and entry.kind.name == "DIRECTORY" else ""


def _kind(change: Change) -> str:
    if change.before is None:
        return "added"
    if change.after is None:
        return "removed"
    return "changed" if change.is_content else "attributes"


def _details(reader: Reader, change: Change) -> Iterable[str]:
    if not change.is_content or change.before is None or change.after is None:
        return []
    try:
        cells = _cells(reader, change)
        lines = _lines(reader, change) if cells is None else [line for cell in cells for line in _cell_lines(cell)]
    except TooDifferent as error:
        return [f"the contents differ; {error}"]
    return map(wording.printable, lines)


def _lines(reader: Reader, change: Change) -> list[str]:
    from committer.bounded_diff import Budget, unified_diff

    was, now = (None if entry is None else _text(reader, entry) for entry in (change.before, change.after))
    if was is None or now is None:
        return ["the contents differ"]
    return unified_diff(was.splitlines(), now.splitlines(), Budget(), context=2)


def _cell_lines(cell: dict[str, Any]) -> list[str]:
    number = cell["after"] if cell["after"] is not None else cell["before"]
    outputs = ", other outputs" if cell["outputs"] and cell["kind"] == "changed" else ""
    return [f"{cell['kind']} {cell['cell_type']} cell {number + 1}{outputs}", *(f"  {line}" for line in cell["source"])]


def _cells(reader: Reader, change: Change) -> list[dict[str, Any]] | None:
    """The cells that differ, where both sides are notebooks.

    Raises:
        TooDifferent: they are too large to be compared cell by cell.
    """
    import msgspec

    from committer.notebook_diff import diff_notebooks
    from dotscience.errors import NotebookError

    if not change.path.endswith(b".ipynb") or change.before is None or change.after is None:
        return None
    was, now = _content(reader, change.before, MAX_NOTEBOOK), _content(reader, change.after, MAX_NOTEBOOK)
    if was is None or now is None:
        return None
    try:
        cells: list[dict[str, Any]] = msgspec.to_builtins(diff_notebooks(was, now))
    except NotebookError:
        return None
    return cells


def _text(reader: Reader, entry: TreeEntry) -> str | None:
    data = entry.content if entry.kind.name == "SYMLINK" else _content(reader, entry, MAX_SHOWN)
    try:
        return None if data is None or b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _content(reader: Reader, entry: TreeEntry, limit: int) -> bytes | None:
    from committer.storage.reader import read_file

    if not entry.is_file or entry.size > limit:
        return None
    return b"".join(read_file(reader, entry))


def _size(entry: TreeEntry | None) -> int | None:
    return None if entry is None or not entry.is_file else entry.size


def _document(reader: Reader, change: Change, *, names: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "path": wording.exact(change.path),
        "change": _kind(change),
        "before": _side(change.before),
        "after": _side(change.after),
    }
    try:
        cells = None if names or not change.is_content else _cells(reader, change)
    except TooDifferent:
        cells = None
    return document if cells is None else document | {"cells": cells}


def _side(entry: TreeEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    kind = entry.kind.name.lower().removeprefix("chunked_")
    content = wording.exact(entry.content) if kind == "symlink" else entry.content.hex()
    return {"kind": kind, "mode": entry.mode, "size": entry.size, "mtime_ns": entry.mtime_ns, "content": content}
