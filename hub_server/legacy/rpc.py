"""`/v2/dotmesh/rpc`: JSON-RPC 2.0 with the methods of dotmesh that clients of projects need.

What goes wrong in a method is a JSON-RPC error in an answer with status 200: the original's client shows its users the
message of that, and of any other status only the number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
import structlog
from msgspec import Meta, Struct

from dotscience.errors import DiskFull, StorageUnavailable
from dotscience.legacy_commit import read_runs, runner_environment
from hub_server.domain.problems import Problem
from hub_server.domain.scopes import SIGNED_IN
from hub_server.legacy.volumes import commit_entry, describe, describe_volume, volume_id, writer_of
from hub_server.services.identity import utc_now
from hub_server.services.services import Services
from hub_server.services.volumes import MASTER, VolumeName
from hub_server.services.workspace_heads import Volume
from hub_server.web.base import authorise
from hub_server.web.operation import Call, Nothing, Reply, operation

log = structlog.get_logger()

P = TypeVar("P")

MAX_CALL_BYTES = 16 * 2**20
MAX_RUN_BYTES = 3 * 2**20
"""What is said about the runs of a commit; a record is stored as JSON of up to 4 MiB, and may grow on the way."""
PREFIX = "DotmeshRPC."
READ_PROJECTS, WRITE_PROJECTS = "projects:read", "projects:write"
READ_RUNS, WRITE_COMMITS = "runs:read", "commits:write"
METHOD_NOT_FOUND, INVALID_PARAMS, FAILED = -32601, -32602, -32000


class RpcCall(Struct, frozen=True, kw_only=True):
    """A call; without an `id` it is a notification, which is answered all the same."""

    method: Annotated[str, Meta(max_length=200)]
    id: str | int | float | None = None
    params: Any = None


class NoParams(Struct, frozen=True):
    """No parameters, or some that do not matter."""


class VolumeParams(Struct, frozen=True, rename="pascal"):
    """A volume by its name."""

    namespace: str
    name: str
    branch: str = ""

    @property
    def volume(self) -> VolumeName:
        """The name."""
        return VolumeName(self.namespace, self.name, "" if self.branch == MASTER else self.branch)


class CommitParams(VolumeParams, frozen=True, kw_only=True, rename="pascal"):
    """A commit to be made."""

    message: Annotated[str, Meta(max_length=2**16)] = ""
    metadata: dict[str, str] = {}


class IdParams(Struct, frozen=True, rename="pascal"):
    """A volume by its id."""

    filesystem_id: str


Do = Callable[[Services, Call[Nothing, RpcCall], Any], Awaitable[Any]]


class Method(Struct, frozen=True):
    """A method: the scope that it needs, its parameters and what it does."""

    scope: str
    params: type[Any]
    do: Do


METHODS: dict[str, Method] = {}
"""By name, without the prefix."""


def method(*names: str, scope: str, params: type[P]) -> Callable[[Do], Do]:
    """Declare the function below as the method of these names."""

    def declare(do: Do) -> Do:
        METHODS.update({name: Method(scope, params, do) for name in names})
        return do

    return declare


@operation(
    "POST",
    "/v2/dotmesh/rpc",
    scope=SIGNED_IN,
    body=RpcCall,
    max_body=MAX_CALL_BYTES,
    response=dict[str, Any],
    audited=lambda call: call.body.method == f"{PREFIX}Create",  # a commit is as frequent as a push
    noted=lambda call: f"{call.body.method} {call.body.params}",
)
async def call_dotmesh(hub: Services, call: Call[Nothing, RpcCall]) -> dict[str, Any] | Reply:
    """Call a method of dotmesh."""
    asked = call.body
    found = METHODS.get(asked.method.removeprefix(PREFIX)) if asked.method.startswith(PREFIX) else None
    if found is None:
        return _failed(asked, METHOD_NOT_FOUND, f"this hub has no method {asked.method!r} of dotmesh")
    try:
        authorise(call.caller, found.scope, asked.method)
        params = _read_params(asked.params, found.params)
        return {"jsonrpc": "2.0", "id": asked.id, "result": await found.do(hub, call, params)}
    except msgspec.ValidationError as error:
        return _failed(asked, INVALID_PARAMS, f"{asked.method} cannot be called so: {error}")
    except Problem as problem:
        about = {"type": f"/problems/{problem.kind}", "status": problem.type.status}
        return Reply(body=_failed(asked, FAILED, str(problem), about), noted=f"refused: {problem}")
    except (DiskFull, StorageUnavailable) as error:
        log.error("storage.failed", error=str(error))  # noqa: TRY400 - the message says it all
        return _failed(asked, FAILED, "the hub cannot store this now; try again later, or ask its operator")


@method("Ping", scope=SIGNED_IN, params=NoParams)
async def ping(_hub: Services, _call: Call[Nothing, RpcCall], _params: NoParams) -> str:
    """Whether the hub is there and takes the credentials."""
    return "pong"


@method("Version", scope=SIGNED_IN, params=NoParams)
async def version(hub: Services, _call: Call[Nothing, RpcCall], _params: NoParams) -> dict[str, Any]:
    """The version; newer ones are not looked for."""
    return {"InstalledVersion": hub.version, "CurrentVersion": hub.version, "Outdated": False}


@method("CurrentUser", "AuthenticatedUser", scope=SIGNED_IN, params=NoParams)
async def current_user(_hub: Services, call: Call[Nothing, RpcCall], _params: NoParams) -> dict[str, Any]:
    """Who calls."""
    return {"Id": call.caller.account_id, "Name": call.caller.account_name, "Email": "", "EmailHash": ""}


@method("Lookup", scope=READ_PROJECTS, params=VolumeParams)
async def lookup(hub: Services, call: Call[Nothing, RpcCall], params: VolumeParams) -> str:
    """The id of a volume."""
    volume = await hub.volumes.find(call.caller, params.volume, READ_PROJECTS)
    await hub.workspaces.commits.head(volume)
    return volume_id(volume)


@method("Exists", scope=READ_PROJECTS, params=VolumeParams)
async def exists(hub: Services, call: Call[Nothing, RpcCall], params: VolumeParams) -> str:
    """The id of a volume, empty where there is none."""
    try:
        return await lookup(hub, call, params)  # type: ignore[no-any-return]
    except Problem as problem:
        if problem.kind != "not-found":
            raise
        return ""


@method("Get", scope=READ_PROJECTS, params=IdParams)
async def get(hub: Services, call: Call[Nothing, RpcCall], params: IdParams) -> dict[str, Any]:
    """A volume."""
    return await describe_volume(
        hub, call.caller, await hub.volumes.by_dot(call.caller, params.filesystem_id, READ_PROJECTS)
    )


@method("List", scope=READ_PROJECTS, params=NoParams)
async def list_volumes(hub: Services, call: Call[Nothing, RpcCall], _params: NoParams) -> dict[str, Any]:
    """All volumes, by namespace and name; their sizes are not looked up, and said to be 0."""
    found = [one for one in await hub.volumes.projects(call.caller) if one.dot_id is not None]
    counts = await hub.volumes.count_commits([one.dot_id for one in found if one.dot_id is not None])
    described = [
        describe(call.caller, one, one.dot_id, "", size=0, commits=counts.get(one.dot_id, 0))
        for one in found
        if one.dot_id is not None
    ]
    return {call.caller.account_name: {one["Name"]["Name"]: one for one in described}}


@method("Create", scope=WRITE_PROJECTS, params=VolumeParams)
async def create(hub: Services, call: Call[Nothing, RpcCall], params: VolumeParams) -> bool:
    """Make a project of this name, and with it a workspace that the name stands for, too."""
    name = params.volume
    if name.namespace != call.caller.account_name:
        raise Problem(
            "not-found", f"there is no namespace {name.namespace[:80]!r} that you can write to; yours is your name"
        )
    if await hub.volumes.exists(call.caller, name, READ_PROJECTS):
        raise Problem("path-taken", f"{name.name[:80]!r} exists")
    await hub.volumes.check_name(call.caller, name.name)
    await hub.projects.create(call.caller, name.name, None)
    return True


@method("Branches", scope=READ_RUNS, params=VolumeParams)
async def branches(hub: Services, call: Call[Nothing, RpcCall], params: VolumeParams) -> list[str]:
    """The branches of a volume, but for the one of the empty name."""
    volume = await hub.volumes.find(call.caller, params.volume, READ_RUNS)
    written = (await hub.workspaces.commits.head(Volume(volume.dot))).branch
    return [name for name in await hub.volumes.branches(volume) if name != written]


@method("Commits", scope=READ_RUNS, params=VolumeParams)
async def list_commits(hub: Services, call: Call[Nothing, RpcCall], params: VolumeParams) -> list[dict[str, Any]]:
    """The last 1,000 commits of a volume, oldest first."""
    return await _log(hub, await hub.volumes.find(call.caller, params.volume, READ_RUNS))


@method("CommitsById", scope=READ_RUNS, params=IdParams)
async def list_commits_by_id(hub: Services, call: Call[Nothing, RpcCall], params: IdParams) -> list[dict[str, Any]]:
    """As `Commits`, of a volume by its id."""
    return await _log(hub, await hub.volumes.by_dot(call.caller, params.filesystem_id, READ_RUNS))


@method("Commit", scope=WRITE_COMMITS, params=CommitParams)
async def commit(hub: Services, call: Call[Nothing, RpcCall], params: CommitParams) -> str:
    """Commit a volume with the runs that the metadata describe; the id of the commit."""
    volume = await hub.volumes.find(call.caller, params.volume, WRITE_COMMITS)
    _check_size(params.metadata)
    reading = await hub.workers.run(lambda: read_runs(params.metadata, dot_id=volume.dot.id))
    if reading.errors:
        raise Problem(
            "invalid", f"nothing was recorded, as the metadata cannot be read: {'; '.join(reading.errors[:5])}"
        )
    environment = runner_environment(params.metadata, utc_now())
    writer = writer_of(call.caller)
    made = await hub.workspaces.commit_runs(volume, writer, params.message, reading.records, environment)
    return made.id.hex()


async def _log(hub: Services, volume: Volume) -> list[dict[str, Any]]:
    head = await hub.workspaces.commits.head(volume)
    return [commit_entry(info, runs) for info, runs in await hub.volumes.log(volume, head.branch)]


def _check_size(metadata: dict[str, str]) -> None:
    size = sum(len(key) + len(value) for key, value in metadata.items())
    if size > MAX_RUN_BYTES:
        raise Problem("too-large", f"the metadata of a commit has at most {MAX_RUN_BYTES} characters, and this {size}")


def _read_params(params: Any, kind: type[P]) -> P:
    """The parameters: an object, a list with one, or, where a method takes one value only, that value."""
    if isinstance(params, list) and len(params) == 1:
        params = params[0]
    if isinstance(params, str) and kind is IdParams:
        params = {"FilesystemId": params}
    return msgspec.convert({} if params is None and kind is NoParams else params, kind)


def _failed(asked: RpcCall, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": asked.id, "error": error}
