"""Where a command is called: the workspace, its settings and store, and what a path on the command line means there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from committer.history import History
    from committer.settings import CommitterSettings
    from committer.storage.ignore import IgnoreRules
    from dotscience.workspace import Workspace


def settings_of(root: Path) -> CommitterSettings:
    """The settings of the workspace at `root`, from its file and this process's environment."""
    from committer.settings import load_settings

    return load_settings(root, dict(os.environ))


def store_of(workspace: Workspace) -> Path:
    """The folder of the workspace's store."""
    from committer.identity import store_folder

    return store_folder(workspace, settings_of(workspace.root).state_dir)


def rules_of(workspace: Workspace) -> IgnoreRules:
    """What snapshots of the workspace leave out."""
    from committer.storage.ignore import load_ignore
    from dotscience.client import credentials

    return load_ignore(workspace.root, protected=[credentials.config_folder(), store_of(workspace).parent])


def history_of(workspace: Workspace) -> History:
    """The workspace's commits, to be closed by the caller.

    Raises:
        NoSuchCommit: there is no store yet.
    """
    from committer.history import open_history

    return open_history(store_of(workspace))


def path_in(workspace: Workspace, argument: str) -> str:
    """A path on the command line, relative to the working directory, as one relative to the workspace; "" is all of it.

    Symbolic links in the path itself are not followed, so that a link can be named.

    Raises:
        click.UsageError: it leads out of the workspace.
    """
    absolute = os.path.normpath(Path.cwd() / argument)
    for start in (str(workspace.root), os.path.realpath(workspace.root)):
        relative = os.path.relpath(absolute, start)
        if relative == os.curdir:
            return ""
        if relative != os.pardir and not relative.startswith(os.pardir + os.sep):
            return relative
    raise click.UsageError(f"{argument} is not in the workspace {workspace.root}")
