"""`/v2/models` and `/v2/deployers`: the models are listed; nothing builds or deploys them yet."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from hub_server.domain.problems import Problem, not_found
from hub_server.domain.scopes import SIGNED_IN
from hub_server.services.services import Services
from hub_server.store.models import PublishedModel
from hub_server.store.workspaces import ModelRow
from hub_server.web.operation import Call, Nothing, operation


class LegacyModel(Struct, frozen=True, kw_only=True):
    """A version of a model as the original's clients know it, and what of it was `overwritten` by a later run."""

    id: str
    name: str
    version: int
    project_id: str
    run_id: str
    type: str
    framework_version: str | None
    files: dict[str, str]
    overwritten: list[str]


class NewBuild(Struct, frozen=True):
    """What is to build the model."""

    builder: str = ""


@operation("GET", "/v2/models", scope="runs:read", response=list[LegacyModel])
async def list_models(hub: Services, call: Call[Nothing, None]) -> list[LegacyModel]:
    """The versions of models that the caller sees, newest first, up to 1,000."""
    return [_model(row) for row in await hub.volumes.models(call.caller)]


@operation(
    "POST",
    "/v2/models/{model}/builds",
    scope="commits:write",
    body=NewBuild,
    response=dict[str, Any],
    problems=("not-implemented",),
)
async def start_build(hub: Services, call: Call[Nothing, NewBuild]) -> None:
    """Build an image of a model."""
    found = await hub.volumes.model(call.caller, call.path["model"])
    # In ASCII, as the original's client shows the bytes.
    raise Problem(
        "not-implemented",
        f"this hub has no image builder yet, so it cannot build {found.name!a} with build=True or deploy=True. "
        f"The run {found.run_id} and its model were recorded: publish without build=True",
    )


@operation("GET", "/v2/models/{model}/builds/{build}", scope="runs:read", response=dict[str, Any])
async def get_build(hub: Services, call: Call[Nothing, None]) -> None:
    """A build of a model; there are none."""
    await hub.volumes.model(call.caller, call.path["model"])
    raise not_found("build", call.path["build"][:80])


@operation("GET", "/v2/deployers", scope=SIGNED_IN, response=list[dict[str, Any]])
async def list_deployers(_hub: Services, _call: Call[Nothing, None]) -> list[dict[str, Any]]:
    """The deployers; there are none."""
    return []


def _model(row: ModelRow) -> LegacyModel:
    artefact = msgspec.json.decode(row.doc, type=PublishedModel)
    return LegacyModel(
        id=f"{row.key}-{row.number}",
        name=row.name,
        version=row.number,
        project_id=row.project_id,
        run_id=row.run_id,
        type=artefact.type,
        framework_version=artefact.version,
        files=artefact.files,
        overwritten=artefact.overwritten,
    )
