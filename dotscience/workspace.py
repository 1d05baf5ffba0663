"""A tracked folder: finding its root, and its `.dotscience/project.toml`.

`dotscience` reads it to place runs, the committer to know its dot, the Jupyter extension to know whether a folder is
tracked. The file holds no secrets, so that it may be committed to git.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from msgspec import Struct

from dotscience.errors import ConfigError, NotAWorkspace

STATE_DIR = ".dotscience"
PROJECT_FILE = "project.toml"
RUNS_DIR = "runs"
IN_PLACE_DIR = "in-place"
ROOT_VARIABLE = "DOTSCIENCE_PROJECT_DOT_ROOT"


class HubBinding(Struct, frozen=True, kw_only=True):
    """The hub and project that a workspace pushes to."""

    url: str
    project_id: str
    project_name: str


class Workspace(Struct, frozen=True, kw_only=True):
    """A tracked folder; `hub` is None while it has nowhere to push to."""

    root: Path
    dot_id: str
    initialised_at: datetime
    hub: HubBinding | None = None

    @property
    def state_dir(self) -> Path:
        """Where the project file, the sidecars and by default the store live (mode 0700)."""
        return self.root / STATE_DIR

    @property
    def runs_dir(self) -> Path:
        """Where code that runs in the workspace leaves its sidecars."""
        return self.state_dir / RUNS_DIR


def find_root(start: Path | None = None) -> Path | None:
    """The nearest folder, `start` (default: the working directory) or above, that has a project file."""
    place = Path(start or Path.cwd()).absolute()
    return next((folder for folder in (place, *place.parents) if is_root(folder)), None)


def is_root(folder: Path) -> bool:
    """Whether `folder` itself has been initialised."""
    return (folder / STATE_DIR / PROJECT_FILE).is_file()


def open_workspace(start: Path | None = None) -> Workspace:
    """The workspace that holds `start`.

    Raises:
        NotAWorkspace: no folder from `start` upwards has been initialised.
        ConfigError: the project file is not what it should be.
    """
    root = find_root(start)
    if root is None:
        raise NotAWorkspace(
            f"{Path(start or Path.cwd()).absolute()} is not in a tracked folder; run `ds init` there first"
        )
    return read_project(root)


def read_project(root: Path) -> Workspace:
    """Read `root`'s project file."""
    import tomllib

    path = root / STATE_DIR / PROJECT_FILE
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        return _from_toml(root, content)
    except (
        OSError,
        UnicodeDecodeError,
        tomllib.TOMLDecodeError,
        AttributeError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigError(
            f"{path} cannot be used ({error!r}); restore it; its dot id is what the folder's history belongs to"
        ) from error


def _from_toml(root: Path, content: dict[str, Any]) -> Workspace:
    if content["version"] != 1:
        raise ValueError(f"version {content['version']!r} is newer than this program understands")
    hub = content.get("hub")
    return Workspace(
        root=root,
        dot_id=str(UUID(content["dot_id"])),
        initialised_at=datetime.fromisoformat(str(content["initialised_at"])).astimezone(UTC),
        hub=HubBinding(**{name: str(hub[name]) for name in HubBinding.__struct_fields__}) if hub else None,
    )


def new_workspace(root: Path) -> Workspace:
    """A workspace with a new dot id, not yet written."""
    return Workspace(root=root, dot_id=str(uuid4()), initialised_at=datetime.now(UTC))


def write_project(workspace: Workspace) -> None:
    """Write the project file durably, making the state folder (0700) and the sidecar folder where they are missing."""
    workspace.state_dir.mkdir(mode=0o700, exist_ok=True)
    workspace.runs_dir.mkdir(mode=0o700, exist_ok=True)
    write_durably(workspace.state_dir / PROJECT_FILE, _to_toml(workspace).encode())


def _to_toml(workspace: Workspace) -> str:
    lines = [
        "version = 1",
        f'dot_id = "{workspace.dot_id}"',
        f'initialised_at = "{workspace.initialised_at.isoformat()}"',
    ]
    if workspace.hub is not None:
        lines += ["", "[hub]"]
        lines += [f"{name} = {_toml_string(getattr(workspace.hub, name))}" for name in HubBinding.__struct_fields__]
    return "\n".join(lines) + "\n"


def _toml_string(text: str) -> str:
    """A TOML basic string. JSON's escapes are a subset of TOML's, surrogate pairs aside (TOML 1.0, "String")."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` so that a crash leaves the old or the new file, whole: temp, fsync, rename, fsync."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a rename is not, until its folder is synced (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
