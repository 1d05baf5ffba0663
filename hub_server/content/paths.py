"""Which paths a snapshot can have, for those that clients send one by one.

They are those that a checkout can write anywhere (docs/design/store-format.md): relative, without `.`, `..` and empty
names, and never Dotscience's own state.
"""

from __future__ import annotations

from committer.storage.state_names import is_state
from committer.storage.tree import NOT_NAMES
from hub_server.domain.problems import Problem, invalid

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
MAX_DEPTH = 128
"""Folders in folders; as many as a committer takes."""

Path = tuple[bytes, ...]
"""The names from the root on; empty for the root itself."""


def split_key(key: str | bytes, pointer: str = "/key") -> Path:
    """The names in a path; bytes that are no UTF-8 come with PEP 383 surrogates.

    Raises:
        Problem: invalid, for a path that no snapshot can have.
    """
    raw = key if isinstance(key, bytes) else key.encode("utf-8", "surrogateescape")
    if raw.startswith(b"/"):
        raise _refused(raw, pointer, "is absolute; name it relative to the workspace")
    return check_path(tuple(raw.split(b"/")) if raw else (), pointer)


def check_path(path: Path, pointer: str = "/key") -> Path:
    """The same path.

    Raises:
        Problem: invalid, for a path that no snapshot can have.
    """
    raw = b"/".join(path)
    if any(name in NOT_NAMES for name in path):
        raise _refused(raw, pointer, "has an empty, `.` or `..` part; paths lead straight to what they name")
    if b"\0" in raw or any(len(name) > MAX_NAME_BYTES for name in path) or len(raw) > MAX_PATH_BYTES:
        raise _refused(raw, pointer, f"has a NUL, a name over {MAX_NAME_BYTES} bytes, or over {MAX_PATH_BYTES} in all")
    if len(path) > MAX_DEPTH:
        raise _refused(raw, pointer, f"lies in more than {MAX_DEPTH} folders")
    if any(is_state(name) for name in path):
        raise _refused(raw, pointer, "is where Dotscience keeps its own state; no snapshot holds it")
    return path


def check_target(path: Path, target: bytes, pointer: str) -> None:
    """Refuse a symbolic link at `path` that leads out of the workspace.

    Only leading `..` are taken: a `..` after a name would start from wherever that name, if it is a link, leads to.

    Raises:
        Problem: invalid.
    """
    names = target.split(b"/")
    up = 0
    while up < len(names) and names[up] == b"..":
        up += 1
    leads_out = target.startswith(b"/") or up > len(path) - 1 or b".." in names[up:]
    if leads_out or not target or b"\0" in target or len(target) > MAX_PATH_BYTES:
        raise _refused(b"/".join(path), pointer, f"links to {shown(target)}, which may be outside of the workspace")


def shown(path: bytes) -> str:
    """A path for people to read, on one line and not too long."""
    return repr(path[:120].decode("utf-8", "backslashreplace"))


def _refused(raw: bytes, pointer: str, why: str) -> Problem:
    return invalid(pointer, f"{shown(raw)} {why}")
