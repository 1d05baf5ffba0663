"""Objects that were pushed, for those who dropped them from their own disk (docs/design/interfaces.md §4.1)."""

from __future__ import annotations

from committer.storage.codec import HASH_SIZE
from hub_server.services.fetching import MAX_NAMES
from hub_server.services.services import Services
from hub_server.web.operation import Call, Media, Nothing, Reply, operation

ANSWERED_HEADER = "X-Dotscience-Answered"


@operation(
    "POST",
    "/api/v1/dots/{dot}/objects",
    scope="runs:read",
    media=Media.BYTES,
    max_body=HASH_SIZE * MAX_NAMES,
    audited=False,
    changes_nothing=True,
    response=bytes,
    response_media="application/octet-stream",
    problems=("storage-unavailable",),
)
async def fetch_objects(hub: Services, call: Call[Nothing, bytes]) -> Reply:
    """The records of up to 1,024 concatenated hashes; a header says how many of these the answer is for."""
    fetched = await hub.fetching.fetch(call.dot, call.body)
    return Reply(body=fetched.records, headers={ANSWERED_HEADER: str(fetched.answered)})
