"""Accounts, tokens, sessions and login codes; secrets only as their SHA-256."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, select, update

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.types import AccountInfo, BrowserSession, TokenInfo
from hub_server.store.counting import capped_count
from hub_server.store.schema import account, login_code, project, session, setting, token

SESSION_ID_CHARS = 16
"""A session is named by the beginning of its secret's hash, which tells nobody the secret."""


class Credential(Struct, frozen=True, kw_only=True):
    """A token or session as the database knows it; `scopes` is None for a session, which has all that its role has."""

    secret_hash: bytes
    account: AccountInfo
    role: str
    scopes: frozenset[str] | None
    project_id: str | None
    expires_at: datetime | None
    last_used_at: datetime | None


class NewTokenRow(Struct, frozen=True, kw_only=True):
    """A token to be stored."""

    id: str
    account_id: str
    project_id: str | None
    name: str
    secret_hash: bytes
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class NewSession(Struct, frozen=True, kw_only=True):
    """A session to be stored."""

    hash: bytes
    account_id: str
    created_at: datetime
    expires_at: datetime
    by_code: bool


class WayIn(Struct, frozen=True, kw_only=True):
    """How an account gets in: whether it has a password, and whether a login link began the session in question."""

    has_password: bool
    by_login_link: bool


class Owned(Struct, frozen=True, kw_only=True):
    """The tokens of an account; with `project_id`, those alone that are bound to this project."""

    account_id: str
    project_id: str | None


# Made once, as every request runs one of them: to make a statement costs SQLAlchemy more than to run it.

_FIND_TOKEN = (
    select(token, account.c.name.label("account_name"), account.c.role, project.c.uuid)
    .join(account, account.c.id == token.c.account_id)
    .outerjoin(project, project.c.id == token.c.project_id)
    .where(token.c.id == bindparam("id"))
)
_FIND_SESSION = (
    select(session, account.c.name, account.c.role)
    .join(account, account.c.id == session.c.account_id)
    .where(session.c.hash == bindparam("hash"))
)


def ensure_setting(connection: Connection, name: str, value: bytes) -> bytes:
    """A value that the hub keeps about itself; stores `value` where there is none."""
    stored = find_setting(connection, name)
    if stored is None:
        connection.execute(insert(setting).values(name=name, value=value))
    return value if stored is None else stored


def find_setting(connection: Connection, name: str) -> bytes | None:
    """A value that the hub keeps about itself."""
    return connection.scalar(select(setting.c.value).where(setting.c.name == name))


def store_setting(connection: Connection, name: str, value: bytes) -> None:
    """Keep a value, in place of the one before."""
    connection.execute(delete(setting).where(setting.c.name == name))
    connection.execute(insert(setting).values(name=name, value=value))


def ensure_administrator(connection: Connection, wanted: AccountInfo, role: str, now: datetime) -> AccountInfo:
    """The administrator who was made first; stores `wanted` where nobody has an account."""
    first = select(account.c.id, account.c.name).order_by(account.c.role != "admin", account.c.created_at).limit(1)
    row = connection.execute(first).first()
    if row is not None:
        return AccountInfo(row.id, row.name)
    connection.execute(insert(account).values(id=wanted.id, name=wanted.name, role=role, created_at=now))
    return wanted


