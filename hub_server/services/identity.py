"""Who is calling: tokens, sessions and login codes.

All secrets are 256 random bits, so that their plain SHA-256 is as good to store as any slow hash (there is nothing to
guess). A token is looked up by its public id and compared in constant time; a session or login code is looked up by
hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from dotscience.errors import DiskFull
from hub_server.domain.cursor import Position, Slice
from hub_server.domain.names import clean_name
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.scopes import BEYOND_PROJECTS, SCOPES, Caller, effective_scopes
from hub_server.domain.types import AccountInfo, NewToken, SessionInfo, TokenInfo
from hub_server.services.attempts import AttemptLimit
from hub_server.store import accounts
from hub_server.store.collaborators import find_access
from hub_server.store.database import Database, Work

CODE_LIFETIME = timedelta(minutes=10)
SESSION_LIFETIME = timedelta(days=30)
SESSION_IDLE = timedelta(days=7)
TOUCH_EVERY = timedelta(minutes=5)
"""How exact `last_used_at` is: a write per request would be too much."""
SIGN_IN_FAILURES = 10
DISABLED = "disabled"
SIGN_IN_WINDOW_S = 60.0

_TOKEN = re.compile(r"ds_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Secret(Struct, frozen=True, kw_only=True):
    """A secret as it is handed out, with the time at which it stops working."""

    secret: str
    expires_at: datetime


class TokenRequest(Struct, frozen=True, kw_only=True):
    """What a new token is to be."""

    name: str
    scopes: list[str]
    project_id: str | None
    expires_in_s: int | None


class Identity:
    """Authenticates callers, and makes and takes away what they authenticate with."""

    def __init__(
        self, database: Database, *, clock: Clock = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` is for what is stored, `monotonic` for how long guesses count."""
        self._database = database
        self._clock = clock
        self._attempts = AttemptLimit(SIGN_IN_FAILURES, SIGN_IN_WINDOW_S, monotonic)
        self._operator_id: str | None = None

    async def ensure_administrator(self, wanted: AccountInfo) -> AccountInfo:
        """The hub's first administrator; `wanted`, where nobody has an account yet.

        It is the operator from now on: the account for which commands on the hub's machine speak.
        """
        work = lambda c: accounts.ensure_administrator(c, wanted, "admin", self._clock())  # noqa: E731
        operator = await self._database.write(work)
        self._operator_id = operator.id
        return operator

    async def by_token(self, text: str) -> Caller:
        """The caller that shows this bearer token.

        Raises:
            Problem: unauthenticated; it says what to do.
        """
        match = _TOKEN.fullmatch(text)
        token_id, secret = match.groups() if match else ("", "")
        found = await self._database.read(lambda c: accounts.find_token(c, token_id))
        stored = found.secret_hash if found else bytes(32)
        if not hmac.compare_digest(stored, hash_secret(secret)) or found is None or found.scopes is None:
            raise unauthenticated("the token is not valid; it may have been revoked: make a new one", "invalid_token")
        if found.role == DISABLED:
            raise unauthenticated("the token's account is disabled; ask an administrator of the hub", "invalid_token")
        now = self._clock()
        if found.expires_at is not None and found.expires_at <= now:
            raise unauthenticated(
                f"the token expired at {found.expires_at.isoformat()}; make a new one", "invalid_token"
            )
        if found.last_used_at is None or now - found.last_used_at > TOUCH_EVERY:
            await self._touch(lambda c: accounts.touch_token(c, token_id, now))
        return Caller(
            account_id=found.account.id,
            account_name=found.account.name,
            scopes=effective_scopes(found.scopes, found.role, project_id=found.project_id),
            project_id=found.project_id,
            expires_at=found.expires_at,
            credential=f"token:{token_id}",
            is_admin=found.role == "admin",
        )

    async def by_session(self, secret: str) -> Caller:
        """The caller whose browser keeps this session.

        Raises:
            Problem: unauthenticated.
        """
        secret_hash = hash_secret(secret)
        found = await self._database.read(lambda c: accounts.find_session(c, secret_hash))
        now = self._clock()
        if found is None or found.role == DISABLED or _session_over(found, now):
            raise unauthenticated("the session has ended; sign in again with a new login link")
        if found.last_used_at is None or now - found.last_used_at > TOUCH_EVERY:
            await self._touch(lambda c: accounts.touch_session(c, secret_hash, now))
        return Caller(
            account_id=found.account.id,
            account_name=found.account.name,
            scopes=effective_scopes(frozenset(SCOPES), found.role),
            credential=f"session:{secret_hash.hex()[:8]}",
            is_admin=found.role == "admin",
        )

    async def _touch(self, work: Work[None]) -> None:
        with suppress(DiskFull):  # what can be read must stay readable when nothing can be written
            await self._database.write(work)

    async def create_login_code(self, caller: Caller) -> Secret:
        """A code that signs one browser in as the caller's account, once, for 10 minutes."""
        return await self.create_code_for(caller.account_id, CODE_LIFETIME)

    async def create_code_for(self, account_id: str, lifetime: timedelta) -> Secret:
        """A code that signs one browser in as an account, once."""
        now = self._clock()
        made = Secret(secret=secrets.token_urlsafe(32), expires_at=now + lifetime)
        secret_hash = hash_secret(made.secret)
        await self._database.write(
            lambda c: accounts.add_login_code(c, secret_hash, account_id, now=now, expires_at=made.expires_at)
        )
        return made

    async def sign_in(self, code: str, client: str) -> tuple[AccountInfo, Secret]:
        """Turn a login code into a session; `client` is the address that guesses are counted for.

        Raises:
            Problem: unauthenticated for a code that is unknown, used or too old; rate-limited after too many of those.
        """
        self._attempts.check(client)
        now = self._clock()
        made = Secret(secret=secrets.token_urlsafe(32), expires_at=now + SESSION_LIFETIME)
        account = await self._database.write(
            lambda c: accounts.exchange_login_code(
                c, hash_secret(code), hash_secret(made.secret), now=now, session_expires_at=made.expires_at
            )
        )
        if account is None:
            self._attempts.failed(client)
            raise unauthenticated("the login link was used already or is too old; `ds hub login-link` makes a new one")
        return account, made

    async def sign_out(self, secret: str) -> None:
        """End a session."""
        await self._database.write(lambda c: accounts.delete_session(c, hash_secret(secret)))

    async def describe(self, caller: Caller, session: str | None) -> SessionInfo:
        """The caller as the API shows it; `session` is the secret of the browser's session, where there is one."""
        known = None if session is None else hash_secret(session)
        way_in = await self._database.read(lambda c: accounts.find_way_in(c, caller.account_id, known))
        return SessionInfo(
            account=AccountInfo(caller.account_id, caller.account_name),
            scopes=sorted(caller.scopes),
            project_id=caller.project_id,
            is_admin=caller.is_admin,
            has_password=way_in.has_password,
            by_login_link=way_in.by_login_link,
            is_operator=caller.is_admin and caller.account_id == self._operator_id,
        )

    async def create_token(self, caller: Caller, request: TokenRequest) -> NewToken:
        """Make a token that can do at most what the caller can, and for no longer than the caller's own token.

        Raises:
            Problem: invalid, for scopes that are unknown, that the caller lacks or that one project's token cannot
                have; not-found, for the project.
        """
        project_id = request.project_id or caller.project_id
        if project_id is not None and not await self._sees(caller, project_id):
            raise not_found("project", project_id)
        secret = secrets.token_urlsafe(32)
        row = self._token_row(caller, request, project_id, hash_secret(secret))
        if not await self._database.write(lambda c: accounts.add_token(c, row)):
            raise not_found("project", str(project_id))
        return NewToken(
            id=row.id,
            token=f"ds_{row.id}_{secret}",
            scopes=row.scopes,
            project_id=project_id,
            expires_at=row.expires_at,
        )

    async def replace_token(self, caller: Caller, request: TokenRequest) -> NewToken:
        """Make a token, and revoke those of the caller's account that have its name."""
        await self._database.write(lambda c: accounts.delete_tokens_named(c, caller.account_id, request.name))
        return await self.create_token(caller, request)

    async def _sees(self, caller: Caller, project_id: str) -> bool:
        """Whether a token may be bound to the project: whoever makes it must work on that."""
        if not caller.sees(project_id):
            return False
        access = await self._database.read(lambda c: find_access(c, project_id, caller.account_id))
        return access is not None and (caller.is_admin or access.role is not None)

    async def ensure_scopes(self, account: AccountInfo, name: str) -> bool:
        """Give the account's tokens of this name every scope, also those that came later; whether there are any."""
        return await self._database.write(lambda c: accounts.set_scopes(c, account.id, name, sorted(SCOPES)))

    def _token_row(
        self, caller: Caller, request: TokenRequest, project_id: str | None, secret_hash: bytes
    ) -> accounts.NewTokenRow:
        now = self._clock()
        return accounts.NewTokenRow(
            id=secrets.token_hex(8),
            account_id=caller.account_id,
            project_id=project_id,
            name=clean_name(request.name),
            secret_hash=secret_hash,
            scopes=_check_scopes(caller, request.scopes, project_id),
            created_at=now,
            expires_at=_expiry(caller, request, now),
        )

    async def list_tokens(self, caller: Caller, after: Position | None, limit: int) -> Slice[TokenInfo]:
        """The account's tokens that the caller may see, newest first."""
        owned = _owned_by(caller)
        return await self._database.read(lambda c: accounts.list_tokens(c, owned, after=after, limit=limit))

    async def delete_token(self, caller: Caller, token_id: str) -> None:
        """Revoke a token of the caller's account that the caller may see.

        Raises:
            Problem: not-found.
        """
        owned = _owned_by(caller)
        if not await self._database.write(lambda c: accounts.delete_token(c, owned, token_id)):
            raise not_found("token", token_id)


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _session_over(found: accounts.Credential, now: datetime) -> bool:
    idle_since = found.last_used_at or now
    return found.expires_at is None or found.expires_at <= now or now - idle_since > SESSION_IDLE


