"""Everything below `/v2`, for the composition root."""

from __future__ import annotations

from hub_server.legacy import files, models, projects, rpc
from hub_server.legacy.handler import LegacyHandler, RunLinkHandler
from hub_server.web.application import FurtherApi
from hub_server.web.operation import Operation, collect

OPERATIONS: list[Operation] = collect([projects, models, rpc, files])
"""In the order in which paths are tried."""

LEGACY_API = FurtherApi(
    prefix="/v2",
    operations=OPERATIONS,
    handler=LegacyHandler,
    pages=[(r"/project/([0-9a-f-]{36})/runs/metric/([0-9a-f-]{36})", RunLinkHandler)],
)
