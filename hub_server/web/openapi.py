"""The OpenAPI 3.1 document, from the operations' declarations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from dotscience.record import Environment, RunRecord
from hub_server.domain.problems import PROBLEM_TYPES
from hub_server.domain.scopes import ANONYMOUS, SIGNED_IN
from hub_server.domain.types import CommitInfo
from hub_server.services.services import Services
from hub_server.web.operation import Call, Media, Nothing, Operation, Reply, check, operation

REFERENCE = "#/components/schemas/{name}"
STORED_TYPES = (RunRecord, Environment, CommitInfo)
"""What answers hold as stored JSON, so that no answer's type names it."""


class FieldError(Struct, frozen=True):
    """A value that is not acceptable; `pointer` is a JSON pointer into the body, or the name of a parameter."""

    pointer: str
    detail: str


class ProblemDocument(Struct, frozen=True, kw_only=True):
    """An error (RFC 9457); `type` is a path under /problems/, where its meaning can be read."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] | None = None
    missing: list[str] | None = None
    head: str | None = None


def openapi_operation(operations: Sequence[Operation], version: str) -> Operation:
    """The operation that answers the document which describes all operations, itself included."""

    @operation("GET", "/api/v1/openapi.json", scope=SIGNED_IN, response=dict[str, Any])
    async def get_openapi(_hub: Services, _call: Call[Nothing, None]) -> Reply:
        """This API as an OpenAPI 3.1 document."""
        return Reply(body=document)

    check([get_openapi])
    document = msgspec.json.encode(describe([*operations, get_openapi], version))
    return get_openapi


def describe(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The document."""
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dotscience hub", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "ds_session"},
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    types: list[Any] = [ProblemDocument, *STORED_TYPES]
    for one in operations:
        types += [kind for kind in (one.query, one.body, one.response) if kind not in (None, bytes)]
    unique = list(dict.fromkeys(types))
    found, components = msgspec.json.schema_components(unique, ref_template=REFERENCE)
    return dict(zip(unique, found, strict=True)), components


def _operation(one: Operation, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": [*map(_path_parameter, one.parameters), *_query_parameters(one, components)],
        "responses": {
            **{str(status): _success(one, status, schemas) for status in one.answers},
            **_problems(one, schemas),
        },
        "security": _security(one),
    }
    if (body := _body(one, schemas)) is not None:
        described["requestBody"] = {"required": True, "content": body}
    return described


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(one: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    declared = components[one.query.__name__]
    required = declared.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in declared["properties"].items()
    ]


def _body(one: Operation, schemas: dict[Any, Any]) -> dict[str, Any] | None:
    if one.media is Media.JSON:
        return {"application/json": {"schema": schemas[one.body]}}
    if one.media in (Media.BYTES, Media.PACK, Media.ZFS):
        return {"application/octet-stream": {}}
    return None


def _success(one: Operation, status: int, schemas: dict[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if one.response is not None and status != HTTPStatus.NOT_MODIFIED:
        content = {} if one.response is bytes else {"schema": schemas[one.response]}
        answer["content"] = dict.fromkeys((one.response_media, *one.other_media), content)
    return answer


def _problems(one: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    """Every status that is not of success, with the types of its problems."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for name in dict.fromkeys([*_usual_problems(one), *one.problems]):
        by_status[PROBLEM_TYPES[name].status].append(name)
    content = {"application/problem+json": {"schema": schemas[ProblemDocument]}}
    return {
        str(status): {"description": f"{HTTPStatus(status).phrase}: {', '.join(names)}", "content": content}
        for status, names in sorted(by_status.items())
    }


def _usual_problems(one: Operation) -> list[str]:
    """What any operation of this kind may answer."""
    usual = ["malformed-request", "invalid-parameter", "misdirected", "rate-limited", "internal", "damaged"]
    usual.append("storage-unavailable")
    if one.scope != ANONYMOUS:
        usual += ["unauthenticated", "forbidden", "not-found"]
    if one.method != "GET":
        usual += ["cross-site", "storage-full", "invalid"]
    if one.media not in (Media.NONE, Media.SOCKET):
        usual += ["too-large", "unsupported-media-type"]
    if one.method == "POST" and one.media is Media.JSON:
        usual += ["key-reused", "answer-unknown"]
    if one.scope == ANONYMOUS and one.method != "GET":
        usual.append("unauthenticated")
    return usual


def _security(one: Operation) -> list[dict[str, list[str]]]:
    if one.scope == ANONYMOUS:
        return []
    scopes = [] if one.scope == SIGNED_IN else [one.scope]
    return [{"token": scopes}, {"session": scopes}]
