"""Accounts, tokens, sessions and login codes; secrets only as their SHA-256."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from hub_server.domain.types import AccountInfo, TokenInfo
from hub_server.store.schema import account, login_code, project, session, setting, token


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


def get_setting(connection: Connection, name: str) -> bytes | None:
    """A value that the hub keeps about itself."""
    return connection.scalar(select(setting.c.value).where(setting.c.name == name))


def put_setting(connection: Connection, name: str, value: bytes) -> None:
    """Store a setting that is not there yet."""
    connection.execute(insert(setting).values(name=name, value=value))


def first_account(connection: Connection) -> AccountInfo | None:
    """The account that was made first."""
    row = connection.execute(select(account.c.id, account.c.name).order_by(account.c.created_at).limit(1)).first()
    return None if row is None else AccountInfo(row.id, row.name)


def add_account(connection: Connection, new: AccountInfo, role: str, created_at: datetime) -> None:
    """Store an account."""
    connection.execute(insert(account).values(id=new.id, name=new.name, role=role, created_at=created_at))


def find_token(connection: Connection, token_id: str) -> Credential | None:
    """The token with this id, expired or not."""
    row = connection.execute(
        select(token, account.c.name.label("account_name"), account.c.role, project.c.uuid)
        .join(account, account.c.id == token.c.account_id)
        .outerjoin(project, project.c.id == token.c.project_id)
        .where(token.c.id == token_id)
    ).first()
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


def add_token(connection: Connection, new: NewTokenRow) -> None:
    """Store a token; its project must exist."""
    project_key = select(project.c.id).where(project.c.uuid == new.project_id).scalar_subquery()
    connection.execute(
        insert(token).values(
            id=new.id,
            account_id=new.account_id,
            project_id=project_key if new.project_id else None,
            name=new.name,
            secret_hash=new.secret_hash,
            scopes=" ".join(new.scopes),
            created_at=new.created_at,
            expires_at=new.expires_at,
        )
    )


def list_tokens(
    connection: Connection, account_id: str, *, after: tuple[datetime, str] | None, limit: int
) -> list[TokenInfo]:
    """The account's tokens, newest first; `after` is creation time and id of the last one seen."""
    query = (
        select(token, project.c.uuid)
        .outerjoin(project, project.c.id == token.c.project_id)
        .where(token.c.account_id == account_id)
        .order_by(token.c.created_at.desc(), token.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        created_at, token_id = after
        query = query.where(
            (token.c.created_at < created_at) | ((token.c.created_at == created_at) & (token.c.id < token_id))
        )
    return [
        TokenInfo(
            id=row.id,
            name=row.name,
            scopes=row.scopes.split(),
            project_id=row.uuid,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )
        for row in connection.execute(query)
    ]


def delete_token(connection: Connection, account_id: str, token_id: str) -> bool:
    """Revoke a token of this account; whether there was one."""
    statement = delete(token).where(token.c.id == token_id, token.c.account_id == account_id)
    return connection.execute(statement).rowcount == 1


def touch_token(connection: Connection, token_id: str, now: datetime) -> None:
    """Note that the token was used."""
    connection.execute(update(token).where(token.c.id == token_id).values(last_used_at=now))


def find_session(connection: Connection, secret_hash: bytes) -> Credential | None:
    """The session with this hash, expired or not."""
    row = connection.execute(
        select(session, account.c.name, account.c.role)
        .join(account, account.c.id == session.c.account_id)
        .where(session.c.hash == secret_hash)
    ).first()
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


def add_session(
    connection: Connection, secret_hash: bytes, account_id: str, *, now: datetime, expires_at: datetime
) -> None:
    """Store a session, and forget those that have expired."""
    connection.execute(delete(session).where(session.c.expires_at <= now))
    connection.execute(
        insert(session).values(
            hash=secret_hash, account_id=account_id, created_at=now, last_used_at=now, expires_at=expires_at
        )
    )


def touch_session(connection: Connection, secret_hash: bytes, now: datetime) -> None:
    """Note that the session was used."""
    connection.execute(update(session).where(session.c.hash == secret_hash).values(last_used_at=now))


def delete_session(connection: Connection, secret_hash: bytes) -> None:
    """End a session; nothing to do where it has ended."""
    connection.execute(delete(session).where(session.c.hash == secret_hash))


def add_login_code(
    connection: Connection, secret_hash: bytes, account_id: str, *, now: datetime, expires_at: datetime
) -> None:
    """Store a login code, and forget those that have expired."""
    connection.execute(delete(login_code).where(login_code.c.expires_at <= now))
    connection.execute(insert(login_code).values(hash=secret_hash, account_id=account_id, expires_at=expires_at))


def use_login_code(connection: Connection, secret_hash: bytes, now: datetime) -> AccountInfo | None:
    """Take a valid login code out of the database, so that it works once; the account that it signs in."""
    row = connection.execute(
        select(account.c.id, account.c.name)
        .join(login_code, login_code.c.account_id == account.c.id)
        .where(login_code.c.hash == secret_hash, login_code.c.expires_at > now)
    ).first()
    if row is None:
        return None
    connection.execute(delete(login_code).where(login_code.c.hash == secret_hash))
    return AccountInfo(row.id, row.name)
