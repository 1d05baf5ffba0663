"""Workspaces by the names that the original's API gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from msgspec import Struct

from dotscience.record import RunRecord
from hub_server.domain.cursor import Position
from hub_server.domain.names import check_branch, clean_name
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.scopes import SIGNED_IN, Caller
from hub_server.domain.types import CommitInfo, ProjectInfo
from hub_server.services.projects import Projects
from hub_server.services.workspace_heads import Volume
from hub_server.store import commits, workspaces
from hub_server.store.database import Database
from hub_server.store.projects import DotRow
from hub_server.store.workspaces import ModelRow, NamedProject

MAX_PROJECTS = 10_000
MAX_LOG = 1_000
MAX_MODELS = 1_000
MODELS_SCOPE = "runs:read"
MASTER = "master"
NOT_MADE = {
    "nametaken": "a project that you cannot see has this name; choose another one, or ask its owner to let you in",
    "intrash": "your project of this name is in the trash; `ds project restore` brings it back, or choose another name",
}
"""What stands for the id of a project that could not be made, and why it could not."""

_WORKSPACE = re.compile(r"project-([0-9a-f]{8})-default-workspace", re.ASCII)
_PAGE = 200


class VolumeName(Struct, frozen=True):
    """A workspace's name: whose it is, which it is, and a branch; "" is the one that is written to."""

    namespace: str
    name: str
    branch: str = ""

    @classmethod
    def parse(cls, text: str) -> VolumeName:
        """Read `namespace:name@branch`; the branch may be left out."""
        namespace, _, rest = text.partition(":")
        name, _, branch = rest.rpartition("@") if "@" in rest else (rest, "", "")
        return cls(namespace, name, "" if branch == MASTER else branch)


def workspace_name(project_id: str) -> str:
    """The name that the original's clients give the workspace of a project."""
    return f"project-{project_id[:8]}-default-workspace"


