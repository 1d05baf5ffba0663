"""Signing in and out, passwords, sessions and tokens."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hub_server.domain.problems import Problem, invalid
from hub_server.domain.scopes import ANONYMOUS, SIGNED_IN, Caller
from hub_server.domain.types import BrowserSession, LoginCodeInfo, NewToken, Page, SessionInfo, SignedIn, TokenInfo
from hub_server.services.identity import TokenRequest
from hub_server.services.passwords import MAX_CHARS
from hub_server.services.services import Services
from hub_server.web.links import login_link
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery

MAX_LIFETIME_S = 10 * 365 * 86_400


class SignIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Either the `code` of a login link, or the `name` of an account and its `password`."""

    code: Annotated[str, Meta(max_length=200)] | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    password: Annotated[str, Meta(max_length=MAX_CHARS)] | None = None


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The password to have from now on; `current` is the one before, which a session of a login link need not know."""

    password: Annotated[str, Meta(max_length=10 * MAX_CHARS)]
    current: Annotated[str, Meta(max_length=MAX_CHARS)] | None = None


class NewTokenBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The token to make; without a lifetime it works until it is revoked."""

    name: str
    scopes: list[str]
    project_id: str | None = None
    expires_in_s: Annotated[int, Meta(ge=1, le=MAX_LIFETIME_S)] | None = None


@operation(
    "POST",
    "/api/v1/sessions",
    scope=ANONYMOUS,
    body=SignIn,
    response=SignedIn,
    answers=(201,),
    problems=("rate-limited",),
    noted=lambda call: call.body.name or "by login link",
)
async def sign_in(hub: Services, call: Call[Nothing, SignIn]) -> Reply:
    """Sign a browser in with a password or the code of a login link; the session is in the cookie.

    It takes the place of the one that the browser had, which ends.
    """
    wanted, client = call.body, call.request.client
    if wanted.code is not None and wanted.name is None and wanted.password is None:
        account, session = await hub.identity.sign_in(wanted.code, client)
    elif wanted.code is None and wanted.name is not None and wanted.password is not None:
        account, session = await hub.people.sign_in(wanted.name, wanted.password, client)
    else:
        raise invalid("", "send either `code`, or `name` and `password`")
    if call.request.session is not None:
        await hub.identity.sign_out(call.request.session)
    return Reply(body=SignedIn(account), status=201, cookie=session.secret, signed_in=account)


@operation("PUT", "/api/v1/password", scope=SIGNED_IN, body=NewPassword, answers=(204,), problems=("rate-limited",))
async def set_password(hub: Services, call: Call[Nothing, NewPassword]) -> Reply:
    """Choose a password; other browsers are signed out. Only in a browser's session: no token changes who gets in."""
    if not call.caller.credential.startswith("session:"):
        raise Problem("forbidden", "a password is chosen in a browser; make a login link and sign in with it first")
    await hub.people.set_password(call.caller, call.body.password, call.body.current, call.request.session)
    return Reply(status=204)


@operation("GET", "/api/v1/sessions", scope=SIGNED_IN, response=list[BrowserSession])
async def list_sessions(hub: Services, call: Call[Nothing, None]) -> list[BrowserSession]:
    """The browsers that are signed in as the caller, last used first."""
    _require_whole_account(call.caller)
    return await hub.people.sessions(call.caller, call.request.session)


@operation("DELETE", "/api/v1/sessions/{session}", scope="tokens:write", answers=(204,))
async def end_session(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Sign one of the caller's browsers out."""
    _require_whole_account(call.caller)
    await hub.people.end_session(call.caller, call.path["session"])
    return Reply(status=204)


@operation("GET", "/api/v1/session", scope=SIGNED_IN, response=SessionInfo)
async def get_session(hub: Services, call: Call[Nothing, None]) -> SessionInfo:
    """Who the caller is, what they may do, and whether they can sign in with a password."""
    session = call.request.session if call.caller.credential.startswith("session:") else None
    return await hub.identity.describe(call.caller, session)


@operation("DELETE", "/api/v1/session", scope=SIGNED_IN, answers=(204,))
async def sign_out(hub: Services, call: Call[Nothing, None]) -> Reply:
    """End the browser's session; tokens are not touched."""
    if call.request.session is not None:
        await hub.identity.sign_out(call.request.session)
    return Reply(status=204, cookie="")


@operation(
    "POST",
    "/api/v1/login-codes",
    scope="admin",
    body=Nothing,
    response=LoginCodeInfo,
    answers=(201,),
    holds_secret=True,
)
async def create_login_code(hub: Services, call: Call[Nothing, Nothing]) -> Reply:
    """Make a login link; it works once, for 10 minutes."""
    return Reply(body=login_link(hub, await hub.identity.create_login_code(call.caller)), status=201)


@operation(
    "POST",
    "/api/v1/tokens",
    scope="tokens:write",
    body=NewTokenBody,
    response=NewToken,
    answers=(201,),
    noted=lambda call: call.body.name,
    holds_secret=True,
)
async def create_token(hub: Services, call: Call[Nothing, NewTokenBody]) -> Reply:
    """Make a token that can do at most what the caller can; it is shown this once."""
    wanted = call.body
    request = TokenRequest(
        name=wanted.name,
        scopes=wanted.scopes,
        project_id=wanted.project_id,
        expires_in_s=wanted.expires_in_s,
    )
    made = await hub.identity.create_token(call.caller, request)
    return Reply(body=made, status=201, about=made.project_id, noted=f"{made.id} {' '.join(made.scopes)}")


@operation("GET", "/api/v1/tokens", scope="tokens:write", query=PageQuery, response=Page[TokenInfo])
async def list_tokens(hub: Services, call: Call[PageQuery, None]) -> Page[TokenInfo]:
    """The account's tokens without their secrets, newest first."""
    caller, query = call.caller, call.query
    position = Cursors(hub, f"tokens:{caller.account_id}")
    found = await hub.identity.list_tokens(caller, position.read(query.cursor), query.limit)
    return position.page(found)


@operation("DELETE", "/api/v1/tokens/{token}", scope="tokens:write", answers=(204,))
async def delete_token(hub: Services, call: Call[Nothing, None]) -> Reply:
    """Revoke a token; it stops working at once."""
    await hub.identity.delete_token(call.caller, call.path["token"])
    return Reply(status=204)


def _require_whole_account(caller: Caller) -> None:
    """A token that is bound to one project has no business with the account's browsers.

    Raises:
        Problem: forbidden.
    """
    if caller.project_id is not None:
        raise Problem("forbidden", "this token is bound to one project; sessions are the account's: use another token")
