"""`ds checkout` and `ds restore`: write what a commit has into a folder, or back into the workspace."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from committer.commands.progress import bytes_bar
from dotscience import wording

if TYPE_CHECKING:
    from committer.history import History, Logged, OverwrittenFile
    from committer.storage.diff import Change
    from committer.storage.placing import Problem
    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry
    from dotscience.workspace import Workspace

SHOWN_PROBLEMS = 20
MAX_FOLDER_BYTES = 200


@click.command(
    epilog="""\b
Examples:
  ds checkout 3f2a9c --to /tmp/then          the whole folder as of a commit or run
  ds checkout HEAD~3 data/train.csv --to .   one file, into this folder
  ds checkout 3f2a9c --in-place              the tracked folder itself; saves it first
  ds checkout https://hub.example.com/p/PROJECT/runs/RUN
  ds checkout 6f5d1c1e --from https://hub.example.com --to /tmp/then
"""
)
@click.argument("commit", metavar="COMMIT|URL")
@click.argument("path", required=False)
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="DIR", help="Write into this folder.")
@click.option("--in-place", is_flag=True, help="Turn the tracked folder into what the commit has; saves it first.")
@click.option("--from", "source", metavar="URL", help="Take it from this hub or project; needs no tracked folder.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty, replacing what has equal names.")
@click.option("--keep-special", is_flag=True, help="Keep set-user-id and set-group-id bits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def checkout(
    *,
    commit: str,
    path: str | None,
    target: Path | None,
    in_place: bool,
    source: str | None,
    force: bool,
    keep_special: bool,
    as_json: bool,
) -> None:
    """Write what COMMIT has, or only PATH in it, into a folder.

    COMMIT is the id of a commit or of a run, HEAD, or one of these with ~N. PATH is relative to the working directory.
    An interrupted checkout goes on when the same command is given again.

    With --from, or with the URL of a run's or commit's page for COMMIT, it comes straight from a hub, PATH is relative
    to the project's folder, and DIR is one named after the run unless given.
    """
    from dotscience.workspace import open_workspace

    named = _page_of(commit, source)
    if named is not None:
        from committer.commands.hub_checkout import checkout_from

        if in_place:
            raise click.UsageError("--in-place is for commits of this folder; say where to with --to DIR")
        wanted, address = named
        found = checkout_from(wanted, address, path or "", target, force=force, keep_special=keep_special)
        _report(found, as_json=as_json)
        return
    if (target is not None) == in_place:
        raise click.UsageError("say where to: --to DIR, or --in-place")
    workspace = open_workspace()
    inside = "" if path is None else place.path_in(workspace, path)
    if target is None:
        found = _in_place(workspace, commit, inside, keep_special=keep_special)
    else:
        found = _into(workspace, commit, inside, target, force=force, keep_special=keep_special)
    _report(found, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  ds restore data/train.csv                  as it is in the newest commit
  ds restore --from HEAD~3 notebooks/        a folder as it was three commits ago
"""
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--from", "commit", default="HEAD", metavar="COMMIT", show_default=True, help="The commit or run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(*, paths: tuple[str, ...], commit: str, as_json: bool) -> None:
    """Bring files or folders of the workspace back to what a commit has.

    The workspace is saved first, so `ds checkout` brings back what was there. With --from HEAD, that is the newest
    commit before this one.
    """
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    _report(_in_place(workspace, commit, *(place.path_in(workspace, path) for path in paths)), as_json=as_json)


def _page_of(commit: str, source: str | None) -> tuple[str, str] | None:
    """The id that is meant, and the URL to take it from; None where that is the tracked folder's own store.

    Raises:
        click.UsageError: the URL is of no run and no commit.
    """
    from dotscience.client.address import parse_page

    if "://" not in commit:
        return None if source is None else (commit, source)
    page = parse_page(commit)
    name = None if page is None else page.run or page.commit
    if name is None or source is not None:
        raise click.UsageError("give the URL of a run's or commit's page, without --from, or an id with --from URL")
    return name, commit


def _into(
    workspace: Workspace, commit: str, path: str, target: Path, *, force: bool, keep_special: bool
) -> dict[str, Any]:
    from committer.storage.reader import resolve

    with place.history_of(workspace) as history, place.contents_of(workspace, history) as reader:
        logged = history.find(commit)
        return write_into(
            reader,
            resolve(reader, logged.commit.root, path),
            target,
            commit=logged.id,
            path=path,
            overwritten=_overwritten(history, logged, commit, path),
            force=force,
            keep_special=keep_special,
        )


def write_into(
    reader: Reader,
    entry: TreeEntry,
    target: Path,
    *,
    commit: str,
    path: str,
    overwritten: list[dict[str, str]],
    force: bool,
    keep_special: bool,
) -> dict[str, Any]:
    """Write what a commit has at `path`, its `entry`, into a folder; what was written, as `--json` prints it."""
    from committer.storage.census import census_that_fits
    from committer.storage.checkout import write_snapshot
    from committer.storage.target import Origin, open_target

    census = census_that_fits(reader, entry, target)
    with (
        open_target(target, Origin(commit=commit, path=path), force=force) as opened,
        bytes_bar(f"Writing {wording.counted(census.entries, 'entry', 'entries')}", census.size) as advance,
    ):
        written = write_snapshot(
            reader, entry, opened, keep_special=keep_special, progress=lambda _, size: advance(size)
        )
    return {
        "commit": commit,
        "path": path,
        "to": str(target.absolute()),
        "files": written.files,
        "kept": written.kept,
        "directories": written.directories,
        "size": written.size,
        "overwritten": overwritten,
        "problems": problem_documents(written.problems),
    }


