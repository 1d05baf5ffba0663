"""The composition root: one hub process, from its settings to its end."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from dotscience.errors import ConfigError, ZfsError
from dotscience.version import __version__
from hub_server.content.local import LocalStorage
from hub_server.content.packs import Packs
from hub_server.content.storage import PackStorage
from hub_server.content.zfs import ZfsDots
from hub_server.data_folder import DataFolder
from hub_server.domain.scopes import SCOPES, Caller
from hub_server.domain.types import AccountInfo
from hub_server.legacy.api import LEGACY_API
from hub_server.services.audit import Audit
from hub_server.services.collaborators import Collaborators
from hub_server.services.collector import Collector
from hub_server.services.comments import Comments
from hub_server.services.comparing import Comparing
from hub_server.services.events import EventBus
from hub_server.services.fetching import Fetching
from hub_server.services.folders import Folders
from hub_server.services.history import History
from hub_server.services.hub_commits import HubCommits
from hub_server.services.idempotency import Idempotency
from hub_server.services.identity import Identity, TokenRequest, utc_now
from hub_server.services.models import Models
from hub_server.services.passwords import Passwords
from hub_server.services.people import People
from hub_server.services.projects import Projects
from hub_server.services.provenance import Provenance
from hub_server.services.rates import RateLimit
from hub_server.services.readiness import Readiness
from hub_server.services.repacking import Repacker
from hub_server.services.run_edits import RunEdits
from hub_server.services.scrub import Scrubber
from hub_server.services.services import Services
from hub_server.services.stopping import Stopping
from hub_server.services.sync import Sync
from hub_server.services.upkeep import UpkeepService
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.services.volumes import Volumes
from hub_server.services.workers import Workers
from hub_server.services.workspaces import Workspaces
from hub_server.services.zfs import ZfsSync
from hub_server.settings import DEFAULT_PORT, HubSettings
from hub_server.store import accounts
from hub_server.store.backends.backend import Backend
from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database
from hub_server.store.migrate import migrate
from hub_server.web.application import MAX_HEADER_BYTES, HubApplication
from hub_server.web.security import LOOPBACK_NAMES, host_name
from hub_server.web.static import load_dashboard

log = structlog.get_logger()

STATIC = Path(__file__).parent / "static"
WORKERS = 4
UPKEEP_WORKERS = 2
UPLOAD_WORKERS = 2
PASSWORD_WORKERS = 2
PORTS_TRIED = 100
BODY_TIMEOUT_S = 600.0
IDLE_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0
FIRST_ACCOUNT = "owner"
ADMIN_TOKEN = "admin.token in the hub's data folder"  # noqa: S105 - a token's name


class Hub:
    """A running hub; made by `start`, ended by `stop`."""

    def __init__(self, stack: AsyncExitStack, url: str, services: Services) -> None:
        self._stack = stack
        self.url = url
        self.services = services

    async def stop(self) -> None:
        """Take no more requests, finish those that run, close everything. Idempotent."""
        await self._stack.aclose()


async def start(settings: HubSettings, *, clock: Callable[[], datetime] = utc_now) -> Hub:
    """Open the data folder, bring the database up to date, and listen.

    Raises:
        ConfigError: the folder is in use, the port is taken, or the database is of a newer version.
    """
    async with AsyncExitStack() as stack:
        folder = DataFolder(settings.data)
        stack.callback(folder.close)
        sockets = _bind(settings)
        stack.callback(_close_sockets, sockets)
        services = await _open_services(settings, folder, _url(settings, sockets), stack, clock)
        await _ensure_owner(services, folder)
        await _serve(settings, sockets, services, stack)
        url = _url(settings, sockets)
        folder.announce(url, clock())
        log.info("hub.started", url=url, data=str(settings.data), version=__version__)
        return Hub(stack.pop_all(), url, services)


async def run(settings: HubSettings, *, ready: Callable[[str], None]) -> None:
    """Run a hub until SIGTERM or SIGINT; `ready` gets its URL once it answers."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    hub = await start(settings)
    try:
        ready(hub.url)
        await stopping.wait()
    finally:
        log.info("hub.stopping")
        await hub.stop()


async def _open_services(
    settings: HubSettings,
    folder: DataFolder,
    url: str,
    stack: AsyncExitStack,
    clock: Callable[[], datetime],
) -> Services:
    backend = _backend(settings, folder)
    migrate(backend)
    database = Database(backend)
    stack.callback(database.close)
    workers = Workers(WORKERS)
    stack.callback(workers.close)
    packs = Packs(folder.path, await _open_storage(settings, folder, workers))
    packs.sweep()
    events = EventBus()
    projects = Projects(database, events, clock=clock)
    sync = Sync(database, packs, workers, events, clock=clock)
    upload_workers = Workers(UPLOAD_WORKERS)  # of their own: to take in a large file must not keep requests waiting
    stack.callback(upload_workers.close)
    hub_commits = HubCommits(database, packs, sync, upload_workers, clock=clock)
    identity = Identity(database, clock=clock)
    return Services(
        identity=identity,
        people=People(database, identity, _open_passwords(stack), clock=clock),
        collaborators=Collaborators(database, clock=clock),
        audit=Audit(database, clock=clock),
        idempotency=Idempotency(database, clock=clock),
        rates=RateLimit(settings.requests_per_minute, time.monotonic),
        projects=projects,
        run_edits=RunEdits(database, events, clock=clock),
        comments=Comments(database, events, clock=clock),
        comparing=Comparing(database),
        models=Models(database),
        provenance=Provenance(database),
        history=History(database, packs, workers, clock=clock),
        sync=sync,
        fetching=Fetching(database, packs, workers),
        volumes=Volumes(database, projects, clock=clock),
        workspaces=Workspaces(hub_commits, packs, upload_workers, receiving=workers, clock=clock),
        folders=Folders(hub_commits, workers),
        events=events,
        workers=workers,
        zfs=await _open_zfs(settings, workers, stack),
        readiness=Readiness(database),
        upkeep=_open_upkeep(settings, database, packs, stack, clock),
        public_url=settings.public_url or url,
        cursor_key=await database.write(lambda c: accounts.ensure_setting(c, "cursor_key", secrets.token_bytes(32))),
        version=__version__,
    )


