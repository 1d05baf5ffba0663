"""What tracking a folder would mean: how many files, how large, and whether it is a folder that should not be tracked.

`ds init` decides; this only tells before a person clicks.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from msgspec import Struct

MOST_FILES = 200_000
MOST_SECONDS = 5.0
SKIPPED = frozenset(
    {
        ".dotscience", ".ssh", ".aws", ".gnupg", ".kube", ".docker", ".cache", ".local",
        ".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints",
    }
)  # fmt: skip
"""Folders that the default `.dotscienceignore` leaves out."""
SYSTEM_FOLDERS = tuple(
    Path(name)
    for name in ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var")
)


class Preview(Struct, frozen=True, kw_only=True):
    """A folder before it is tracked; `more` when counting stopped at a limit; `refused` says why it should not be."""

    root: str
    files: int
    size: int
    more: bool
    refused: str | None


def preview(folder: Path) -> Preview:
    """Look at `folder` for at most five seconds; blocks, so call it in a thread."""
    refused = refusal(folder)
    files, size, more = (0, 0, False) if refused else _count(folder)
    return Preview(root=str(folder), files=files, size=size, more=more, refused=refused)


def refusal(folder: Path) -> str | None:
    """Why `folder` should not be tracked, or None."""
    resolved = folder.resolve()
    if not resolved.is_dir():
        return f"{folder} is not a folder"
    if resolved == Path(resolved.anchor):
        return "This is the root of the file system; track a folder with one project in it"
    if resolved == Path.home().resolve():
        return "This is your home folder; track a folder with one project in it"
    if resolved in SYSTEM_FOLDERS:
        return "This folder belongs to the system; track a folder with one project in it"
    return None


def _count(folder: Path) -> tuple[int, int, bool]:
    """Files and bytes below `folder`, not following links, and whether there is more than was counted."""
    files = size = 0
    deadline = time.monotonic() + MOST_SECONDS
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if files >= MOST_FILES or time.monotonic() > deadline:
                        return files, size, True
                    if not entry.is_dir(follow_symlinks=False):
                        files += 1
                        size += _size(entry)
                    elif entry.name not in SKIPPED:
                        pending.append(entry.path)
        except OSError:
            continue  # unreadable or gone meanwhile: it would not be tracked either
    return files, size, False


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
