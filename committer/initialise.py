"""Beginning to track a folder: is it a sensible one, how big is it, and the files that make it a workspace."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct

from committer.identity import found
from committer.storage.ignore import DEFAULT_IGNORE, IGNORE_FILE, IgnoreRules, load_ignore
from dotscience.errors import WorkspaceError
from dotscience.workspace import (
    HubBinding,
    Workspace,
    is_root,
    new_workspace,
    read_project,
    write_durably,
    write_project,
)

ASK_ABOVE_FILES = 100_000
ASK_ABOVE_BYTES = 10 << 30
PREVIEW_S = 5.0
SYSTEM_FOLDERS = frozenset(
    Path("/", name)
    for name in (
        *(
            "bin",
            "boot",
            "dev",
            "etc",
            "home",
            "lib",
            "lib64",
            "media",
            "mnt",
            "opt",
            "proc",
            "root",
            "run",
            "sbin",
            "srv",
        ),
        *("sys", "tmp", "usr", "usr/local", "var", "var/tmp"),
        *("Applications", "Library", "System", "Users", "Volumes", "private"),
    )
)
FORBIDDEN_BELOW = tuple(
    Path("/", name)
    for name in (
        *("boot", "dev", "etc", "proc", "sys", "run/user", "usr/bin", "usr/lib", "usr/sbin", "usr/share"),
        *("var/cache", "var/lib", "var/log", "var/spool"),
    )
)
GIT_IGNORE = """\
# The project file may be kept in git; everything else here belongs to this machine.
*
!.gitignore
!project.toml
"""


class Census(Struct, frozen=True, kw_only=True):
    """How much a snapshot would hold; with `more`, counting stopped at the numbers given."""

    files: int
    size: int
    more: bool


class Preview(Census, frozen=True, kw_only=True):
    """What tracking a folder would mean; `refused` says why it should not be."""

    root: str
    refused: str | None


def refusal(folder: Path, home: Path) -> str | None:
    """Why a folder should not be tracked, or None where nothing speaks against it."""
    real = folder.resolve()
    if real == Path("/"):
        return "/ is the whole machine"
    if real == home.resolve():
        return f"{real} is your home folder, with keys and caches of every program"
    if home.resolve().is_relative_to(real):
        return f"{real} holds your home folder"
    if real in SYSTEM_FOLDERS or any(real.is_relative_to(folder) for folder in FORBIDDEN_BELOW):
        return f"{real} is a folder of the system"
    return None


def preview(folder: Path, home: Path) -> Preview:
    """Look at a folder for at most about `PREVIEW_S`; writes nothing.

    Raises:
        ConfigError: its ignore file cannot be used.
    """
    refused = refusal(folder, home) if folder.is_dir() else f"{folder} is not a folder"
    nothing = Census(files=0, size=0, more=False)
    census = nothing if refused else count(folder, load_ignore(folder), most_s=PREVIEW_S)
    return Preview(root=str(folder), files=census.files, size=census.size, more=census.more, refused=refused)


def count(folder: Path, rules: IgnoreRules, *, most_s: float = math.inf) -> Census:
    """Count what a snapshot of `folder` would hold, up to the numbers above which `ds init` asks, or for `most_s`."""
    files = size = 0
    until = monotonic() + most_s
    for status in _files(folder, rules):
        files, size = files + 1, size + status.st_size
        if files > ASK_ABOVE_FILES or size > ASK_ABOVE_BYTES or monotonic() > until:
            return Census(files=files, size=size, more=True)
    return Census(files=files, size=size, more=False)


def _files(folder: Path, rules: IgnoreRules) -> Iterable[os.stat_result]:
    pending = [os.fsencode(folder)]
    prefix = len(pending[0].rstrip(b"/")) + 1
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules.excludes_entry(entry.path[prefix:], directory=is_folder):
                continue
            if is_folder:
                pending.append(entry.path)
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield status


def initialise(folder: Path, *, hub: HubBinding | None = None, state_dir: str = "") -> Workspace:
    """Make `folder` a workspace. Idempotent: an initialised folder keeps its dot, and gets what it lacks.

    Raises:
        WorkspaceError: the folder cannot be written to, or is none.
    """
    if is_root(folder):
        return read_project(folder)
    if not folder.is_dir():
        raise WorkspaceError(f"{folder} is not a folder; make it first")
    workspace = msgspec.structs.replace(new_workspace(folder), hub=hub)
    begin_tracking(workspace, state_dir)
    return workspace


def begin_tracking(workspace: Workspace, state_dir: str = "") -> None:
    """Write what makes a folder the workspace given, as far as it is missing there, the project file last.

    Raises:
        WorkspaceError: the folder cannot be written to.
    """
    folder = workspace.root
    try:
        workspace.state_dir.mkdir(mode=0o700, exist_ok=True)
        _write_missing(workspace.state_dir / ".gitignore", GIT_IGNORE)
        _write_missing(folder / IGNORE_FILE, DEFAULT_IGNORE, mode=0o644)
        write_project(workspace)
    except OSError as error:
        raise WorkspaceError(f"{folder} cannot be tracked: {error}; make it writable first") from error
    found(workspace, state_dir)


def renew(folder: Path) -> Workspace:
    """Give a copied folder a dot of its own. Its hub is forgotten: that project belongs to the original.

    The store that came with the copy is set aside when the committer next opens it.
    """
    read_project(folder)
    workspace = new_workspace(folder)
    write_project(workspace)
    return workspace


def _write_missing(path: Path, text: str, mode: int = 0o600) -> None:
    if not os.path.lexists(path):
        write_durably(path, text.encode(), mode)