def _in_place(workspace: Workspace, commit: str, *paths: str, keep_special: bool = False) -> dict[str, Any]:
    from committer.commands.snapshot import take
    from committer.storage.in_place import Plan, change_in_place, open_in_place
    from committer.workspace.stat import open_directory

    with (
        place.history_of(workspace) as history,
        place.contents_of(workspace, history) as reader,
        open_directory(os.fsencode(workspace.root)) as root,
        open_in_place(workspace.state_dir) as in_place,
    ):
        logged = history.find(commit)  # before the commit that follows moves HEAD
        for path in paths:
            _require_somewhere(history, logged, path)
        overwritten = _overwritten(history, logged, commit, *paths)
        in_place.close_folders(root)
        saved = take(workspace, f"Before bringing back {wording.short(logged.id)}")["commit"]
        changes = _changes(reader, history.find(saved), logged, paths)
        total = sum(change.after.size for change in changes if change.after is not None)
        with bytes_bar("Writing", total) as advance:
            changed = change_in_place(
                reader,
                root,
                in_place,
                Plan(commit=logged.id, paths=list(paths), saved=saved),
                changes,
                keep_special=keep_special,
                progress=lambda _, size: advance(size),
            )
        interrupted = in_place.interrupted
    return {
        "commit": logged.id,
        "paths": list(paths),
        "saved": saved,
        "files": changed.files,
        "removed": changed.removed,
        "interrupted": interrupted and {"commit": interrupted.commit, "saved": interrupted.saved},
        "overwritten": overwritten,
        "problems": problem_documents(changed.problems),
    }


def _overwritten(history: History, logged: Logged, name: str, *paths: str) -> list[dict[str, str]]:
    """The files to be written that are not what the commit's runs, or the one that was named, left there."""
    return overwritten_below(history.overwritten(logged, name), *paths)


def overwritten_below(files: list[OverwrittenFile], *paths: str) -> list[dict[str, str]]:
    """Those of the files that are at or below some paths, for JSON."""
    return [
        {"path": file.path, "run_id": file.run_id}
        for file in files
        if any(_concerns(os.fsencode(file.path), os.fsencode(path)) for path in paths)
    ]


def _require_somewhere(history: History, logged: Logged, path: str) -> None:
    """A path that the commit does not have is asked for by mistake, more often than to have it removed."""
    from dotscience.errors import NoSuchPath

    if history.entry_at(logged, path) is None:
        raise NoSuchPath(
            f"{path} is not in commit {wording.short(logged.id)}; `ds log {path}` lists the commits with it"
        )


def _changes(reader: Reader, saved: Logged, wanted: Logged, paths: tuple[str, ...]) -> list[Change]:
    from committer.storage.diff import diff

    return [
        change
        for change in diff(reader, saved.commit.root, wanted.commit.root)
        if any(_concerns(change.path, os.fsencode(path)) for path in paths)
    ]


def _concerns(changed: bytes, path: bytes) -> bool:
    """Whether a changed path is `path`, is below it, or is a folder above it that has to be made."""
    return not path or changed == path or changed.startswith(path + b"/") or path.startswith(changed + b"/")


def folder_name(project: str) -> str:
    """A project's name as one that a folder in the working directory can have, whatever a hub calls it."""
    name = re.sub(r"[/\\\x00-\x1f\x7f]", "-", project).strip().lstrip(".-")
    return os.fsencode(name)[:MAX_FOLDER_BYTES].decode("utf-8", "ignore") or "project"


def problem_documents(problems: list[Problem]) -> list[dict[str, str]]:
    """What could not be written, for JSON."""
    return [{"path": wording.exact(one.path), "reason": one.reason} for one in problems]


def _report(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)
    sys.exit(1 if found["problems"] else 0)


def _print(found: dict[str, Any]) -> None:
    files, commit = wording.counted(found["files"], "file"), wording.short(found["commit"])
    if "to" in found:
        kept = f", {found['kept']:,} were there already" if found["kept"] else ""
        click.echo(f"Wrote {files} of {commit} to {found['to']}: {wording.size(found['size'])}{kept}")
    else:
        click.echo(f"Wrote {files} of {commit}, removed {found['removed']:,}")
        click.echo(f"To undo: ds checkout {wording.short(found['saved'])} --in-place")
        _print_interrupted(found["interrupted"])
    for file in found["overwritten"][:SHOWN_PROBLEMS]:
        click.echo(
            f"Warning: {wording.printable(file['path'])} was written again before it was saved for run"
            f" {file['run_id'][:8]}: this is a later content",
            err=True,
        )
    if len(found["overwritten"]) > SHOWN_PROBLEMS:
        click.echo(f"  and {len(found['overwritten']) - SHOWN_PROBLEMS:,} more; --json lists all", err=True)
    print_problems(found["problems"])


def _print_interrupted(earlier: dict[str, str] | None) -> None:
    if earlier is not None:
        click.echo(
            f"An earlier checkout of {wording.short(earlier['commit'])} was interrupted here; before that the"
            f" folder was as in {wording.short(earlier['saved'])}",
            err=True,
        )


def print_problems(problems: list[dict[str, str]]) -> None:
    """Name the first of what could not be written, on standard error."""
    for one in problems[:SHOWN_PROBLEMS]:
        click.echo(f"  {wording.printable(one['path'])} {one['reason']}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        click.echo(f"  and {len(problems) - SHOWN_PROBLEMS:,} more; --json lists all", err=True)
