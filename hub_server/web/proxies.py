"""Behind a proxy: whose requests it passes on, under which host name, and below which path.

Anybody can send `X-Forwarded-*` headers, so they count only where the connection comes from a proxy that the operator
trusts.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from hub_server.domain.networks import Network, read_address

SCHEMES = ("http", "https")


class TrustedProxies:
    """The proxies in some networks."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)

    def apply(self, request: HTTPServerRequest) -> None:
        """Have a request say what it was when it came to the outermost of our proxies."""
        if not self._are_ours(request.remote_ip or ""):
            return
        headers = request.headers
        request.remote_ip = self._client(headers.get("X-Forwarded-For", ""), request.remote_ip or "")
        scheme = _last(headers.get("X-Forwarded-Proto", "")).lower()
        if scheme in SCHEMES:
            request.protocol = scheme
        request.host = _last(headers.get("X-Forwarded-Host", "")) or request.host

    def _client(self, chain: str, peer: str) -> str:
        """Whoever our outermost proxy heard: each appends its peer, and what is before that anybody may claim."""
        client = peer
        for text in reversed([one.strip() for one in chain.split(",")]):
            address = read_address(text)
            if address is None:
                break
            client = str(address)
            if not self._are_ours(client):
                break
        return client

    def _are_ours(self, text: str) -> bool:
        address = read_address(text)
        return address is not None and any(address in network for network in self._networks)


def path_prefix(public_url: str) -> str:
    """The path of a public URL, such as `/dotscience`; empty where it has none."""
    return urlsplit(public_url).path.rstrip("/")


def strip_prefix(request: HTTPServerRequest, prefix: str) -> None:
    """Route a request below the prefix like one without it: some proxies strip it, and programs here use none."""
    path = request.path
    if prefix and path.startswith(prefix) and path[len(prefix) :][:1] in ("", "/"):
        request.path = path[len(prefix) :] or "/"


def _last(value: str) -> str:
    """The last item of a header with a list: the one that the nearest proxy wrote."""
    return value.rpartition(",")[2].strip()