def _owned_by(caller: Caller) -> accounts.Owned:
    return accounts.Owned(account_id=caller.account_id, project_id=caller.project_id)


def _expiry(caller: Caller, request: TokenRequest, now: datetime) -> datetime | None:
    wanted = None if request.expires_in_s is None else now + timedelta(seconds=request.expires_in_s)
    return min((end for end in (wanted, caller.expires_at) if end is not None), default=None)


def _check_scopes(caller: Caller, wanted: list[str], project_id: str | None) -> list[str]:
    if not wanted:
        raise invalid("/scopes", f"name at least one scope of: {', '.join(SCOPES)}")
    for scope in wanted:
        if scope not in SCOPES:
            raise invalid("/scopes", f"{scope[:60]!r} is no scope; there are: {', '.join(SCOPES)}")
        if scope not in caller.scopes:
            raise invalid("/scopes", f"you lack the scope {scope}, so you cannot hand it out")
        if project_id is not None and scope in BEYOND_PROJECTS:
            raise invalid("/scopes", f"the scope {scope} reaches beyond one project; leave it out, or project_id")
    return sorted(set(wanted))


def unauthenticated(detail: str, error: str | None = None) -> Problem:
    """The answer to a wrong secret: 401 with the challenge of RFC 6750."""
    challenge = 'Bearer realm="dotscience"' + (f', error="{error}"' if error else "")
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def sign_in_required() -> Problem:
    """The answer to a request that shows neither token nor session."""
    return unauthenticated(
        "this needs a token (`Authorization: Bearer ds_…`) or a session; `ds hub login-link` signs a browser in"
    )
