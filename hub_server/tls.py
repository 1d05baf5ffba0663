"""The certificate with which the hub itself speaks TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from dotscience.errors import ConfigError

log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
"""What tells versions of the files apart: time, size and inode of each."""


class Certificate:
    """A certificate chain and its key, in PEM files that may be replaced at any time.

    Each new connection gets the newest version that is whole; where one is not, such as between the replacement of the
    one file and of the other, it gets the last one that was.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        """Read the files.

        Raises:
            ConfigError: they cannot be read, are no certificate and key, or do not belong together.
        """
        self._chain, self._key = chain, key
        self._seen = self._stamp()
        self._current = self.context = _context(chain, key)
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """OpenSSL's hook at the beginning of each connection, with or without a server's name (SSL_CTX_set_..._cb)."""
        self._renew()
        connection.context = self._current

    def _renew(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._current = _context(self._chain, self._key)
            log.info("tls.renewed", certificate=str(self._chain))
        except ConfigError as error:
            log.warning("tls.not_renewed", error=str(error))

    def _stamp(self) -> Stamp | None:
        try:
            found = [path.stat() for path in (self._chain, self._key)]
        except OSError:
            return None
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


def _context(chain: Path, key: Path) -> ssl.SSLContext:
    for path, what in ((chain, "certificate"), (key, "key of the certificate")):
        try:
            path.open("rb").close()
        except OSError as error:
            raise ConfigError(f"the {what}, {path}, cannot be read ({error.strerror})") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(chain, key, password=lambda: _refuse(key))
    except ssl.SSLError as error:
        raise ConfigError(_explain(error, chain, key)) from error
    return context


def _refuse(key: Path) -> str:
    raise ConfigError(f"the key {key} has a password; give the hub one without (openssl pkey -in … -out …)")


def _explain(error: ssl.SSLError, chain: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key {key} is not that of the certificate {chain}; name the two files that were made together"
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return f"{chain} and {key} are not a certificate and its key in PEM format ({reason}); name the files of both"
