"""The hub's commands."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub_server.account_commands import account
from hub_server.backup_commands import backup, restore
from hub_server.reindex_command import reindex
from hub_server.upkeep_commands import gc, scrub

if TYPE_CHECKING:
    from hub_server.app import Hub
    from hub_server.settings import HubSettings

DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The hub's data folder. [default: this user's data folder; DS_HUB_DATA]",
)

EPILOG = """\b
Examples:
  ds hub                                       on this machine only
  ds hub --host 0.0.0.0 --public-url https://hub.example.org
  ds hub --host 0.0.0.0 --port 443 --tls-cert hub.pem --tls-key hub.key --public-url https://hub.example.org
  ds hub --public-url https://example.org/dotscience --trusted-proxies 127.0.0.1
  ds hub --database postgresql://hub@db.example.org/dotscience
  ds hub login-link                            sign a browser in
  ds hub account add alice                     let somebody else in
  ds hub gc --dry-run                          what could be deleted
  ds hub backup /mnt/backup                    while it runs
"""


@click.group(invoke_without_command=True, epilog=EPILOG)
@DATA
@click.option("--port", type=click.IntRange(0, 65535), help="0 for any free port. [default: 8800 or the next free one]")
@click.option("--host", help="The address to listen on. [default: 127.0.0.1]")
@click.option("--public-url", metavar="URL", help="Where people reach the hub, when that is another address.")
@click.option("--tls-cert", metavar="FILE", help="A certificate, to speak TLS without a proxy; PEM, with its chain.")
@click.option("--tls-key", metavar="FILE", help="The certificate's key, without a password.")
@click.option("--trusted-proxies", metavar="CIDR,…", help="Whose X-Forwarded-* headers count. [default: nobody's]")
@click.option("--database", metavar="URL", help="postgresql://user@host/name. [default: a file in the data folder]")
@click.option("--storage", metavar="URL", help="A bucket for packs: s3://bucket/prefix. [default: the data folder]")
@click.option("--zfs-root", metavar="POOL/DATASET", help="Where dots are received as ZFS streams.")
@click.option("--zfs-receive", type=click.Choice(["off", "trusted"]), help="Who may send ZFS streams. [default: off]")
@click.option("--requests-per-minute", metavar="N", help="What one caller may ask for; 0: no limit. [default: 6000]")
@click.option("--upkeep-every-h", metavar="HOURS", help="How often to collect garbage; 0: never. [default: 24]")
@click.option("--keep-unused-h", metavar="HOURS", help="How long to keep what no commit needs. [default: 24]")
@click.pass_context
def hub(context: click.Context, /, data: Path | None, **flags: Any) -> None:
    """Run a hub: where runs and snapshots come together.

    It runs until it gets SIGTERM or Ctrl-C.
    """
    from hub_server.settings import load_settings

    settings = load_settings(os.environ, data=data, **flags)
    if context.invoked_subcommand is not None:
        context.obj = settings
        return
    from hub_server import app, logs

    logs.configure_logging()
    asyncio.run(app.run(settings, ready=_greet))


def _greet(started: Hub) -> None:
    click.echo(f"The hub is at {started.url}")
    if started.first_link is not None:
        click.echo(f"Sign in within 10 minutes, and choose a password:\n{started.first_link}")


@hub.command("login-link", epilog="Example: ds hub login-link")
@click.pass_obj
def login_link(settings: HubSettings) -> None:
    """Print a link that signs one browser in; it works once, for 10 minutes.

    The hub must be running, on this machine and for this user.
    """
    from dotscience.client.hub import HubClient
    from hub_server.running import running_hub

    with HubClient(*running_hub(settings.data)) as client:
        click.echo(client.create_login_code().url)


for command in (account, backup, gc, reindex, restore, scrub):
    hub.add_command(command)

commands: list[click.Command] = [hub]
