"""Turning what clients send into the Structs that operations declare, and saying what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from hub_server.domain.problems import Problem, invalid

T = TypeVar("T")

MAX_QUERY_CHARS = 8_192
RAW_PARAMETERS = frozenset({"path"})
"""Parameters that may hold bytes which are not UTF-8, as names in file systems may.

They arrive with PEP 383 surrogates.
"""

_PLACE = re.compile(r" - at `(key in )?\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>[^\]]*)\]")


def decode_query(kind: type[T], query: str, arguments: Mapping[str, list[bytes]]) -> T:
    """A query string's parameters.

    Raises:
        Problem: invalid-parameter, for one that is unknown, repeated, or has a value that does not fit.
    """
    if len(query) > MAX_QUERY_CHARS:
        raise Problem("invalid-parameter", f"the query has {len(query)} characters, more than {MAX_QUERY_CHARS}")
    for name, values in arguments.items():
        if len(values) != 1:
            raise invalid(name[:80], "is given more than once", kind="invalid-parameter")
    texts = {name: _text(name, values[0]) for name, values in arguments.items()}
    try:
        return msgspec.convert(texts, kind, strict=False)
    except msgspec.ValidationError as error:
        detail, pointer = _explain(error)
        raise invalid(pointer.lstrip("/") or "query", detail, kind="invalid-parameter") from error


def decode_body(kind: type[T], data: bytes) -> T:
    """A JSON body.

    Raises:
        Problem: malformed-request for what is no JSON, invalid for values that do not fit.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        detail, pointer = _explain(error)
        raise invalid(pointer, detail) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed-request", f"the body is not JSON that can be read: {error}") from error


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8", "surrogateescape" if name in RAW_PARAMETERS else "strict")
    except UnicodeDecodeError as error:
        raise invalid(name[:80], "is not UTF-8", kind="invalid-parameter") from error


def _explain(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, and where as a JSON pointer (RFC 6901); msgspec says both in one sentence."""
    message = str(error)
    place = _PLACE.search(message)
    steps = _STEP.finditer(place["path"]) if place else iter(())
    parts = [step["name"] or step["index"] for step in steps]
    if unknown := _UNKNOWN.search(message):
        parts.append(unknown["name"])
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return message[: place.start()] if place else message, pointer
