"""Passwords: argon2id (RFC 9106), hashed and checked beside the loop.

A hash takes 64 MiB and about a tenth of a second on purpose. So few are made at a time, and a name that nobody has
costs as much as a wrong password.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub_server.domain.problems import invalid
from hub_server.thread_pool import ThreadPool

MIN_CHARS = 10
MAX_CHARS = 1_000


def check_password(password: str, name: str) -> str:
    """A password that may be chosen: long enough, and not the name (NIST SP 800-63B asks for little else).

    Raises:
        Problem: invalid; the detail never holds the password.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise invalid(
            "/password", f"a password has {MIN_CHARS} to {MAX_CHARS} characters; this one has {len(password)}"
        )
    if password.casefold() == name.casefold():
        raise invalid("/password", "a password is not the name of its account")
    return password


class Passwords:
    """Makes and checks hashes on `workers`, whose number bounds the memory."""

    def __init__(self, workers: ThreadPool, hasher: PasswordHasher | None = None) -> None:
        self._workers = workers
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """What is stored of a password."""
        return await self._workers.run(lambda: self._hasher.hash(_bytes(password)))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; with nothing stored it is not, and takes as long."""
        return await self._workers.run(lambda: self._matches(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with weaker settings than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str | None, password: str) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hasher.hash(b"")
        try:
            self._hasher.verify(stored or self._nobodys, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
