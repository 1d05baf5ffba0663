"""What counts as the address of a hub."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

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


class DashboardPage(NamedTuple):
    """What a page of a hub's dashboard is about: a project, perhaps a run or a commit of it."""

    hub: str
    project: str
    run: str | None = None
    commit: str | None = None


_PAGE = re.compile(r"(?P<prefix>.*?)/p/(?P<project>[^/]+)(?:/(?P<kind>runs|commits)/(?P<id>[^/]+))?(?:/.*)?")


def parse_page(text: str) -> DashboardPage | None:
    """The page at a URL, as a browser's address bar has it; None for a URL of no project, and what is no URL."""
    address, _, _ = text.partition("#")
    address, _, _ = address.partition("?")
    if not is_hub_address(address):
        return None
    parts = urlsplit(address)
    match = _PAGE.fullmatch(parts.path)
    if match is None:
        return None
    found = {match["kind"]: unquote(match["id"])} if match["kind"] else {}
    hub = f"{parts.scheme}://{parts.netloc}{match['prefix']}"
    return DashboardPage(hub, unquote(match["project"]), found.get("runs"), found.get("commits"))
