"""Problems: every error that the hub tells a client about (RFC 9457).

A problem type is a short name. It is the last part of the document's `type`, the page under `/problems/`, and, on the
client, decides with the status which exception of `dotscience.errors` is raised.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dotscience.errors import DotscienceError


class ProblemType(Struct, frozen=True):
    """A kind of problem: its HTTP status, its title, and what a person should know about it."""

    status: int
    title: str
    meaning: str


PROBLEM_TYPES: dict[str, ProblemType] = {
    "malformed-request": ProblemType(
        400, "Malformed request", "The request cannot be read: no JSON, a bad cursor, a bad hash."
    ),
    "invalid-parameter": ProblemType(
        400, "Invalid parameter", "A query parameter is unknown, repeated or out of range."
    ),
    "invalid-filter": ProblemType(
        400,
        "Invalid filter",
        "The filter cannot be understood; `position` is the character at which that shows, from 0.",
    ),
    "unauthenticated": ProblemType(401, "Not signed in", "The token or session is missing, wrong, revoked or expired."),
    "forbidden": ProblemType(
        403, "Not allowed", "The token lacks the scope that this needs, or you lack the role in the project."
    ),
    "cross-site": ProblemType(403, "Cross-site request", "The browser says that another site caused this request."),
    "not-found": ProblemType(404, "Not found", "It does not exist, or this caller may not see it."),
    "method-not-allowed": ProblemType(
        405, "Method not allowed", "The path exists, but not with this method; see the Allow header."
    ),
    "head-moved": ProblemType(
        409, "The branch has moved", "The branch's head is not the parent expected; `head` says what it is."
    ),
    "points-out-of-step": ProblemType(
        409, "Points out of step", "The batch does not begin where the hub is; `received` says where that is."
    ),
    "changed-meanwhile": ProblemType(
        412, "Changed meanwhile", "Somebody else has changed this since it was read; read it again, then change it."
    ),
    "precondition-required": ProblemType(
        428, "Precondition required", "A change needs the If-Match header with the ETag of what is changed."
    ),
    "key-reused": ProblemType(
        422, "Key used before", "The Idempotency-Key was sent with another request; each request needs its own."
    ),
    "answer-unknown": ProblemType(
        409, "Answer unknown", "A request with this Idempotency-Key has begun, and its answer is not at hand."
    ),
    "zfs-off": ProblemType(404, "No ZFS streams", "The hub takes no ZFS streams; push packs instead."),
    "zfs-busy": ProblemType(409, "Stream in progress", "Another ZFS stream of the dot is being received."),
    "path-taken": ProblemType(409, "Path is taken", "Something of another kind is at the path, and is not replaced."),
    "upload-refused": ProblemType(
        409, "An upload was refused", "What the commit is about was not taken in; the detail says why."
    ),
    "too-large": ProblemType(413, "Too large", "The request's body is larger than the operation accepts."),
    "unsupported-media-type": ProblemType(
        415, "Unsupported media type", "The body must be sent as the content type that the operation takes."
    ),
    "range-not-satisfiable": ProblemType(416, "Range not satisfiable", "The range asked for lies outside the file."),
    "misdirected": ProblemType(421, "Unknown host name", "The hub does not answer under the name in the Host header."),
    "invalid": ProblemType(422, "Invalid values", "The body can be read, but its values are not acceptable."),
    "corrupt-pack": ProblemType(422, "Corrupt pack", "The pack, or one of its records, is not what its hash says."),
    "missing-objects": ProblemType(
        422, "Missing objects", "Objects that the commit refers to are not here; `missing` names them."
    ),
    "missing-parents": ProblemType(
        422, "Missing parents", "Parents of the commit were not pushed; push those in `missing` first."
    ),
    "filter-too-slow": ProblemType(
        422, "Filter takes too long", "Too many runs would have to be looked at one by one; narrow the filter."
    ),
    "trace-too-slow": ProblemType(
        422, "Trace takes too long", "Too many runs have files of the same content; ask for fewer steps."
    ),
    "too-expensive": ProblemType(
        422, "Takes too much", "To answer it, more of a commit's folders would have to be read than one request may."
    ),
    "corrupt-archive": ProblemType(
        422, "Archive not taken", "The tar archive is damaged, too large, or holds what a workspace cannot hold."
    ),
    "zfs-refused": ProblemType(
        422,
        "Stream not received",
        "ZFS could not receive the stream; `resume_token` says where it can go on, if it can.",
    ),
    "headers-too-large": ProblemType(
        431, "Headers too large", "The address and the header fields of the request are larger than the hub accepts."
    ),
    "locked": ProblemType(
        423, "Workspace is locked", "Something else is writing to it; `holder` says what, and since when."
    ),
    "rate-limited": ProblemType(
        429, "Too many requests", "Too many requests, or failed attempts. Wait as long as the Retry-After header says."
    ),
    "internal": ProblemType(500, "Internal error", "The hub failed; its log has the details under the request id."),
    "damaged": ProblemType(500, "Damaged data", "Stored bytes are gone or are not what their hash says."),
    "not-implemented": ProblemType(501, "Not implemented", "This hub lacks a part that the request needs."),
    "pack-busy": ProblemType(
        503, "Pack is being deleted", "Nothing in the pack was used, and it is just being deleted; send it again."
    ),
    "stopping": ProblemType(503, "The hub is stopping", "It finishes what it has begun, and takes nothing new."),
    "storage-unavailable": ProblemType(
        503, "Storage does not answer", "The hub cannot reach its bucket, or its disk fails; try again later."
    ),
    "storage-full": ProblemType(503, "Storage is full", "The hub has no room left; pushes go on once it has."),
}


class Problem(DotscienceError):
    """An error for the client: `detail` says what happened, with which value, and what to do.

    `extra` holds further members of the document, `headers` further header fields of the answer.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.type = PROBLEM_TYPES[kind]
        self.extra = extra or {}
        self.headers = headers or {}

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document's members."""
        return {
            "type": f"/problems/{self.kind}",
            "title": self.type.title,
            "status": self.type.status,
            "detail": str(self),
            "request_id": request_id,
            **self.extra,
        }


def not_found(what: str, name: str) -> Problem:
    """The answer for what is not there and for what the caller may not see; the two cannot be told apart."""
    return Problem("not-found", f"there is no {what} {name!r} that you can see")


def invalid(pointer: str, detail: str, kind: str = "invalid") -> Problem:
    """A value that is not acceptable; `pointer` is a JSON pointer (RFC 6901) into the body, or a parameter's name."""
    return Problem(kind, f"{pointer}: {detail}", extra={"errors": [{"pointer": pointer, "detail": detail}]})
