"""The state of the git repository that a folder is in: the commit by reading `.git`, the dirty flag by asking git."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

STATUS_TIMEOUT_S = 3

_OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitState(NamedTuple):
    """`commit` is the checked-out commit, `dirty` whether tracked files differ from it; None where it is not known."""

    commit: str | None = None
    dirty: bool | None = None


def git_state(folder: Path) -> GitState:
    """The state of the repository that holds `folder`, if there is one."""
    top = next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)
    if top is None:
        return GitState()
    try:
        commit = _head_commit(_git_folder(top / ".git"))
    except (OSError, UnicodeDecodeError):
        return GitState()
    return GitState(commit, _is_dirty(top))


def _git_folder(path: Path) -> Path:
    """`.git` itself, or in worktrees and submodules what the file of that name points to (gitrepository-layout(5))."""
    if path.is_dir():
        return path
    return path.parent / path.read_text("utf-8").removeprefix("gitdir:").strip()


def _head_commit(folder: Path) -> str | None:
    head = (folder / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref:"):
        return _object_name(head)
    reference = head.removeprefix("ref:").strip()
    places = [folder]
    common = folder / "commondir"
    if common.is_file():
        places.append(folder / common.read_text("utf-8").strip())
    found = (_resolve(place, reference) for place in places)
    return next((commit for commit in found if commit), None)


def _resolve(folder: Path, reference: str) -> str | None:
    """The commit of a branch: a file of its own, or a line of `packed-refs`."""
    loose, packed = folder / reference, folder / "packed-refs"
    if loose.is_file():
        return _object_name(loose.read_text("utf-8").strip())
    if not packed.is_file():
        return None
    lines = (line.split(" ") for line in packed.read_text("utf-8").splitlines())
    return next((_object_name(words[0]) for words in lines if words[1:] == [reference]), None)


def _object_name(text: str) -> str | None:
    return text if _OBJECT_NAME.fullmatch(text) else None


def _is_dirty(top: Path) -> bool | None:
    """Ask git, without letting the repository's configuration start programs or the question take its lock."""
    command = ["git", "-C", str(top), "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no"]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            check=True,
            env={**_minimal_environment(), "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            timeout=STATUS_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(answer.stdout.strip())


def _minimal_environment() -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(Path("~").expanduser()), "LC_ALL": "C"}