def find_token(connection: Connection, token_id: str) -> Credential | None:
    """The token with this id, expired or not."""
    row = connection.execute(_FIND_TOKEN, {"id": token_id}).first()
    if row is None:
        return None
    return Credential(
        secret_hash=row.secret_hash,
        account=AccountInfo(row.account_id, row.account_name),
        role=row.role,
        scopes=frozenset(row.scopes.split()),
        project_id=row.uuid,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def add_token(connection: Connection, new: NewTokenRow) -> bool:
    """Store a token; False when its project does not exist."""
    project_key = connection.scalar(select(project.c.id).where(project.c.uuid == new.project_id))
    if new.project_id is not None and project_key is None:
        return False
    connection.execute(
        insert(token).values(
            id=new.id,
            account_id=new.account_id,
            project_id=project_key,
            name=new.name,
            secret_hash=new.secret_hash,
            scopes=" ".join(new.scopes),
            created_at=new.created_at,
            expires_at=new.expires_at,
        )
    )
    return True


def list_tokens(connection: Connection, owned: Owned, *, after: Position | None, limit: int) -> Slice[TokenInfo]:
    """Tokens, newest first."""
    mine = _tokens(owned)
    query = (
        select(token, project.c.uuid)
        .outerjoin(project, project.c.id == token.c.project_id)
        .where(mine)
        .order_by(token.c.created_at.desc(), token.c.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        created_at, token_id = after
        older = token.c.created_at < created_at
        query = query.where(older | ((token.c.created_at == created_at) & (token.c.id < token_id)))
    rows = connection.execute(query).all()
    count = capped_count(connection, select(token.c.id).where(mine))
    return slice_of(rows, limit, _token_info, lambda row: [row.created_at, row.id], count)


def _token_info(row: Row[Any]) -> TokenInfo:
    return TokenInfo(
        id=row.id,
        name=row.name,
        scopes=row.scopes.split(),
        project_id=row.uuid,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def delete_token(connection: Connection, owned: Owned, token_id: str) -> bool:
    """Revoke one of these tokens; whether there was one."""
    return connection.execute(delete(token).where(token.c.id == token_id, _tokens(owned))).rowcount == 1


def delete_tokens_named(connection: Connection, account_id: str, name: str) -> None:
    """Revoke every token of the account that has this name."""
    connection.execute(delete(token).where(token.c.account_id == account_id, token.c.name == name))


def _tokens(owned: Owned) -> ColumnElement[bool]:
    mine = token.c.account_id == owned.account_id
    if owned.project_id is None:
        return mine
    key = select(project.c.id).where(project.c.uuid == owned.project_id).scalar_subquery()
    return mine & (token.c.project_id == key)


def set_scopes(connection: Connection, account_id: str, name: str, scopes: list[str]) -> bool:
    """Give the account's tokens of this name other scopes; whether there are any."""
    mine = (token.c.account_id == account_id) & (token.c.name == name)
    return connection.execute(update(token).where(mine).values(scopes=" ".join(scopes))).rowcount > 0


def touch_token(connection: Connection, token_id: str, now: datetime) -> None:
    """Note that the token was used."""
    connection.execute(update(token).where(token.c.id == token_id).values(last_used_at=now))


def find_session(connection: Connection, secret_hash: bytes) -> Credential | None:
    """The session with this hash, expired or not."""
    row = connection.execute(_FIND_SESSION, {"hash": secret_hash}).first()
    if row is None:
        return None
    return Credential(
        secret_hash=row.hash,
        account=AccountInfo(row.account_id, row.name),
        role=row.role,
        scopes=None,
        project_id=None,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def touch_session(connection: Connection, secret_hash: bytes, now: datetime) -> None:
    """Note that the session was used."""
    connection.execute(update(session).where(session.c.hash == secret_hash).values(last_used_at=now))


def add_session(connection: Connection, new: NewSession) -> None:
    """Begin a session, and forget those that have expired."""
    connection.execute(delete(session).where(session.c.expires_at <= new.created_at))
    values = {name: getattr(new, name) for name in new.__struct_fields__}
    connection.execute(insert(session).values(last_used_at=new.created_at, **values))


def began_by_code(connection: Connection, secret_hash: bytes) -> bool:
    """Whether a login link began the session."""
    return bool(connection.scalar(select(session.c.by_code).where(session.c.hash == secret_hash)))


def find_way_in(connection: Connection, account_id: str, session_hash: bytes | None) -> WayIn:
    """How an account gets in, and how one of its sessions did."""
    has_password = select(account.c.password_hash.is_not(None)).where(account.c.id == account_id)
    return WayIn(
        has_password=bool(connection.scalar(has_password)),
        by_login_link=session_hash is not None and began_by_code(connection, session_hash),
    )


def list_sessions(
    connection: Connection, account_id: str, now: datetime, *, current: bytes | None
) -> list[BrowserSession]:
    """An account's sessions that have not expired, last used first."""
    mine = (session.c.account_id == account_id) & (session.c.expires_at > now)
    rows = connection.execute(select(session).where(mine).order_by(session.c.last_used_at.desc()))
    return [
        BrowserSession(
            id=row.hash.hex()[:SESSION_ID_CHARS],
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            is_current=row.hash == current,
        )
        for row in rows
    ]


def end_session(connection: Connection, account_id: str, session_id: str) -> bool:
    """End one of an account's sessions; whether there was one."""
    hashes = connection.scalars(select(session.c.hash).where(session.c.account_id == account_id)).all()
    found = [one for one in hashes if one.hex()[:SESSION_ID_CHARS] == session_id]
    for one in found:
        delete_session(connection, one)
    return bool(found)


def delete_sessions(connection: Connection, account_id: str, *, keep: bytes | None) -> None:
    """End an account's sessions but one."""
    mine = session.c.account_id == account_id
    connection.execute(delete(session).where(mine if keep is None else mine & (session.c.hash != keep)))


def delete_session(connection: Connection, secret_hash: bytes) -> None:
    """End a session; nothing to do where it has ended."""
    connection.execute(delete(session).where(session.c.hash == secret_hash))


def add_login_code(
    connection: Connection, secret_hash: bytes, account_id: str, *, now: datetime, expires_at: datetime
) -> None:
    """Store a login code in place of the account's earlier ones, and forget those that have expired."""
    old = (login_code.c.expires_at <= now) | (login_code.c.account_id == account_id)
    connection.execute(delete(login_code).where(old))
    connection.execute(insert(login_code).values(hash=secret_hash, account_id=account_id, expires_at=expires_at))


def exchange_login_code(
    connection: Connection, code_hash: bytes, session_hash: bytes, *, now: datetime, session_expires_at: datetime
) -> AccountInfo | None:
    """Use up a valid login code for a new session; the account that it signs in, None where the code is not valid.

    Sessions that have expired are forgotten.
    """
    row = connection.execute(
        select(account.c.id, account.c.name)
        .join(login_code, login_code.c.account_id == account.c.id)
        .where(login_code.c.hash == code_hash, login_code.c.expires_at > now, account.c.role != "disabled")
    ).first()
    if row is None:
        return None
    connection.execute(delete(login_code).where(login_code.c.hash == code_hash))
    new = NewSession(hash=session_hash, account_id=row.id, created_at=now, expires_at=session_expires_at, by_code=True)
    add_session(connection, new)
    return AccountInfo(row.id, row.name)