class Volumes:
    """Finds what callers name. Each caller has all workspaces that they see in the namespace of their own name."""

    def __init__(self, database: Database, projects: Projects, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._projects = projects
        self._clock = clock

    async def find(self, caller: Caller, name: VolumeName, scope: str) -> Volume:
        """The workspace of this name, for a caller who may do in its project what `scope` stands for.

        It is made where its project has none yet. A project's own name stands for its workspace, too.

        Raises:
            Problem: not-found; forbidden; invalid, for a name that stands for several.
        """
        for stand_in in NOT_MADE:
            if name.name == workspace_name(stand_in):
                raise _not_made(stand_in)
        found = await self._matches(caller, name, scope)
        if not found:
            raise not_found("workspace", f"{name.namespace}:{name.name}"[:200])
        if len(found) > 1:
            raise invalid("/name", f"{len(found)} projects have ids that begin so; give the project's name instead")
        branch = check_branch(name.branch) if name.branch else ""
        return Volume(await self._dot(found[0]), branch)

    async def check_name(self, caller: Caller, name: str) -> None:
        """Make sure that the caller finds a new project under the name that it is given.

        The hub would number it, so that a client which looks for its project by name would make another each time.

        Raises:
            Problem: path-taken, where a project that the caller does not see has the name, or one in the trash. The
                original's client does not look at the status, so the problem has an `id` that leads `find` to say the
                same.
        """
        for taken in await self._database.read(lambda c: workspaces.projects_by_name(c, clean_name(name))):
            if not await self._enters(caller, taken.ref.id, SIGNED_IN):
                is_trashed = await self._projects.has_in_trash(caller, taken.ref.id)
                raise _not_made("intrash" if is_trashed else "nametaken")

    async def exists(self, caller: Caller, name: VolumeName, scope: str) -> bool:
        """Whether there is a workspace of this name in which the caller may do this."""
        return bool(await self._matches(caller, name, scope))

    async def project(self, caller: Caller, volume: Volume) -> ProjectInfo:
        """The project that a workspace is of."""
        return await self._projects.get(caller, volume.dot.project)

    async def by_dot(self, caller: Caller, dot_id: str, scope: str) -> Volume:
        """The workspace with this id, for a caller who may do in its project what `scope` stands for.

        Raises:
            Problem: not-found; forbidden.
        """
        dot_id, _, branch = dot_id.partition("@")
        return Volume(await self._projects.enter_dot(caller, dot_id, scope), check_branch(branch) if branch else "")

    async def projects(self, caller: Caller) -> list[ProjectInfo]:
        """All projects that the caller sees, newest first, up to 10,000."""
        found: list[ProjectInfo] = []
        after: Position | None = None
        while len(found) < MAX_PROJECTS:
            page = await self._projects.list(caller, in_trash=False, after=after, limit=_PAGE)
            found.extend(page.items)
            after = page.position
            if after is None:
                break
        return found

    async def snapshot(self, volume: Volume, commit: bytes) -> bytes:
        """The tree of a commit of the volume's project.

        Raises:
            Problem: not-found.
        """
        found = await self._database.read(lambda c: commits.find_commit(c, volume.dot.project.key, commit))
        if found is None:
            raise not_found("commit", commit.hex())
        return found[1]

    async def branches(self, volume: Volume) -> list[str]:
        """The names of the branches."""
        return list(await self._database.read(lambda c: commits.branches(c, volume.dot.id)))

    async def count_commits(self, dot_ids: Sequence[str]) -> dict[str, int]:
        """How many commits workspaces have; those without any are left out."""
        return await self._database.read(lambda c: workspaces.count_commits(c, dot_ids))

    async def log(self, volume: Volume, branch: str) -> list[tuple[CommitInfo, list[RunRecord]]]:
        """The last 1,000 commits of a branch, oldest first, each with its runs."""
        return await self._database.read(lambda c: workspaces.read_log(c, volume.dot.id, branch, MAX_LOG))

    async def models(self, caller: Caller) -> list[ModelRow]:
        """The newest 1,000 versions of models, as far as the caller sees them."""
        projects = await self._database.read(workspaces.projects_with_models)
        seen = [key for key, project_id in projects if await self._enters(caller, project_id, MODELS_SCOPE)]
        return await self._database.read(lambda c: workspaces.newest_models(c, seen, MAX_MODELS))

    async def model(self, caller: Caller, model_id: str) -> ModelRow:
        """A model's version by its id, `key-number`.

        Raises:
            Problem: not-found.
        """
        key, _, number = model_id.partition("-")
        if all(part.isascii() and part.isdigit() and len(part) < 10 for part in (key, number)):
            found = await self._database.read(lambda c: workspaces.find_model(c, int(key), int(number)))
            if found is not None and await self._enters(caller, found.project_id, MODELS_SCOPE):
                return found
        raise not_found("model", model_id[:80])

    async def _matches(self, caller: Caller, name: VolumeName, scope: str) -> list[NamedProject]:
        if name.namespace != caller.account_name:
            return []
        match = _WORKSPACE.fullmatch(name.name)
        if match is None:
            found = await self._database.read(lambda c: workspaces.projects_by_name(c, name.name))
        else:
            found = await self._database.read(lambda c: workspaces.projects_by_prefix(c, match[1]))
        return [one for one in found if await self._enters(caller, one.ref.id, scope)]

    async def _enters(self, caller: Caller, project_id: str, scope: str) -> bool:
        """Whether the project exists for the caller.

        Raises:
            Problem: forbidden, where it does, and their role in it does not allow this.
        """
        try:
            await self._projects.enter(caller, project_id, scope)
        except Problem as problem:
            if problem.kind != "not-found":
                raise
            return False
        return True

    async def _dot(self, named: NamedProject) -> DotRow:
        if named.dot is not None:
            return named.dot
        new_id, now = str(uuid4()), self._clock()
        return await self._database.write(lambda c: workspaces.ensure_dot(c, named.ref, new_id, now))


def _not_made(stand_in: str) -> Problem:
    return Problem("path-taken", NOT_MADE[stand_in], extra={"id": stand_in})
