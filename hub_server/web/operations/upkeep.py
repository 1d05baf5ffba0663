"""Looking after what the hub stores."""

from __future__ import annotations

from msgspec import Struct

from hub_server.domain.types import Collected, Scrubbed, Upkeep, UpkeepState
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, Reply, operation


class CollectBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: only find out what would be deleted."""

    dry_run: bool = False


@operation("GET", "/api/v1/upkeep", scope="admin", response=UpkeepState)
async def get_upkeep(hub: Services, _call: Call[Nothing, None]) -> UpkeepState:
    """What garbage collection and scrubbing do now, or did last since the hub started."""
    return hub.upkeep.state()


@operation("POST", "/api/v1/upkeep/gc", scope="admin", body=CollectBody, response=Upkeep[Collected], answers=(202,))
async def collect_garbage(hub: Services, call: Call[Nothing, CollectBody]) -> Reply:
    """Start to delete what no commit needs; where that is under way, it just goes on."""
    return Reply(body=hub.upkeep.collect_garbage(dry_run=call.body.dry_run), status=202)


@operation("POST", "/api/v1/upkeep/scrub", scope="admin", body=Nothing, response=Upkeep[Scrubbed], answers=(202,))
async def scrub(hub: Services, _call: Call[Nothing, Nothing]) -> Reply:
    """Start to read and check every pack; where that is under way, it just goes on."""
    return Reply(body=hub.upkeep.scrub(), status=202)
