"""What committers push (docs/design/interfaces.md §4.1)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from committer.storage.codec import HASH_SIZE
from hub_server.content.packs import Upload
from hub_server.domain.types import CommitAccepted, DamagedObjects, DotInfo, PackAccepted, PushedBy
from hub_server.services.services import Services
from hub_server.services.sync import MAX_HASHES, MAX_LOST, MAX_PACK_BYTES, Move
from hub_server.web.operation import Call, Media, Nothing, Reply, operation
from hub_server.web.values import HEX_HASH, parse_hash

EPOCH_HEADER = "X-Dotscience-Gc-Epoch"

HexHash = Annotated[str, Meta(pattern=HEX_HASH)]


class MoveBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The commit that the branch is to point at, and the one that it must point at now.

    A null `expected_parent` says that the branch must not exist yet. `lost` are contents of files that whoever pushes
    does not have any more: the commit is taken without them.
    """

    commit: HexHash
    branch: str
    expected_parent: HexHash | None
    lost: Annotated[list[HexHash], Meta(max_length=MAX_LOST)] = []


@operation("GET", "/api/v1/dots/{dot}", scope="commits:write", response=DotInfo)
async def get_dot(hub: Services, call: Call[Nothing, None]) -> DotInfo:
    """The head of each branch of a dot."""
    return await hub.sync.state(call.dot)


@operation(
    "POST",
    "/api/v1/dots/{dot}/have",
    scope="commits:write",
    media=Media.BYTES,
    max_body=HASH_SIZE * MAX_HASHES,
    audited=False,
    changes_nothing=True,
    response=bytes,
    response_media="application/octet-stream",
)
async def have(hub: Services, call: Call[Nothing, bytes]) -> Reply:
    """Which of up to 16,384 concatenated hashes the dot's project has, as a bitmap, least significant bit first."""
    bitmap = await hub.sync.have(call.dot, call.body)
    return Reply(body=bitmap, headers={EPOCH_HEADER: str(call.dot.gc_epoch)})


@operation("GET", "/api/v1/dots/{dot}/damaged", scope="commits:write", response=DamagedObjects)
async def get_damaged(hub: Services, call: Call[Nothing, None]) -> DamagedObjects:
    """Objects of the dot's project that the hub found damaged: whoever still has them may send them again."""
    return await hub.sync.damaged(call.dot)


@operation(
    "PUT",
    "/api/v1/dots/{dot}/packs/{pack}",
    scope="commits:write",
    media=Media.PACK,
    max_body=MAX_PACK_BYTES,
    audited=False,
    response=PackAccepted,
    answers=(200, 201),
    problems=("corrupt-pack", "pack-busy", "storage-full", "storage-unavailable"),
)
async def put_pack(hub: Services, call: Call[Nothing, Upload]) -> Reply:
    """Upload a pack of at most 64 MiB; it is verified and durable when this answers."""
    accepted, is_new = await hub.sync.accept_pack(call.dot, parse_hash(call.path["pack"], "pack"), call.body)
    return Reply(body=accepted, status=201 if is_new else 200)


@operation(
    "POST",
    "/api/v1/dots/{dot}/commits",
    scope="commits:write",
    body=MoveBody,
    audited=False,
    response=CommitAccepted,
    answers=(200, 201),
    problems=("missing-objects", "missing-parents", "head-moved", "storage-full", "storage-unavailable"),
)
async def post_commit(hub: Services, call: Call[Nothing, MoveBody]) -> Reply:
    """Take in a commit whose objects are here, and point a branch at it. The same again is a 200."""
    wanted = call.body
    parent = wanted.expected_parent
    move = Move(
        commit=bytes.fromhex(wanted.commit),
        branch=wanted.branch,
        expected_parent=None if parent is None else bytes.fromhex(parent),
        pushed_by=PushedBy(account=call.caller.account_name, credential=call.caller.credential),
        lost=frozenset(map(bytes.fromhex, wanted.lost)),
    )
    accepted, is_new = await hub.sync.accept_commit(call.dot, move)
    return Reply(body=accepted, status=201 if is_new else 200)
