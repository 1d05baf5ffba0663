"""Finding a commit of a project, and what is at a path in it: what every service that reads files begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from msgspec import Raw

from dotscience.errors import NoSuchPath
from hub_server.content.packs import Packs
from hub_server.domain.problems import not_found
from hub_server.services.objects import ProjectObjects
from hub_server.store import commits
from hub_server.store.database import Database
from hub_server.store.projects import ProjectRef
from hub_server.thread_pool import ThreadPool

T = TypeVar("T")


class Snapshot(NamedTuple):
    """A commit: its `CommitInfo` as stored, the hash of its tree, and the objects that it consists of."""

    info: Raw
    root: bytes
    source: ProjectObjects


async def open_snapshot(database: Database, packs: Packs, project: ProjectRef, commit: bytes) -> Snapshot:
    """A commit of a project; on the event loop.

    Raises:
        Problem: not-found.
    """
    found = await database.read(lambda c: commits.find_commit(c, project.key, commit))
    if found is None:
        raise not_found("commit", commit.hex())
    info, root = found
    return Snapshot(info, root, ProjectObjects(database, packs, project.key))


async def look_up(workers: ThreadPool, path: str, look: Callable[[], T]) -> T:
    """What `look` finds at a path, on a worker.

    Raises:
        Problem: not-found, where nothing is; whatever else `look` raises.
    """
    try:
        return await workers.run(look)
    except NoSuchPath as error:
        raise not_found("path", path[:200]) from error
