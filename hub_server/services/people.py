"""The hub's accounts: making them, their passwords, and the browsers that they are signed in with."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from hub_server.domain.cursor import Position, Slice
from hub_server.domain.names import check_account_name
from hub_server.domain.problems import Problem, invalid, not_found
from hub_server.domain.scopes import Caller, Role
from hub_server.domain.types import AccountInfo, BrowserSession, Person
from hub_server.services.attempts import AttemptLimit
from hub_server.services.identity import (
    SESSION_LIFETIME,
    SIGN_IN_FAILURES,
    SIGN_IN_WINDOW_S,
    Identity,
    Secret,
    hash_secret,
    unauthenticated,
)
from hub_server.services.passwords import MAX_CHARS, Passwords, check_password
from hub_server.store import accounts, people
from hub_server.store.database import Database

INVITATION_LIFETIME = timedelta(days=7)
MAX_SUGGESTIONS = 10
ACCOUNT_FAILURES = 100
ACCOUNT_WINDOW_S = 600.0


class People:
    """The hub's accounts."""

    def __init__(
        self,
        database: Database,
        identity: Identity,
        passwords: Passwords,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is for what is stored, `monotonic` for how long guesses count."""
        self._database = database
        self._identity = identity
        self._passwords = passwords
        self._clock = clock
        self._by_client = AttemptLimit(SIGN_IN_FAILURES, SIGN_IN_WINDOW_S, monotonic)
        self._by_name = AttemptLimit(ACCOUNT_FAILURES, ACCOUNT_WINDOW_S, monotonic)

    async def sign_in(self, name: str, password: str, client: str) -> tuple[AccountInfo, Secret]:
        """A new session for whoever knows an account's password; `client` is the address that guesses are counted for.

        Raises:
            Problem: unauthenticated, alike for a wrong name and a wrong password; rate-limited after too many of those.
        """
        limits = ((self._by_client, client), (self._by_name, name))
        for limit, key in limits:
            limit.check(key)
        for limit, key in limits:
            limit.failed(key)
        found = await self._database.read(lambda c: people.find_password(c, name))
        usable = None if found is None or found.role == "disabled" else found.hash
        if not await self._passwords.matches(usable, password[: MAX_CHARS + 1]) or found is None:
            raise unauthenticated(
                "the name or the password is wrong; an administrator of the hub can make a login link"
            )
        for limit, key in limits:
            limit.forgive(key)
        if self._passwords.is_outdated(str(usable)):
            await self._store(found.account.id, password)
        return found.account, await self._begin_session(found.account.id)

    async def _begin_session(self, account_id: str) -> Secret:
        now = self._clock()
        made = Secret(secret=secrets.token_urlsafe(32), expires_at=now + SESSION_LIFETIME)
        new = accounts.NewSession(
            hash=hash_secret(made.secret),
            account_id=account_id,
            created_at=now,
            expires_at=made.expires_at,
            by_code=False,
        )
        await self._database.write(lambda c: accounts.add_session(c, new))
        return made

    async def set_password(self, caller: Caller, password: str, current: str | None, session: str | None) -> None:
        """Choose a password. The account's other browsers are signed out, its tokens stay.

        Raises:
            Problem: invalid, for a password that is too short, or where `current` is not the one before. A session that
                a login link began need not know that one.
        """
        known = await self._database.read(lambda c: people.find_password(c, caller.account_name))
        stored = None if known is None else known.hash
        keep = None if session is None else hash_secret(session)
        if stored is not None and not await self._by_login_link(keep):
            await self._check_current(caller, stored, current)
        await self._store(caller.account_id, check_password(password, caller.account_name))
        await self._database.write(lambda c: accounts.delete_sessions(c, caller.account_id, keep=keep))

    async def _by_login_link(self, session_hash: bytes | None) -> bool:
        if session_hash is None:
            return False
        return await self._database.read(lambda c: accounts.began_by_code(c, session_hash))

    async def _check_current(self, caller: Caller, stored: str, current: str | None) -> None:
        self._by_name.check(caller.account_name)
        if current is None or not await self._passwords.matches(stored, current[: MAX_CHARS + 1]):
            self._by_name.failed(caller.account_name)
            raise invalid("/current", "this is not the present password; a new login link makes it unnecessary")

    async def _store(self, account_id: str, password: str) -> None:
        hashed = await self._passwords.hash(password)
        await self._database.write(lambda c: people.store_password(c, account_id, hashed))

    async def everybody(self, after: Position | None, limit: int) -> Slice[Person]:
        """Every account, by name."""
        return await self._database.read(lambda c: people.list_people(c, after, limit))

    async def suggest(self, start: str) -> list[str]:
        """Some names of accounts that begin like this."""
        return await self._database.read(lambda c: people.find_names(c, start, MAX_SUGGESTIONS))

    async def find(self, name: str) -> Person:
        """The account with this name.

        Raises:
            Problem: not-found.
        """
        found = await self._database.read(lambda c: people.find_person(c, name))
        if found is None:
            raise not_found("account", name)
        return found

    async def add(self, name: str, role: Role) -> tuple[Person, Secret]:
        """Make an account, and the code of a login link with which its owner gets in, for 7 days.

        Raises:
            Problem: invalid, for a name that is not acceptable or taken.
        """
        new = AccountInfo(str(uuid4()), check_account_name(name))
        if not await self._database.write(lambda c: people.add_person(c, new, role, self._clock())):
            raise invalid("/name", f"there is an account {new.name!r} already")
        return await self.find(new.name), await self._identity.create_code_for(new.id, INVITATION_LIFETIME)

    async def invite(self, name: str) -> Secret:
        """The code of a new login link for an account, for those who have forgotten their password.

        Raises:
            Problem: not-found; invalid, for a disabled account.
        """
        person = await self.find(name)
        if person.role == "disabled":
            raise invalid("/account", f"the account {name!r} is disabled; give it another role first")
        return await self._identity.create_code_for(person.id, INVITATION_LIFETIME)

    async def change_role(self, name: str, role: Role) -> Person:
        """Give an account another role; a disabled one is signed out, and its tokens stop working.

        Raises:
            Problem: not-found; invalid, where no administrator would be left.
        """
        person = await self.find(name)
        if not await self._database.write(lambda c: people.change_role(c, person.id, role)):
            raise invalid("/role", f"{name!r} is the only administrator; make somebody else one first")
        return await self.find(name)

    async def sessions(self, caller: Caller, current: str | None) -> list[BrowserSession]:
        """The browsers that are signed in as the caller, last used first; `current` is the secret of this one."""
        mine = None if current is None else hash_secret(current)
        now = self._clock()
        return await self._database.read(lambda c: accounts.list_sessions(c, caller.account_id, now, current=mine))

    async def end_session(self, caller: Caller, session_id: str) -> None:
        """Sign one of the caller's browsers out.

        Raises:
            Problem: not-found.
        """
        if not await self._database.write(lambda c: accounts.end_session(c, caller.account_id, session_id)):
            raise Problem("not-found", f"there is no session {session_id[:40]!r} of yours")
