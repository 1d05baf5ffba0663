"""Where a command is called: the workspace, its settings and store, and what a path on the command line means there."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from committer.history import History
    from committer.settings import CommitterSettings
    from committer.storage.ignore import IgnoreRules
    from committer.storage.reader import Reader
    from dotscience.client.hub import HubClient
    from dotscience.workspace import HubBinding, Workspace


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


@contextmanager
def contents_of(workspace: Workspace, history: History) -> Iterator[Reader]:
    """Reads what the workspace's commits hold; contents that were dropped here come from the hub."""
    if workspace.hub is None:
        yield history.reader
        return
    from committer.log import configure_when_needed
    from committer.sync.fetching import FetchingReader

    configure_when_needed(logging.WARNING)
    with FetchingReader(history.reader, partial(_hub_of, workspace.hub), workspace.dot_id) as reader:
        yield reader


def _hub_of(bound: HubBinding) -> HubClient:
    from dotscience.client import credentials
    from dotscience.client.hub import HubClient

    return HubClient(bound.url, credentials.load(bound.url, bound.project_id))


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
