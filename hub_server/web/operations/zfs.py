"""What senders on ZFS push besides packs, where the hub is on ZFS too and trusts them (docs/zfs.md)."""

from __future__ import annotations

from hub_server.domain.types import ZfsInfo
from hub_server.services.services import Services
from hub_server.services.zfs import StreamQuery
from hub_server.web.operation import Call, Media, Nothing, operation

MAX_STREAM_BYTES = 2**60


@operation("GET", "/api/v1/dots/{dot}/zfs", scope="zfs:receive", response=ZfsInfo, problems=("zfs-off",))
async def get_zfs(hub: Services, call: Call[Nothing, None]) -> ZfsInfo:
    """The snapshots that the hub has of a dot as ZFS datasets, and the token of a stream that broke off."""
    return await hub.zfs.state(call.dot)


@operation(
    "POST",
    "/api/v1/dots/{dot}/zfs/receive",
    scope="zfs:receive",
    query=StreamQuery,
    media=Media.ZFS,
    max_body=MAX_STREAM_BYTES,
    response=ZfsInfo,
    problems=("zfs-off", "zfs-busy", "zfs-refused", "storage-full"),
)
async def receive_zfs(hub: Services, call: Call[StreamQuery, None]) -> ZfsInfo:
    """Receive a ZFS stream; what arrived of one that breaks off is kept, and can be continued."""
    return await hub.zfs.state(call.dot)
