"""Checks that come before any operation: is a request meant for this hub, and who made it be sent?"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from hub_server.domain.problems import Problem

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
LOOPBACK_ADDRESSES = frozenset({"127.0.0.1", "::1"})
FORWARDING_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
"""`same-site` is not among them.

Another port of this host is another party, and cookies ignore ports (RFC 6265 §8.5).
"""

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
APP_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def host_name(host_header: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; empty where there is none."""
    try:
        return urlsplit(f"//{host_header}").hostname or ""
    except ValueError:
        return ""


def take_origin_form(request: HTTPServerRequest) -> None:
    """Where a request's target is a whole URL, leave its path and query, and take its host for the request's.

    Such a target counts, and not the Host header (RFC 9112 §3.2.2). Clients send them to proxies, and some to anyone.
    """
    if not request.uri or not request.uri.lower().startswith(("http://", "https://")):
        return
    authority, slash, rest = request.uri.partition("://")[2].partition("/")
    request.uri = slash + rest or "/"
    request.path, _, request.query = request.uri.partition("?")
    request.host = authority.rpartition("@")[2]


def basic_credentials(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """User name and password in the Authorization header (RFC 7617, in UTF-8); None where there are none to be read."""
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None


def is_browser(headers: Mapping[str, str]) -> bool:
    """Whether a browser may have sent the request.

    All that are in use send fetch metadata, and nothing else does; but not to origins of plain http other than
    loopback, which they do not trust (Fetch Metadata Request Headers, 2). There an Origin, a Referer, or the wish for
    a page tells, which programs do not send.
    """
    has_metadata = any(name.lower().startswith("sec-fetch-") for name in headers)
    return has_metadata or "Origin" in headers or "Referer" in headers or "text/html" in headers.get("Accept", "")


def check_source(method: str, headers: Mapping[str, str], origin: str) -> None:
    """Refuse a request that a page of another origin made a browser send (CSRF).

    Browsers say where a request comes from in `Sec-Fetch-Site`, to untrusted origins and where they are older only in
    `Origin` or `Referer`; a page can set none of them. Programs send none, and hold no cookie that somebody else could
    use.

    Raises:
        Problem: cross-site.
    """
    if method in SAFE_METHODS:
        return
    site = headers.get("Sec-Fetch-Site")
    source = headers.get("Origin") or _origin_of(headers.get("Referer"))
    own = site in OWN_SITES if site is not None else source in (None, origin)
    if not own:
        raise Problem("cross-site", f"a page of {source or 'another site'} may not do this; use the hub's own pages")


def _origin_of(referer: str | None) -> str | None:
    """The origin of a page's address; None where there is none."""
    if not referer:
        return None
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}"


def is_local(client: str, host: str, headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a program on this machine, as far as can be told.

    It is not one that a proxy here passed on: that would say for whom, or have been asked for another host.
    """
    forwarded = any(name in headers for name in FORWARDING_HEADERS)
    return client in LOOPBACK_ADDRESSES and host_name(host) in LOOPBACK_NAMES and not forwarded


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token in the Authorization header, empty where the header has another scheme; None without the header."""
    value = headers.get("Authorization")
    if value is None:
        return None
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
