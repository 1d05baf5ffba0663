"""`ds checkout` and `ds restore`: write what a commit has into a folder, or back into the workspace."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from committer.commands import place
from committer.commands.progress import bytes_bar
from dotscience import wording

if TYPE_CHECKING:
    from committer.history import History, Logged
    from committer.storage.census import Census
    from committer.storage.placing import Problem
    from committer.storage.reader import Reader
    from committer.storage.tree import TreeEntry
    from dotscience.workspace import Workspace

SHOWN_PROBLEMS = 20


@click.command(
    epilog="""\b
Examples:
  ds checkout 3f2a9c --to /tmp/then          the whole folder as of a commit or run
  ds checkout HEAD~3 data/train.csv --to .   one file, into this folder
  ds checkout 3f2a9c --in-place              the tracked folder itself; saves it first
"""
)
@click.argument("commit")
@click.argument("path", required=False)
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="DIR", help="Write into this folder.")
@click.option("--in-place", is_flag=True, help="Turn the tracked folder into what the commit has; saves it first.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty, replacing what has equal names.")
@click.option("--keep-special", is_flag=True, help="Keep set-user-id and set-group-id bits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def checkout(
    *,
    commit: str,
    path: str | None,
    target: Path | None,
    in_place: bool,
    force: bool,
    keep_special: bool,
    as_json: bool,
) -> None:
    """Write what COMMIT has, or only PATH in it, into a folder.

    COMMIT is the id of a commit or of a run, HEAD, or one of these with ~N. PATH is relative to the working directory.
    An interrupted checkout goes on when the same command is given again.
    """
    from dotscience.workspace import open_workspace

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


def _into(
    workspace: Workspace, commit: str, path: str, target: Path, *, force: bool, keep_special: bool
) -> dict[str, Any]:
    from committer.storage.checkout import write_snapshot
    from committer.storage.reader import resolve
    from committer.storage.target import Origin, open_target

    with place.history_of(workspace) as history, place.contents_of(workspace, history) as reader:
        logged = history.find(commit)
        entry = resolve(reader, logged.commit.root, path)
        overwritten = _overwritten(history, logged, commit, path)
        census = _census(reader, entry, target)
        origin = Origin(commit=logged.id, path=path)
        with (
            open_target(target, origin, force=force) as opened,
            bytes_bar(f"Writing {wording.counted(census.entries, 'entry', 'entries')}", census.size) as advance,
        ):
            written = write_snapshot(
                reader, entry, opened, keep_special=keep_special, progress=lambda _, size: advance(size)
            )
    return {
        "commit": logged.id,
        "path": path,
        "to": str(target.absolute()),
        "files": written.files,
        "kept": written.kept,
        "directories": written.directories,
        "size": written.size,
        "overwritten": overwritten,
        "problems": _problems(written.problems),
    }


def _census(reader: Reader, entry: TreeEntry, target: Path) -> Census:
    """How much there is to write.

    Raises:
        CheckoutRefused: it does not fit.
    """
    from committer.storage.census import take_census
    from dotscience.errors import CheckoutRefused

    census = take_census(reader, entry)
    there = target.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if census.size > free:
        raise CheckoutRefused(
            f"{wording.size(census.size)} are to be written, and {there} has {wording.size(free)} left;"
            " name a PATH to write less, or another folder"
        )
    return census


def _in_place(workspace: Workspace, commit: str, *paths: str, keep_special: bool = False) -> dict[str, Any]:
    from committer.commands.snapshot import take

    with place.history_of(workspace) as history, place.contents_of(workspace, history) as reader:
        logged = history.find(commit)  # before the commit that follows moves HEAD
        for path in paths:
            _require_somewhere(history, logged, path)
        overwritten = _overwritten(history, logged, commit, *paths)
        saved = take(workspace, f"Before bringing back {wording.short(logged.id)}")["commit"]
        written, removed, problems = _transition(reader, workspace, logged, history.find(saved), paths, keep_special)
    return {
        "commit": logged.id,
        "paths": list(paths),
        "saved": saved,
        "files": written,
        "removed": removed,
        "overwritten": overwritten,
        "problems": _problems(problems),
    }


def _overwritten(history: History, logged: Logged, name: str, *paths: str) -> list[dict[str, str]]:
    """The files to be written that are not what the commit's runs, or the one that was named, left there."""
    return [
        {"path": file.path, "run_id": file.run_id}
        for file in history.overwritten(logged, name)
        if any(_concerns(os.fsencode(file.path), os.fsencode(path)) for path in paths)
    ]


def _require_somewhere(history: History, logged: Logged, path: str) -> None:
    """A path that the commit does not have is asked for by mistake, more often than to have it removed."""
    from dotscience.errors import NoSuchPath

    if history.entry_at(logged, path) is None:
        raise NoSuchPath(
            f"{path} is not in commit {wording.short(logged.id)}; `ds log {path}` lists the commits with it"
        )


def _transition(
    reader: Reader,
    workspace: Workspace,
    wanted: Logged,
    saved: Logged,
    paths: tuple[str, ...],
    keep_special: bool,
) -> tuple[int, int, list[Problem]]:
    from committer.storage.diff import diff
    from committer.storage.placing import Placer
    from committer.storage.transition import Transition
    from committer.workspace.stat import open_directory

    changes = [
        change
        for change in diff(reader, saved.commit.root, wanted.commit.root)
        if any(_concerns(change.path, os.fsencode(path)) for path in paths)
    ]
    total = sum(change.after.size for change in changes if change.after is not None)
    with (
        bytes_bar("Writing", total) as advance,
        open_directory(os.fsencode(workspace.root)) as root,
        Placer(reader, keep_special=keep_special, progress=lambda _, size: advance(size)) as placer,
    ):
        transition = Transition(root, placer)
        transition.apply(changes)
    return placer.files, transition.removed, placer.problems


def _concerns(changed: bytes, path: bytes) -> bool:
    """Whether a changed path is `path`, is below it, or is a folder above it that has to be made."""
    return not path or changed == path or changed.startswith(path + b"/") or path.startswith(changed + b"/")


def _problems(problems: list[Problem]) -> list[dict[str, str]]:
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
    for file in found["overwritten"][:SHOWN_PROBLEMS]:
        click.echo(
            f"Warning: {wording.printable(file['path'])} was written again before it was saved for run"
            f" {file['run_id'][:8]}: this is a later content",
            err=True,
        )
    if len(found["overwritten"]) > SHOWN_PROBLEMS:
        click.echo(f"  and {len(found['overwritten']) - SHOWN_PROBLEMS:,} more; --json lists all", err=True)
    problems = found["problems"]
    for one in problems[:SHOWN_PROBLEMS]:
        click.echo(f"  {wording.printable(one['path'])} {one['reason']}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        click.echo(f"  and {len(problems) - SHOWN_PROBLEMS:,} more; --json lists all", err=True)
