"""Calls about accounts, tokens, and who works on which project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

from msgspec import Struct

from dotscience.client.calls import Calls, path_of

Role = Literal["admin", "member", "disabled"]
ProjectRole = Literal["viewer", "editor", "owner"]


class Account(Struct, frozen=True):
    """A person as others see them."""

    id: str
    name: str


class Session(Struct, frozen=True, kw_only=True):
    """Who a token belongs to, and what it may do."""

    account: Account
    scopes: list[str]
    project_id: str | None = None
    is_admin: bool = False


class Person(Struct, frozen=True, kw_only=True):
    """An account as administrators see it."""

    id: str
    name: str
    role: str
    created_at: str
    has_password: bool = False


class Link(Struct, frozen=True, kw_only=True):
    """A login link: it signs one browser in, once, until `expires_at`."""

    code: str
    url: str
    expires_at: str


class Invitation(Struct, frozen=True, kw_only=True):
    """A new account with the link for its owner."""

    person: Person
    link: Link


class Collaborator(Struct, frozen=True, kw_only=True):
    """Somebody who works on a project."""

    id: str
    name: str
    role: str
    added_at: str


class TokenInfo(Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    id: str
    name: str
    scopes: list[str]
    project_id: str | None = None
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None


class PeopleCalls(Calls):
    """Who may do what."""

    def session(self) -> Session:
        """Who the token belongs to."""
        return self._call("GET", "/api/v1/session", Session)

    def accounts(self) -> Iterator[Person]:
        """Every account of the hub, by name; for administrators."""
        yield from self._pages("/api/v1/accounts", Person)

    def create_account(self, name: str, role: Role = "member") -> Invitation:
        """Make an account; the link is shown this once.

        Raises:
            Invalid: the name is not acceptable, or taken.
        """
        return self._call("POST", "/api/v1/accounts", Invitation, body={"name": name, "role": role})

    def change_account(self, name: str, role: Role) -> Person:
        """Give an account another role.

        Raises:
            NotFound: nobody has this name.
            Invalid: it is the last administrator.
        """
        return self._call("PATCH", path_of("accounts", name), Person, body={"role": role})

    def invite(self, name: str) -> Link:
        """Make a new login link for an account.

        Raises:
            NotFound: nobody has this name.
        """
        return self._call("POST", path_of("accounts", name, "login-codes"), Link, body={})

    def tokens(self) -> Iterator[TokenInfo]:
        """The account's tokens, newest first."""
        yield from self._pages("/api/v1/tokens", TokenInfo)

    def delete_token(self, token_id: str) -> None:
        """Revoke a token.

        Raises:
            NotFound: the account has no such token.
        """
        self._send("DELETE", path_of("tokens", token_id))

    def audit(self, project_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Who changed what, newest first: in a project, or on the whole hub."""
        path = "/api/v1/audit" if project_id is None else path_of("projects", project_id, "audit")
        yield from self._pages(path, dict[str, Any])

    def collaborators(self, project_id: str) -> Iterator[Collaborator]:
        """The people who work on a project, by name."""
        yield from self._pages(path_of("projects", project_id, "collaborators"), Collaborator)

    def put_collaborator(self, project_id: str, name: str, role: ProjectRole) -> Collaborator:
        """Let somebody work on a project, or give them another role in it.

        Raises:
            NotFound: nobody has this name.
            Invalid: no owner would be left.
        """
        path = path_of("projects", project_id, "collaborators", name)
        return self._call("PUT", path, Collaborator, body={"role": role})

    def remove_collaborator(self, project_id: str, name: str) -> None:
        """Let somebody work on a project no longer.

        Raises:
            NotFound: they do not.
            Invalid: no owner would be left.
        """
        self._send("DELETE", path_of("projects", project_id, "collaborators", name))

    def leave_project(self, project_id: str) -> None:
        """Stop working on a project oneself.

        Raises:
            Invalid: no owner would be left.
        """
        self._send("DELETE", path_of("projects", project_id, "membership"))


def new_key() -> dict[str, str]:
    """The header that makes a POST one request, however often it is sent."""
    return {"Idempotency-Key": uuid4().hex}
