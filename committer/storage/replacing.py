"""Making way for an entry of a snapshot where something of another kind has its name, as `--force` asks for.

Nothing is looked up through a symbolic link, so that a link is removed and what it leads to stays.
"""

from __future__ import annotations

import os
import stat

from committer.storage.census import MAX_DEPTH
from committer.workspace.stat import open_directory
from dotscience.errors import PathTaken
from dotscience.workspace import PROJECT_FILE, STATE_DIR


def is_folder(parent: int, name: bytes) -> bool:
    """Whether a folder, and no link to one, has the name in an open directory."""
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def may_change(descriptor: int) -> bool:
    """Whether this process may make, rename and remove names in an open folder."""
    return os.access(".", os.W_OK | os.X_OK, dir_fd=descriptor, effective_ids=True)


def is_tracked(descriptor: int) -> bool:
    """Whether an open directory has been initialised as a workspace."""
    try:
        os.stat(f"{STATE_DIR}/{PROJECT_FILE}", dir_fd=descriptor)
    except OSError:
        return False
    return True


def require_removable(parent: int, name: bytes) -> None:
    """Refuse to remove a folder that can be seen not to go as a whole, or that must not go.

    Raises:
        PathTaken: a tracked folder is in it, or it is too deep.
        OSError: some of it cannot be read.
    """
    _require_removable(parent, name, 0)


def _require_removable(parent: int, name: bytes, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise PathTaken(f"is taken by a folder of more than {MAX_DEPTH} levels; remove that first")
    with open_directory(name, parent=parent) as descriptor:
        if is_tracked(descriptor):
            raise PathTaken(f"is taken by a tracked folder, {os.fsdecode(name)!r}; move that away first")
        for child in _names(descriptor, folders=True):
            _require_removable(descriptor, child, depth + 1)


def remove_folder(parent: int, name: bytes) -> None:
    """Remove a folder with all that is in it, read-only folders of one's own as well.

    Raises:
        OSError: some of it stays.
    """
    with open_directory(name, parent=parent) as descriptor:
        if not may_change(descriptor):
            os.fchmod(descriptor, stat.S_IRWXU)
        for child in _names(descriptor, folders=True):
            remove_folder(descriptor, child)
        for child in _names(descriptor, folders=False):
            os.unlink(child, dir_fd=descriptor)
    os.rmdir(name, dir_fd=parent)


def _names(descriptor: int, *, folders: bool) -> list[bytes]:
    """The names of folders in an open directory, or of everything else."""
    with os.scandir(descriptor) as entries:
        return [os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False) == folders]
