"""What counts as the address of a hub."""

from __future__ import annotations

from urllib.parse import urlsplit

EXPECTED = "an address like https://hub.example.com:8800, without a user name, password, query or fragment"
"""What to say where `is_hub_address` is false; the address itself may hold a password, so do not repeat it."""


def is_on_this_machine(url: str) -> bool:
    """Whether a hub's address is one of the loopback interface (RFC 6890)."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def is_hub_address(text: str) -> bool:
    """Whether every request's URL can begin with this text: http or https, a host, perhaps a port and a path."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    return usable and not {"@", "?", "#"} & {*text}
