"""What a hub's answer means that is no success: the exceptions that its problem documents (RFC 9457) become."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from dotscience.errors import HUB_ERRORS, HubError, HubFull, HubUnavailable, RateLimited

RETRYABLE_STATUSES = frozenset({502, 503, 504})

HexHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


def hub_error(status: int, body: bytes, retry_after: str | None, url: str) -> HubError:
    """The exception for an answer that is no success; a body that is no problem document stays out of the message."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        problem = {}
    if is_problem(problem, "storage-full"):
        return HubFull(f"the hub at {url} says: {problem.get('detail')}", problem=problem)
    if status in RETRYABLE_STATUSES or (status >= 500 and not problem):
        reason = problem.get("detail") or f"status {status}"
        return HubUnavailable(f"the hub at {url} is out of service ({reason})", problem=problem)
    message = str(problem.get("detail") or problem.get("title") or f"the hub at {url} answered status {status}")
    error = HUB_ERRORS.get(status, HubError)(message, problem=problem)
    if isinstance(error, RateLimited) and retry_after and retry_after.isdigit():
        error.retry_after_s = float(retry_after)
    return error


def missing_objects(error: HubError) -> list[bytes]:
    """The objects that a hub said it misses; none where it did not say, or not in a way that can be understood."""
    try:
        names = msgspec.convert(error.problem.get("missing", []), list[HexHash])
    except msgspec.ValidationError:
        return []
    return [bytes.fromhex(name) for name in names]


def is_zfs_off(error: HubError) -> bool:
    """Whether this is how a hub says that it takes no ZFS streams at all."""
    return is_problem(error.problem, "zfs-off")


def is_problem(problem: dict[str, Any], kind: str) -> bool:
    """Whether a problem document is of a kind (its `type`'s last part)."""
    return str(problem.get("type")).endswith(f"/{kind}")


def not_a_hub(url: str) -> HubUnavailable:
    """The exception for an answer that no hub gives."""
    return HubUnavailable(f"{url} does not answer like a Dotscience hub; check the URL")
