"""Signing in and out, and tokens."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hub_server.domain.scopes import ANONYMOUS, SIGNED_IN
from hub_server.domain.types import LoginCodeInfo, NewToken, Page, SessionInfo, SignedIn, TokenInfo
from hub_server.services.identity import TokenRequest
from hub_server.services.services import Services
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery

MAX_LIFETIME_S = 10 * 365 * 86_400


class SignIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The code of a login link."""

    code: Annotated[str, Meta(max_length=200)]


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
)
async def sign_in(hub: Services, call: Call[Nothing, SignIn]) -> Reply:
    """Sign a browser in with the code of a login link; the session is in the cookie."""
    account, session = await hub.identity.sign_in(call.body.code, call.request.client)
    return Reply(body=SignedIn(account), status=201, cookie=session.secret)


@operation("GET", "/api/v1/session", scope=SIGNED_IN, response=SessionInfo)
async def get_session(hub: Services, call: Call[Nothing, None]) -> SessionInfo:
    """Who the caller is, and what they may do."""
    return hub.identity.describe(call.caller)


@operation("DELETE", "/api/v1/session", scope=SIGNED_IN, answers=(204,))
async def sign_out(hub: Services, call: Call[Nothing, None]) -> Reply:
    """End the browser's session; tokens are not touched."""
    if call.request.session is not None:
        await hub.identity.sign_out(call.request.session)
    return Reply(status=204, cookie="")


@operation("POST", "/api/v1/login-codes", scope="admin", body=Nothing, response=LoginCodeInfo, answers=(201,))
async def create_login_code(hub: Services, call: Call[Nothing, Nothing]) -> Reply:
    """Make a login link; it works once, for 10 minutes."""
    made = await hub.identity.create_login_code(call.caller)
    url = f"{hub.public_url}/login#code={made.secret}"
    return Reply(body=LoginCodeInfo(code=made.secret, url=url, expires_at=made.expires_at), status=201)


@operation("POST", "/api/v1/tokens", scope="tokens:write", body=NewTokenBody, response=NewToken, answers=(201,))
async def create_token(hub: Services, call: Call[Nothing, NewTokenBody]) -> Reply:
    """Make a token that can do at most what the caller can; it is shown this once."""
    wanted = call.body
    request = TokenRequest(
        name=wanted.name,
        scopes=wanted.scopes,
        project_id=wanted.project_id,
        expires_in_s=wanted.expires_in_s,
    )
    return Reply(body=await hub.identity.create_token(call.caller, request), status=201)


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
