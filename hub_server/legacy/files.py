"""`/v2/dotmesh/s3/…`: the files of workspaces, by keys, as dotmesh's S3-like API has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from xml.etree import ElementTree as ET

from msgspec import Meta, Struct, to_builtins

from hub_server.content.paths import split_key
from hub_server.domain.problems import not_found
from hub_server.legacy.volumes import volume_of, writer_of
from hub_server.services.arrivals import MAX_UPLOAD_BYTES, Arrival
from hub_server.services.folders import Keys, Wanted
from hub_server.services.services import Services
from hub_server.services.workspace_heads import Volume
from hub_server.web.files import file_reply
from hub_server.web.operation import Call, Media, Nothing, Reply, operation
from hub_server.web.values import parse_hash

BASE = "/v2/dotmesh/s3/{volume}"
AT_SNAPSHOT = BASE + "/snapshot/{snapshot}"
MAX_KEYS = 10_000
SNAPSHOT_HEADER = "Snapshot"
TAR = "application/x-tar"
XML = "application/xml; charset=utf-8"
LATEST = "latest"


class ListQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="pascal"):
    """Which keys: those of the folder `Prefix` and below, and which page of them, from 0.

    With `NonRecursive` only those right in the folder; with `IncludeDirectories` folders as well.
    """

    prefix: Annotated[str, Meta(max_length=4096)] = ""
    max_keys: Annotated[int, Meta(ge=1, le=MAX_KEYS)] = 100
    page: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    non_recursive: bool = False
    include_directories: bool = False
    format: Literal["json", "xml"] = "xml"


class Uploaded(Struct, frozen=True):
    """The commit that an upload or a deletion made."""

    commit: str


def receive(hub: Services, call: Call[Any, Any]) -> Arrival:
    """Start to receive an upload."""
    headers = call.request.headers
    is_archive = headers.get("Extract", "").strip().lower() == "true"
    arrival = Arrival(hub.workspaces, volume_of(call), writer_of(call.caller), call.path["key"], is_archive=is_archive)
    length = headers.get("Content-Length", "")
    arrival.check(int(length[:18]) if length.isdecimal() else 0)
    return arrival


@operation("GET", BASE, scope="runs:read", query=ListQuery, response=dict[str, Any])
async def list_keys(hub: Services, call: Call[ListQuery, None]) -> Reply:
    """A page of the keys in a workspace."""
    return await _list(hub, call)


@operation("GET", AT_SNAPSHOT, scope="runs:read", query=ListQuery, response=dict[str, Any])
async def list_keys_at(hub: Services, call: Call[ListQuery, None]) -> Reply:
    """A page of the keys in a commit of a workspace."""
    return await _list(hub, call)


@operation("GET", AT_SNAPSHOT + "/{key}", scope="runs:read", response=bytes)
async def get_object_at(hub: Services, call: Call[Nothing, None]) -> Reply:
    """A file of a commit, or a folder as a tar archive."""
    return await _get(hub, call)


@operation("GET", BASE + "/{key}", scope="runs:read", response=bytes)
async def get_object(hub: Services, call: Call[Nothing, None]) -> Reply:
    """A file of a workspace, or a folder as a tar archive."""
    return await _get(hub, call)


@operation(
    "PUT",
    BASE + "/{key}",
    scope="commits:write",
    media=Media.FILE,
    max_body=MAX_UPLOAD_BYTES,
    receive=receive,
    response=Uploaded,
    audited=False,
    problems=("locked", "path-taken", "corrupt-archive"),
)
async def put_object(_hub: Services, call: Call[Nothing, Arrival]) -> Reply:
    """Upload a file, or with the header `Extract: true` a tar archive that is unpacked; a commit either way."""
    made = await call.body.commit()
    return _committed(made.id)


@operation("DELETE", BASE + "/{key}", scope="commits:write", response=Uploaded, problems=("locked",))
async def delete_object(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Delete a file or folder, as a commit."""
    path = split_key(call.path["key"])
    made = await hub.workspaces.delete(volume_of(call), writer_of(call.caller), path)
    return _committed(made.id)


def _committed(commit: bytes) -> Reply:
    return Reply(body=Uploaded(commit.hex()), headers={SNAPSHOT_HEADER: commit.hex()})


async def _list(hub: Services, call: Call[ListQuery, None]) -> Reply:
    query = call.query
    wanted = Wanted(
        prefix=split_key(query.prefix.strip("/"), "Prefix"),
        recursive=not query.non_recursive,
        folders=query.include_directories,
        page=query.page,
        size=query.max_keys,
    )
    _, root = await _snapshot(hub, call)
    found = await hub.folders.keys(call.dot, root, wanted)
    if query.format == "json":
        return Reply(body=_as_json(found))
    return Reply(body=_as_xml(call.path["volume"], query.prefix, found), headers={"Content-Type": XML})


async def _get(hub: Services, call: Call[Nothing, None]) -> Reply:
    key = call.path["key"].rstrip("/")
    commit, root = await _snapshot(hub, call)
    if commit is None or root is None:
        raise not_found("path", key[:200])
    marked = {SNAPSHOT_HEADER: commit.hex()}
    if await hub.folders.is_folder(call.dot, root, key):
        return Reply(body=await hub.folders.archive(call.dot, root, key), headers={"Content-Type": TAR, **marked})
    file = await hub.history.file(call.dot.project, commit, key)
    reply = file_reply(file, call.request.headers, download=True)
    return Reply(body=reply.body, status=reply.status, headers={**reply.headers, **marked})


async def _snapshot(hub: Services, call: Call[Any, Any]) -> tuple[bytes | None, bytes | None]:
    """The commit that a call is about, and its tree; None where there is none yet."""
    volume: Volume = volume_of(call)
    named = call.path.get("snapshot", LATEST)
    if named != LATEST:
        commit = parse_hash(named, "commit")
        return commit, await hub.volumes.snapshot(volume, commit)
    head = await hub.workspaces.commits.head(volume)
    return head.commit, head.root


def _as_json(found: Keys) -> dict[str, Any]:
    items = [
        {"key": one.key, "last_modified": to_builtins(one.modified_at), "size": one.size, "directory": one.is_folder}
        for one in found.keys
    ]
    return {"Items": items, "TotalCount": found.total}


def _as_xml(volume: str, prefix: str, found: Keys) -> bytes:
    result = ET.Element("ListBucketResult")
    ET.SubElement(result, "Name").text = _printable(volume)
    ET.SubElement(result, "Prefix").text = _printable(prefix)
    for one in found.keys:
        contents = ET.SubElement(result, "Contents")
        ET.SubElement(contents, "Key").text = _printable(one.key)
        ET.SubElement(contents, "LastModified").text = to_builtins(one.modified_at) or ""
        ET.SubElement(contents, "Size").text = str(one.size)
    return bytes(ET.tostring(result, "utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """XML 1.0 has no control characters, not even escaped."""
    return "".join(char if char >= " " and char not in "\ufffe\uffff" else "\ufffd" for char in text)
