"""Models."""

from __future__ import annotations

from hub_server.domain.types import ModelInfo, ModelVersion, Page
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, operation
from hub_server.web.paging import Cursors, PageQuery
from hub_server.web.values import parse_number

BASE = "/api/v1/projects/{project}/models"


@operation("GET", BASE, scope="runs:read", query=PageQuery, response=Page[ModelInfo])
async def list_models(hub: Services, call: Call[PageQuery, None]) -> Page[ModelInfo]:
    """The models that the project's runs have published, by name."""
    cursors = Cursors(hub, f"models:{call.project.id}")
    return cursors.page(await hub.models.models(call.project, cursors.read(call.query.cursor), call.query.limit))


@operation("GET", BASE + "/{model}/versions", scope="runs:read", query=PageQuery, response=Page[ModelVersion])
async def list_model_versions(hub: Services, call: Call[PageQuery, None]) -> Page[ModelVersion]:
    """A model's versions, newest first."""
    name = call.path["model"]
    cursors = Cursors(hub, f"model-versions:{call.project.id}:{name}")
    after = cursors.read(call.query.cursor)
    return cursors.page(await hub.models.versions(call.project, name, after, call.query.limit))


@operation("GET", BASE + "/{model}/versions/{version}", scope="runs:read", response=ModelVersion)
async def get_model_version(hub: Services, call: Call[Nothing, None]) -> ModelVersion:
    """One version of a model, with the run that published it."""
    return await hub.models.version(
        call.project, call.path["model"], parse_number(call.path["version"], "version of that model")
    )
