"""Is a hub there, and which one."""

from __future__ import annotations

from hub_server.domain.scopes import ANONYMOUS
from hub_server.domain.types import Health, Version
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, operation


@operation("GET", "/healthz", scope=ANONYMOUS, response=Health)
async def health(_hub: Services, _call: Call[Nothing, None]) -> Health:
    """Whether the hub answers."""
    return Health()


@operation("GET", "/readyz", scope=ANONYMOUS, response=Health, problems=("storage-unavailable",))
async def ready(hub: Services, _call: Call[Nothing, None]) -> Health:
    """Whether the hub can do its work: its database answers."""
    await hub.readiness.check()
    return Health()


@operation("GET", "/api/v1/version", scope=ANONYMOUS, response=Version)
async def version(hub: Services, _call: Call[Nothing, None]) -> Version:
    """The hub's version, and that of its API."""
    return Version(version=hub.version)
