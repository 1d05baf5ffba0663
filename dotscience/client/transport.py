"""How clients reach a hub: which certificates they trust, which proxy they go through, and what went wrong.

The environment counts as with other programs: `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE`, `SSL_CERT_DIR`
for certificates, `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` for proxies, in either case. What `ds login
--ca FILE` has kept for a hub comes first. Hubs on this machine are reached without a proxy, and `.netrc` is never
read: an entry for the host must not replace a token.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotscience.client.credentials import config_folder
from dotscience.errors import ConfigError
from dotscience.workspace import write_durably

if TYPE_CHECKING:
    import requests

CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def open_session(url: str) -> requests.Session:
    """A session for calls of the hub at `url`; not safe for threads.

    Raises:
        ConfigError: a certificate file that is named cannot be used.
    """
    import requests

    session = requests.Session()
    session.trust_env = False
    session.headers["User-Agent"] = "dotscience-client/1"
    if not _is_local(url):
        session.proxies = requests.utils.get_environ_proxies(url)
    if url.lower().startswith("https:") and (trusted := _trusted_certificates(url)) is not None:
        session.verify = trusted
    return session


def keep_certificate(url: str, file: Path) -> None:
    """Trust the certificates in a PEM file for the hub at `url`, from here on, in every client of this user.

    Raises:
        ConfigError: the file cannot be read, or has no certificates.
    """
    try:
        data = file.read_bytes()
        ssl.create_default_context(cadata=data.decode("ascii"))
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ConfigError(f"{file} cannot be used as certificates ({error}); give a PEM file") from error
    path = _kept(url)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(path, data)


def failure(error: requests.RequestException, url: str) -> str:
    """What kept a call from being answered, and what to do, as the end of a sentence."""
    import requests

    match error:
        case requests.exceptions.SSLError():
            return (
                f"the certificate of the hub at {url} is not trusted here ({_reason(error)}); name its certificate "
                "authority by `ds login URL --ca FILE`, or in REQUESTS_CA_BUNDLE"
            )
        case requests.exceptions.ProxyError():
            return (
                f"no answer through the proxy to the hub at {url} ({_reason(error)}); look at HTTPS_PROXY and NO_PROXY"
            )
        case _:
            return f"no answer from the hub at {url} ({type(error).__name__}); is it running?"


def _reason(error: BaseException) -> str:
    """The innermost cause, which says what the outer ones only wrap."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return " ".join(str(cause).split())[:200]


def _trusted_certificates(url: str) -> str | None:
    """The file or folder of certificates to trust; None for those that come with `requests`."""
    kept = _kept(url)
    if kept.is_file():
        return str(kept)
    for name in CERTIFICATE_VARIABLES:
        named = os.environ.get(name)
        if not named:
            continue
        if not os.path.exists(named):  # noqa: PTH110 - what the user wrote
            raise ConfigError(f"{name} names {named}, which is not there; correct or unset it")
        return named
    return None


def _kept(url: str) -> Path:
    name = hashlib.sha256(url.rstrip("/").lower().encode()).hexdigest()[:32]
    return config_folder() / "certificates" / f"{name}.pem"


def _is_local(url: str) -> bool:
    try:
        return (urlsplit(url).hostname or "") in _LOOPBACK
    except ValueError:
        return False
