"""Workspaces as dotmesh's API shows them: volumes, and commits with flat metadata."""

from __future__ import annotations

from typing import Any

from dotscience.legacy_commit import describe_commit
from dotscience.record import RunRecord
from hub_server.domain.scopes import Caller
from hub_server.domain.types import CommitInfo, ProjectInfo
from hub_server.services.services import Services
from hub_server.services.volumes import VolumeName, workspace_name
from hub_server.services.workspace_heads import Volume
from hub_server.services.workspaces import Writer
from hub_server.web.operation import Call


def volume_of(call: Call[Any, Any]) -> Volume:
    """The volume in the path of a call."""
    return Volume(call.dot, VolumeName.parse(call.path["volume"]).branch)


def writer_of(caller: Caller) -> Writer:
    """The caller as whoever writes."""
    return Writer(caller.account_name, caller.credential)


def volume_id(volume: Volume) -> str:
    """What stands for a volume in dotmesh's calls."""
    return f"{volume.dot.id}@{volume.branch}" if volume.branch else volume.dot.id


async def describe_volume(hub: Services, caller: Caller, volume: Volume) -> dict[str, Any]:
    """A volume, as `DotmeshRPC.Get` answers it."""
    project = await hub.volumes.project(caller, volume)
    head = await hub.workspaces.commits.head(volume)
    counts = await hub.volumes.count_commits([volume.dot.id])
    size = head.info.size if head.info is not None else 0
    commits = counts.get(volume.dot.id, 0)
    return describe(caller, project, volume_id(volume), volume.branch, size=size, commits=commits)


def describe(
    caller: Caller, project: ProjectInfo, name: str, branch: str, *, size: int, commits: int
) -> dict[str, Any]:
    """A volume's fields; those about servers are empty, as there is one."""
    return {
        "Id": name,
        "Name": {"Namespace": caller.account_name, "Name": workspace_name(project.id)},
        "Branch": branch,
        "Master": "",
        "SizeBytes": size,
        "DirtyBytes": 0,
        "CommitCount": commits,
        "ServerStates": {},
        "ServerStatuses": {},
        "ForkParentId": "",
        "ForkParentSnapshotId": "",
    }


def commit_entry(info: CommitInfo, runs: list[RunRecord]) -> dict[str, Any]:
    """A commit, as `DotmeshRPC.Commits` lists it."""
    metadata = describe_commit(runs, author=info.author, message=info.message, created_at=info.created_at)
    return {"Id": info.id, "Metadata": metadata}
