"""What a project has, to download as one archive."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from hub_server.domain.problems import not_found
from hub_server.services.archive_formats import ArchiveFormat
from hub_server.services.services import Services
from hub_server.web.files import ARCHIVE_TYPES, archive_reply
from hub_server.web.operation import Call, Reply, operation
from hub_server.web.operations.commits import MAX_PATH_CHARS
from hub_server.web.values import parse_hash, parse_number

PROJECT = "/api/v1/projects/{project}"
SHORT_COMMIT, SHORT_RUN = 12, 8
ANSWER: dict[str, Any] = {
    "response": bytes,
    "response_media": ARCHIVE_TYPES["zip"],
    "other_media": (ARCHIVE_TYPES["tar"],),
    "problems": ("too-large", "too-expensive"),
    "in_turn": True,
}


class ArchiveQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which kind of archive; a tar keeps names that are not UTF-8."""

    format: ArchiveFormat = "zip"


class FolderQuery(ArchiveQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """And which folder or file of the snapshot; all of it without a path."""

    path: Annotated[str, Meta(max_length=MAX_PATH_CHARS)] = ""


@operation("GET", PROJECT + "/commits/{commit}/archive", scope="runs:read", query=FolderQuery, **ANSWER)
async def download_commit(hub: Services, call: Call[FolderQuery, None]) -> Reply:
    """A commit, or a folder of it, as one archive."""
    return await _folder(hub, call, parse_hash(call.path["commit"], "commit"), call.query.path)


@operation("GET", PROJECT + "/runs/{run}/archive", scope="runs:read", query=ArchiveQuery, **ANSWER)
async def download_run(hub: Services, call: Call[ArchiveQuery, None]) -> Reply:
    """The workspace of a run, as its commit has it, as one archive."""
    found = await hub.history.run(call.project, call.path["run"])
    if found.commit is None:
        raise not_found("commit of run", found.id)
    return await _folder(hub, call, bytes.fromhex(found.commit), run=found.id)


@operation(
    "GET", PROJECT + "/models/{model}/versions/{version}/archive", scope="runs:read", query=ArchiveQuery, **ANSWER
)
async def download_model(hub: Services, call: Call[ArchiveQuery, None]) -> Reply:
    """The files of a version of a model as one archive."""
    number = parse_number(call.path["version"], "version of that model")
    found = await hub.models.version(call.project, call.path["model"], number)
    archive = await hub.archives.files(
        call.project,
        bytes.fromhex(found.commit),
        list(found.files.values()),
        named=f"{found.model}-{number}",
        form=call.query.format,
    )
    return archive_reply(archive, call.query.format)


async def _folder(hub: Services, call: Call[Any, None], commit: bytes, path: str = "", run: str | None = None) -> Reply:
    project = await hub.projects.get(call.caller, call.project)
    named = f"{project.name}-{commit.hex()[:SHORT_COMMIT] if run is None else run[:SHORT_RUN]}"
    archive = await hub.archives.folder(call.project, commit, path, named=named, form=call.query.format)
    return archive_reply(archive, call.query.format)
