"""`ds hub account`: the accounts of the hub that runs on this machine, for its operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click
import msgspec

from dotscience import wording

if TYPE_CHECKING:
    from dotscience.client.hub import HubClient
    from dotscience.client.people import Role
    from hub_server.settings import HubSettings

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


@click.group(
    epilog="""\b
Examples:
  ds hub account add alice
  ds hub account role alice disabled
"""
)
def account() -> None:
    """Make and change accounts. The hub must be running, on this machine and for this user."""


@account.command(epilog="Example: ds hub account ls --json")
@AS_JSON
@click.pass_obj
def ls(settings: HubSettings, *, as_json: bool) -> None:
    """List the accounts, by name."""
    with _client(settings) as client:
        for one in client.accounts():
            has = "" if one.has_password else ", no password yet"
            click.echo(
                msgspec.json.encode(one).decode() if as_json else f"{wording.printable(one.name)}  ({one.role}{has})"
            )


@account.command(epilog="Example: ds hub account add alice")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Let them do everything, in every project.")
@AS_JSON
@click.pass_obj
def add(settings: HubSettings, *, name: str, admin: bool, as_json: bool) -> None:
    """Make an account, and print a login link for its owner: it works once, for 7 days."""
    with _client(settings) as client:
        made = client.create_account(name, "admin" if admin else "member")
    click.echo(msgspec.json.encode(made).decode() if as_json else made.link.url)


@account.command(epilog="Example: ds hub account link alice")
@click.argument("name")
@click.pass_obj
def link(settings: HubSettings, *, name: str) -> None:
    """Print a new login link, for somebody who has forgotten their password."""
    with _client(settings) as client:
        click.echo(client.invite(name).url)


@account.command(epilog="Example: ds hub account role alice disabled")
@click.argument("name")
@click.argument("role", type=click.Choice(["admin", "member", "disabled"]))
@click.pass_obj
def role(settings: HubSettings, *, name: str, role: str) -> None:
    """Make somebody an admin, a member, or shut them out: signed out, and without working tokens."""
    with _client(settings) as client:
        changed = client.change_account(name, cast("Role", role))
    click.echo(f"{wording.printable(changed.name)} is {changed.role}.")


def _client(settings: HubSettings) -> HubClient:
    from dotscience.client.hub import HubClient
    from hub_server.running import running_hub

    return HubClient(*running_hub(settings.data))
