"""Reading values out of paths and bodies."""

from __future__ import annotations

import re

from hub_server.domain.problems import not_found

HEX_HASH = r"^[0-9a-f]{64}$"

_HASH = re.compile(HEX_HASH, re.ASCII)


def parse_hash(text: str, what: str) -> bytes:
    """The 32 bytes behind a hash in a path.

    Raises:
        Problem: not-found; nothing can have that name.
    """
    if not _HASH.fullmatch(text):
        raise not_found(what, text[:80])
    return bytes.fromhex(text)
