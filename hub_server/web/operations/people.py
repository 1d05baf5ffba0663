"""The hub's accounts, for its administrators; and their names, for those who share a project."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hub_server.domain.scopes import Role
from hub_server.domain.types import AuditEntry, LoginCodeInfo, NewPerson, Page, Person
from hub_server.services.services import Services
from hub_server.web.links import CHOOSE_PASSWORD, login_link
from hub_server.web.operation import Call, Nothing, Reply, operation
from hub_server.web.paging import Cursors, PageQuery


class NewAccount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The account to make."""

    name: Annotated[str, Meta(max_length=200)]
    role: Role = "member"


class AccountChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The role that an account is to have; `disabled` signs it out and stops its tokens."""

    role: Role


class NamesQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the names begin."""

    start: Annotated[str, Meta(min_length=1, max_length=64)]


@operation("GET", "/api/v1/accounts", scope="admin", query=PageQuery, response=Page[Person])
async def list_accounts(hub: Services, call: Call[PageQuery, None]) -> Page[Person]:
    """Every account of the hub, by name."""
    cursors = Cursors(hub, "accounts")
    return cursors.page(await hub.people.everybody(cursors.read(call.query.cursor), call.query.limit))


@operation(
    "POST",
    "/api/v1/accounts",
    scope="admin",
    body=NewAccount,
    response=NewPerson,
    answers=(201,),
    noted=lambda call: f"{call.body.name} {call.body.role}",
    holds_secret=True,
)
async def create_account(hub: Services, call: Call[Nothing, NewAccount]) -> Reply:
    """Make an account; the answer has a login link for its owner, which works once, for 7 days."""
    person, made = await hub.people.add(call.body.name, call.body.role)
    return Reply(body=NewPerson(person=person, link=login_link(hub, made)), status=201)


@operation(
    "PATCH",
    "/api/v1/accounts/{account}",
    scope="admin",
    body=AccountChange,
    response=Person,
    noted=lambda call: f"{call.path['account']} {call.body.role}",
)
async def change_account(hub: Services, call: Call[Nothing, AccountChange]) -> Person:
    """Give an account another role; {account} is its name."""
    return await hub.people.change_role(call.path["account"], call.body.role)


@operation(
    "POST",
    "/api/v1/accounts/{account}/login-codes",
    scope="admin",
    body=Nothing,
    response=LoginCodeInfo,
    answers=(201,),
    holds_secret=True,
)
async def invite_account(hub: Services, call: Call[Nothing, Nothing]) -> Reply:
    """Make a new login link for an account, for those who have forgotten their password; it works once, for 7 days.

    It leads to a page to choose a new one.
    """
    made = await hub.people.invite(call.path["account"])
    return Reply(body=login_link(hub, made, then=CHOOSE_PASSWORD), status=201)


@operation("GET", "/api/v1/account-names", scope="projects:admin", query=NamesQuery, response=list[str])
async def suggest_names(hub: Services, call: Call[NamesQuery, None]) -> list[str]:
    """Up to 10 names of accounts that begin like this, to choose collaborators from."""
    return await hub.people.suggest(call.query.start)


@operation("GET", "/api/v1/audit", scope="admin", query=PageQuery, response=Page[AuditEntry])
async def list_audit(hub: Services, call: Call[PageQuery, None]) -> Page[AuditEntry]:
    """Who changed what on the hub, newest first."""
    cursors = Cursors(hub, "audit")
    return cursors.page(await hub.audit.list(None, cursors.read(call.query.cursor), call.query.limit))


@operation(
    "GET", "/api/v1/projects/{project}/audit", scope="projects:admin", query=PageQuery, response=Page[AuditEntry]
)
async def list_project_audit(hub: Services, call: Call[PageQuery, None]) -> Page[AuditEntry]:
    """Who changed what in a project, newest first."""
    project = call.project.id
    cursors = Cursors(hub, f"audit:{project}")
    return cursors.page(await hub.audit.list(project, cursors.read(call.query.cursor), call.query.limit))