def _open_passwords(stack: AsyncExitStack) -> Passwords:
    workers = Workers(PASSWORD_WORKERS)  # of its own: many attempts must keep nothing but each other waiting
    stack.callback(workers.close)
    return Passwords(workers)


def _backend(settings: HubSettings, folder: DataFolder) -> Backend:
    return Sqlite(folder.database) if settings.database is None else Postgresql(settings.database)


async def _open_storage(settings: HubSettings, folder: DataFolder, workers: Workers) -> PackStorage:
    if settings.storage is None:
        return LocalStorage(folder.path)
    from hub_server.content.bucket import BucketStorage  # a client that takes a while to import, for those who need it

    bucket = BucketStorage(settings.storage, os.environ)
    await workers.run(bucket.check)
    return bucket


async def _open_zfs(settings: HubSettings, workers: Workers, stack: AsyncExitStack) -> ZfsSync:
    dots = None
    if settings.zfs_receive == "trusted" and settings.zfs_root:
        try:
            dots = ZfsDots(settings.zfs_root)
            await workers.run(dots.prepare)
        except ZfsError as error:
            raise ConfigError(f"ZFS streams cannot be received below {settings.zfs_root}: {error}") from error
    zfs = ZfsSync(dots, workers)
    stack.push_async_callback(zfs.close)
    return zfs


def _open_upkeep(
    settings: HubSettings, database: Database, packs: Packs, stack: AsyncExitStack, clock: Callable[[], datetime]
) -> UpkeepService:
    workers = Workers(UPKEEP_WORKERS)  # of its own: what takes long must not keep requests waiting
    stack.callback(workers.close)
    context = UpkeepContext(database, packs, workers, Stopping(), clock)
    upkeep = UpkeepService(
        context,
        collector=Collector(context, keep_unused=timedelta(hours=settings.keep_unused_h)),
        repacker=Repacker(context),
        scrubber=Scrubber(context),
        every=timedelta(hours=settings.upkeep_every_h) if settings.upkeep_every_h else None,
    )
    stack.push_async_callback(upkeep.close)
    upkeep.begin()
    return upkeep


async def _ensure_owner(services: Services, folder: DataFolder) -> None:
    """The first account, and its token in the data folder; a folder that lost the token gets a new one in its place."""
    account = await services.identity.ensure_first_account(AccountInfo(str(uuid4()), FIRST_ACCOUNT))
    if folder.has_token():
        await services.identity.ensure_scopes(account, ADMIN_TOKEN)
        return
    owner = Caller(account_id=account.id, account_name=account.name, scopes=frozenset(SCOPES), is_admin=True)
    request = TokenRequest(name=ADMIN_TOKEN, scopes=list(SCOPES), project_id=None, expires_in_s=None)
    made = await services.identity.replace_token(owner, request)
    folder.write_token(made.token)


async def _serve(
    settings: HubSettings, sockets: list[socket.socket], services: Services, stack: AsyncExitStack
) -> None:
    dashboard = await services.workers.run(lambda: load_dashboard(STATIC))
    application = HubApplication(services, dashboard=dashboard, hosts=_hosts(settings), further=[LEGACY_API])
    server = HTTPServer(
        application,
        max_header_size=MAX_HEADER_BYTES,
        body_timeout=BODY_TIMEOUT_S,
        idle_connection_timeout=IDLE_TIMEOUT_S,
    )
    server.add_sockets(sockets)
    stack.push_async_callback(_stop_serving, server, application)


async def _stop_serving(server: HTTPServer, application: HubApplication) -> None:
    server.stop()
    application.close_sockets()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await application.activity.idle()
            await server.close_all_connections()
    except TimeoutError:
        log.warning("hub.requests_cut", count=len(application.activity.running))


def _hosts(settings: HubSettings) -> frozenset[str]:
    named = (
        {settings.host, host_name(settings.public_url.partition("//")[2])} if settings.public_url else {settings.host}
    )
    return LOOPBACK_NAMES | {name.lower() for name in named if name}


def _bind(settings: HubSettings) -> list[socket.socket]:
    """Listen on the port asked for; without one, on 8800 or the next one that is free."""
    first = DEFAULT_PORT if settings.port is None else settings.port
    tried = range(first, first + (PORTS_TRIED if settings.port is None else 1))
    for port in tried:
        try:
            return bind_sockets(port, settings.host)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"the hub cannot listen on {settings.host}:{port} ({error.strerror})") from error
    raise ConfigError(f"port {first} on {settings.host} is taken; choose another with --port, or 0 for any free one")


def _close_sockets(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _url(settings: HubSettings, sockets: list[socket.socket]) -> str:
    """The address of this hub for programs on this machine."""
    port = sockets[0].getsockname()[1]
    host = "127.0.0.1" if settings.host in {"", "0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
