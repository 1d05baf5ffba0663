"""Where a workspace is that the hub itself writes to."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from hub_server.domain.types import CommitInfo
from hub_server.store import commits
from hub_server.store.projects import MAIN_BRANCH, DotRow

CLIENT = "dotscience-hub"
"""The client that commits of the hub's own name."""
REMOTE_BRANCH = "remote"


class Volume(Struct, frozen=True):
    """A dot and one of its branches; "" is the one that the hub writes to."""

    dot: DotRow
    branch: str = ""


class Head(Struct, frozen=True, kw_only=True):
    """A branch, and the commit that it begins or goes on with; `begun` says whether it points there already."""

    branch: str
    begun: bool
    commit: bytes | None = None
    root: bytes | None = None
    info: CommitInfo | None = None

    @property
    def expected_parent(self) -> bytes | None:
        """The commit that the branch must point at for it to be moved on."""
        return self.commit if self.begun else None


def find_head(connection: Connection, volume: Volume) -> Head | None:
    """The volume's head; None where its branch does not exist.

    The hub writes to `main` as long as nobody else does. Where a committer has, it leaves `main` to that one, who would
    have to fork otherwise, and writes to `remote`, which begins where `main` was then.
    """
    heads = commits.branches(connection, volume.dot.id)
    name = volume.branch or (REMOTE_BRANCH if REMOTE_BRANCH in heads else MAIN_BRANCH)
    if name not in heads:
        return None if volume.branch else Head(branch=name, begun=False)
    found = _read(connection, volume.dot, name, bytes.fromhex(heads[name]))
    if volume.branch or name == REMOTE_BRANCH or (found.info is not None and found.info.client.startswith(CLIENT)):
        return found
    return msgspec.structs.replace(found, branch=REMOTE_BRANCH, begun=False)


def _read(connection: Connection, dot: DotRow, name: str, commit: bytes) -> Head:
    found = commits.find_commit(connection, dot.project.key, commit)
    if found is None:
        return Head(branch=name, begun=True, commit=commit)
    doc, root = found
    return Head(branch=name, begun=True, commit=commit, root=root, info=msgspec.json.decode(doc, type=CommitInfo))
