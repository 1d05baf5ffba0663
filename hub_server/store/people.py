"""Accounts as the people that they stand for: their names, roles and passwords."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from hub_server.domain.cursor import Position, Slice, slice_of
from hub_server.domain.scopes import Role
from hub_server.domain.types import AccountInfo, Person
from hub_server.store.counting import capped_count
from hub_server.store.schema import account, login_code, session


class PasswordOf(Struct, frozen=True, kw_only=True):
    """An account with the hash of its password; None where it has none."""

    account: AccountInfo
    role: str
    hash: str | None


def add_person(connection: Connection, new: AccountInfo, role: Role, now: datetime) -> bool:
    """Store an account; False where its name is taken."""
    if find_person(connection, new.name) is not None:
        return False
    connection.execute(insert(account).values(id=new.id, name=new.name, role=role, created_at=now))
    return True


def find_person(connection: Connection, name: str) -> Person | None:
    """The account with this name."""
    row = connection.execute(select(account).where(account.c.name == name)).first()
    return None if row is None else _person(row)


def list_people(connection: Connection, after: Position | None, limit: int) -> Slice[Person]:
    """Every account, by name."""
    query = select(account).order_by(account.c.name).limit(limit + 1)
    if after is not None:
        query = query.where(account.c.name > after[0])
    rows = connection.execute(query).all()
    return slice_of(rows, limit, _person, lambda row: [row.name], capped_count(connection, select(account.c.id)))


def find_names(connection: Connection, start: str, limit: int) -> list[str]:
    """The first names that begin with `start`, of accounts that can sign in."""
    query = select(account.c.name).where(account.c.name.startswith(start, autoescape=True))
    return list(connection.scalars(query.where(account.c.role != "disabled").order_by(account.c.name).limit(limit)))


def change_role(connection: Connection, account_id: str, role: Role) -> bool:
    """Give an account another role; False where no administrator would be left.

    The sessions and login codes of a disabled one end.
    """
    others = select(func.count()).where(account.c.role == "admin", account.c.id != account_id)
    if role != "admin" and not connection.scalar(others):
        return False
    connection.execute(update(account).where(account.c.id == account_id).values(role=role))
    if role == "disabled":
        connection.execute(delete(session).where(session.c.account_id == account_id))
        connection.execute(delete(login_code).where(login_code.c.account_id == account_id))
    return True


def find_password(connection: Connection, name: str) -> PasswordOf | None:
    """The password of the account with this name."""
    row = connection.execute(select(account).where(account.c.name == name)).first()
    if row is None:
        return None
    return PasswordOf(account=AccountInfo(row.id, row.name), role=row.role, hash=row.password_hash)


def store_password(connection: Connection, account_id: str, password_hash: str) -> None:
    """Set an account's password; its login codes end."""
    connection.execute(delete(login_code).where(login_code.c.account_id == account_id))
    connection.execute(update(account).where(account.c.id == account_id).values(password_hash=password_hash))


def _person(row: Row[Any]) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        role=row.role,
        created_at=row.created_at,
        has_password=row.password_hash is not None,
    )
