"""Finding notebooks by walking the workspace: at the start, and whenever events may have been lost."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from committer.detect.notebooks import is_notebook, signature
from committer.storage.ignore import IgnoreRules
from dotscience.workspace import PROJECT_FILE, STATE_DIR


def changed_notebooks(root: Path, rules: IgnoreRules, known: Mapping[str, str], below: str = "") -> list[str]:
    """The notebooks, in `below` or everywhere, whose signature is not the known one."""
    return [path for path, now in _notebooks(root, rules, below) if known.get(path) != now]


def is_ignored(rules: IgnoreRules, path: str) -> bool:
    """Whether the ignore list leaves out a notebook, or a folder above it."""
    return rules.excludes(os.fsencode(path))


def _notebooks(root: Path, rules: IgnoreRules, below: str) -> Iterator[tuple[str, str]]:
    pending = [below]
    while pending:
        folder = pending.pop()
        for entry in _entries(root / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not _is_foreign(rules, entry, path):
                    pending.append(path)
            elif is_notebook(path) and not rules.excludes_entry(os.fsencode(path), directory=False):
                yield from _signed(entry, path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds; a folder that is gone or closed to us holds nothing."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _is_foreign(rules: IgnoreRules, entry: os.DirEntry[str], path: str) -> bool:
    """Whether a folder is ignored, or tracked on its own."""
    nested = os.path.lexists(f"{entry.path}/{STATE_DIR}/{PROJECT_FILE}")
    return nested or rules.excludes_entry(os.fsencode(path), directory=True)


def _signed(entry: os.DirEntry[str], path: str) -> Iterator[tuple[str, str]]:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return
    if stat.S_ISREG(status.st_mode):
        yield path, signature(status)
