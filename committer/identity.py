"""Which folder this journal belongs to: moved folders go on, copied ones must become dots of their own.

The journal remembers the root's path and inode. A folder with another inode while the remembered path still holds the
same dot is a copy; two folders that commit to one dot would fork it at every turn.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from committer.log import get_logger
from committer.storage.index import INDEX
from committer.storage.store import ObjectStore
from committer.sync.journal import Journal
from dotscience.errors import ConfigError, WorkspaceError
from dotscience.workspace import Workspace, is_root, read_project

log = get_logger(__name__)

STORE_DIR = "store"


class CopiedWorkspace(WorkspaceError):
    """The folder is a copy of another that is still there and has the same dot id."""


def store_folder(workspace: Workspace, state_dir: str = "") -> Path:
    """Where the store and journal of a workspace are."""
    return (Path(state_dir) if state_dir else workspace.state_dir) / STORE_DIR


def found(workspace: Workspace, state_dir: str = "") -> None:
    """Make the store and journal of a workspace that has just been initialised.

    From here on its `initialised_at` is believed. A journal that the committer has to make itself belongs to a clone
    of the project file: what its notebooks hold is then older than the tracking, whatever the project file says.
    """
    folder = store_folder(workspace, state_dir)
    set_aside_other_dot(workspace, folder)
    with ObjectStore(folder, min_free_bytes=0):
        journal = Journal(folder)
        try:
            with journal.transaction():
                remember(journal, workspace)
                journal.put({"tracked_since": workspace.initialised_at.isoformat()})
        finally:
            journal.close()


def set_aside_other_dot(workspace: Workspace, folder: Path) -> None:
    """Move a store away that belongs to another dot, as after a copy was given its own id; nothing is deleted."""
    if not (folder / INDEX).is_file():
        return
    journal = Journal(folder)
    try:
        dot_id = journal.get("dot_id")
    finally:
        journal.close()
    if dot_id is not None and dot_id != workspace.dot_id:
        aside = folder.with_name(f"{folder.name}-of-{dot_id}")
        log.warning("store.set_aside", was=dot_id, now=workspace.dot_id, aside=str(aside))
        folder.rename(aside)


def remember(journal: Journal, workspace: Workspace) -> None:
    """Note where the workspace is now."""
    inode = workspace.root.stat().st_ino
    journal.put({"dot_id": workspace.dot_id, "root": str(workspace.root), "inode": str(inode)})


def settle_identity(journal: Journal, workspace: Workspace) -> datetime:
    """Make sure that the workspace is the one of its journal; returns since when it has been tracked.

    Raises:
        CopiedWorkspace: it is a copy.
    """
    if journal.get("root") is None:
        journal.put({"tracked_since": datetime.now(UTC).isoformat()})
    elif _is_copy(journal, workspace):
        raise CopiedWorkspace(
            f"{workspace.root} is a copy of {journal.get('root')}, which is still there; "
            "run `ds init --new-dot-id` here to track both"
        )
    remember(journal, workspace)
    since = journal.get("tracked_since")
    return datetime.fromisoformat(since) if since else workspace.initialised_at


def _is_copy(journal: Journal, workspace: Workspace) -> bool:
    remembered = Path(journal.get("root") or "")
    if str(workspace.root.stat().st_ino) == journal.get("inode") or not is_root(remembered):
        return False
    if os.path.samefile(remembered, workspace.root):  # noqa: PTH121 - Path.samefile is the same call
        return False
    try:
        return read_project(remembered).dot_id == workspace.dot_id
    except ConfigError:
        return False


def bind_journal(journal: Journal, workspace: Workspace) -> None:
    """Forget what another hub has when the workspace is bound to a new one: the whole history goes there."""
    binding = f"{workspace.hub.url} {workspace.hub.project_id}" if workspace.hub else ""
    if workspace.hub is None or journal.get("pushed_to") == binding:
        return
    with journal.transaction():
        journal.set_pushed_up_to(0)
        journal.forget_pushed_packs()
        journal.forget_notes()
        journal.put({"pushed_to": binding, "branch": None, "gc_epoch": None})
