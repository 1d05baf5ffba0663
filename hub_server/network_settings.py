"""Settings about how the hub is reached: checking them, and turning texts into what they mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotscience.errors import ConfigError
from hub_server.domain.networks import Network, read_networks

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


def public_url(url: str | None) -> str | None:
    """A public URL without a slash at its end.

    Raises:
        ConfigError: it is none.
    """
    if url is None:
        return None
    parts = urlsplit(url)
    is_plain = _PREFIX.fullmatch(parts.path) and not parts.query and not parts.fragment and "@" not in parts.netloc
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain:
        raise ConfigError(
            f"the public URL {url!r} must be like https://hub.example.org or https://example.org/dotscience"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def networks(value: Any) -> tuple[Network, ...]:
    """Networks from a list in CIDR notation, with commas.

    Raises:
        ConfigError: one is none.
    """
    if not isinstance(value, str):
        return tuple(value)
    try:
        return read_networks(value)
    except ValueError as error:
        raise ConfigError(
            f"the trusted proxies {value!r} (DS_HUB_TRUSTED_PROXIES) must be like 10.0.0.0/8,::1 ({error})"
        ) from error


def certificate(chain: Any, key: Any) -> tuple[Path | None, Path | None]:
    """The files of the certificate and its key; both or none.

    Raises:
        ConfigError: only one is given.
    """
    if (chain is None) != (key is None):
        raise ConfigError(
            "TLS takes a certificate and its key: --tls-cert FILE and --tls-key FILE (DS_HUB_TLS_CERT, DS_HUB_TLS_KEY)"
        )
    return (None, None) if chain is None else (Path(chain).absolute(), Path(key).absolute())
