"""`ds mount`: browse commits like folders."""

from __future__ import annotations

from pathlib import Path

import click

from committer.commands import place
from dotscience import wording


@click.command(
    epilog="""\b
Examples:
  ds mount /tmp/then                all commits: /tmp/then/commits/…, /runs/…, /HEAD
  ds mount /tmp/then 3f2a9c         one commit or run
  fusermount -u /tmp/then           ends it, like Ctrl-C
"""
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("commit", required=False)
def mount(*, folder: Path, commit: str | None) -> None:
    """Show commits as read-only folders below FOLDER until Ctrl-C; needs FUSE.

    Without COMMIT there is a folder for each commit and each run, and HEAD. Contents are read when they are asked for.
    """
    from dotscience.errors import ConfigError
    from dotscience.workspace import open_workspace

    workspace = open_workspace()
    if folder.absolute().is_relative_to(workspace.root):
        raise ConfigError(f"{folder} is in the tracked folder, which would then hold its own snapshots; choose another")
    if any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; mount on an empty folder")
    try:
        from committer import mount as fuse
    except OSError as error:
        raise ConfigError(f"FUSE is not installed ({error}); on Debian: sudo apt-get install fuse3") from error
    with place.history_of(workspace) as history, place.contents_of(workspace, history) as reader:
        only = history.find(commit) if commit else None
        what = f"commit {wording.short(only.id)}" if only else "all commits"
        click.echo(f"Mounting {what} on {folder}; Ctrl-C ends it")
        try:
            fuse.mount(history, reader, folder, only)
        except RuntimeError as error:
            raise ConfigError(f"{folder} could not be mounted (status {error}); see what FUSE said above") from error
