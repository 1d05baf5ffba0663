"""`ds login` and `ds logout`: a token of the user's account, for commands that change something on a hub."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dotscience.errors import ConfigError, Unauthenticated

if TYPE_CHECKING:
    from dotscience.client.people import Session


@click.command(
    epilog="""\b
Examples:
  ds login https://hub.example.org
  ds login https://hub.example.org --name alice
  ds login https://hub.example.org --token < token.txt
  ds login https://hub.example.org --ca company-ca.pem
"""
)
@click.argument("hub_url", metavar="URL")
@click.option("--name", help="The account; asked for otherwise.")
@click.option("--token", "by_token", is_flag=True, help="Read a token from stdin, made on the hub under Tokens.")
@click.option(
    "--ca",
    "certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Trust the certificate authority in this PEM file for the hub, from here on.",
)
def login(*, hub_url: str, name: str | None, by_token: bool, certificate: Path | None) -> None:
    """Log in to a hub with name and password, or with a token.

    What is kept is a token, in your config folder and readable by you alone; the password is not kept.
    """
    from dotscience.client import credentials, transport
    from dotscience.client.address import EXPECTED, is_hub_address
    from dotscience.client.hub import HubClient

    if not is_hub_address(hub_url):
        raise click.UsageError(f"the hub must be {EXPECTED}")
    url = hub_url.rstrip("/")
    if certificate is not None:
        transport.keep_certificate(url, certificate)
    token = _read_token() if by_token else _make_token(url, name)
    with HubClient(url, token) as client:
        session = client.session()
    credentials.save(url, credentials.ACCOUNT, token)
    click.echo(f"Logged in to {url} as {session.account.name}{_limits(session)}.")


@click.command(epilog="Example: ds logout https://hub.example.org")
@click.argument("hub_url", metavar="URL")
def logout(*, hub_url: str) -> None:
    """Forget the token that `ds login` has kept, and revoke it on the hub."""
    from dotscience.client import credentials
    from dotscience.client.hub import HubClient
    from dotscience.errors import HubError

    url = hub_url.rstrip("/")
    token = credentials.load(url, credentials.ACCOUNT)
    if token is None:
        click.echo(f"You are not logged in to {url}.")
        return
    credentials.forget(url, credentials.ACCOUNT)
    try:
        with HubClient(url, token) as client:
            client.delete_token(token.split("_")[1])
    except HubError as error:
        raise ConfigError(f"the token is forgotten here, but the hub did not revoke it: {error}") from error
    click.echo(f"Logged out of {url}.")


def _make_token(url: str, name: str | None) -> str:
    from dotscience.client.hub import HubClient

    name = name or click.prompt("Name")
    password = click.prompt("Password", hide_input=True)
    with HubClient(url) as client:
        return client.sign_in(name, password, f"ds login on {platform.node() or 'a machine'}").token


def _read_token() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True)).strip()
    token = sys.stdin.readline(1_000).strip()
    if not token.startswith("ds_") or not token.isascii():
        raise Unauthenticated("what stdin has is no token: one looks like ds_…; make one on the hub under Tokens")
    return token


def _limits(session: Session) -> str:
    return "" if session.project_id is None else ", for one project"
