"""Is a hub there, and which one."""

from __future__ import annotations

from hub_server.domain.scopes import ANONYMOUS
from hub_server.domain.types import Health, Version
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, operation

METRICS_MEDIA = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats)."""


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


@operation("GET", "/metrics", scope="metrics:read", response=bytes, response_media=METRICS_MEDIA, open_on_loopback=True)
async def metrics(hub: Services, _call: Call[Nothing, None]) -> bytes:
    """What the hub measures of itself, for Prometheus; without a token for programs on the hub's machine."""
    return await hub.report.text()
