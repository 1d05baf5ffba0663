"""Reading values out of paths, headers and bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hub_server.domain.problems import Problem, not_found
from hub_server.domain.types import RunInfo

HEX_HASH = r"^[0-9a-f]{64}$"

_HASH = re.compile(HEX_HASH, re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_VERSION_TAG = re.compile(r'"v([0-9]{1,9})\.[0-9.]*"', re.ASCII)


def parse_hash(text: str, what: str) -> bytes:
    """The 32 bytes behind a hash in a path.

    Raises:
        Problem: not-found; nothing can have that name.
    """
    if not _HASH.fullmatch(text):
        raise not_found(what, text[:80])
    return bytes.fromhex(text)


def parse_number(text: str, what: str) -> int:
    """The number in a path.

    Raises:
        Problem: not-found; nothing can have that number.
    """
    if not _NUMBER.fullmatch(text):
        raise not_found(what, text[:80])
    return int(text)


def version_tag(run: RunInfo) -> str:
    """What the ETag of a run says: the version of what people say about it, then all else that can become different."""
    return f"v{run.version}.{len(run.warnings)}.{run.comments}.{0 if run.deleted_at is None else 1}"


def expected_version(headers: Mapping[str, str]) -> int:
    """The version in an If-Match header (RFC 9110 §13.1.1), which must hold one ETag of a run.

    Raises:
        Problem: precondition-required; changed-meanwhile, for an ETag that no run can have.
    """
    given = headers.get("If-Match")
    if given is None:
        raise Problem("precondition-required", "send the run's ETag in an If-Match header, so that no change is lost")
    match = _VERSION_TAG.fullmatch(given.strip())
    if match is None:
        raise Problem("changed-meanwhile", f"{given[:80]!r} is not the ETag of a run; read the run again")
    return int(match[1])
