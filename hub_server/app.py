"""The composition root: one hub process, from its settings to its end."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import structlog
from msgspec import Struct

from dotscience.errors import ConfigError, ZfsError
from dotscience.version import __version__
from hub_server.connections import connections_for, raise_file_limit
from hub_server.content.packs import Packs
from hub_server.content.reserve import Reserve
from hub_server.content.zfs import ZfsDots
from hub_server.data_folder import DataFolder
from hub_server.domain.scopes import SCOPES, Caller
from hub_server.domain.types import AccountInfo
from hub_server.legacy.api import LEGACY_API
from hub_server.opening import open_backend, open_storage
from hub_server.services.archives import Archives
from hub_server.services.audit import Audit
from hub_server.services.collaborators import Collaborators
from hub_server.services.collector import Collector
from hub_server.services.comments import Comments
from hub_server.services.comparing import Comparing
from hub_server.services.diffs import Diffs
from hub_server.services.events import EventBus
from hub_server.services.fetching import Fetching
from hub_server.services.folders import Folders
from hub_server.services.history import History
from hub_server.services.hub_commits import HubCommits
from hub_server.services.idempotency import Idempotency
from hub_server.services.identity import Identity, TokenRequest, utc_now
from hub_server.services.live_runs import LiveRuns
from hub_server.services.metrics import Metrics, MetricsReport
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
from hub_server.services.turns import Turns
from hub_server.services.upkeep import UpkeepService
from hub_server.services.upkeep_context import UpkeepContext
from hub_server.services.volumes import Volumes
from hub_server.services.workspaces import Workspaces
from hub_server.services.zfs import ZfsSync
from hub_server.serving import Listener, close_listeners, host_names, listen, serve, stop_serving
from hub_server.settings import HubSettings
from hub_server.store import accounts
from hub_server.store.database import Database
from hub_server.store.migrate import migrate
from hub_server.thread_pool import ThreadPool
from hub_server.web.application import HubApplication
from hub_server.web.links import CHOOSE_PASSWORD, login_link
from hub_server.web.proxies import TrustedProxies, path_prefix
from hub_server.web.static import load_dashboard

log = structlog.get_logger()

STATIC = Path(__file__).parent / "static"
WORKERS = 4
UPKEEP_WORKERS = 2
UPLOAD_WORKERS = 2
COMPARING_WORKERS = 2
SENDING_WORKERS = 3
RESERVE_LOOK_S = 30.0
PASSWORD_WORKERS = 2
FIRST_ACCOUNT = "owner"
ADMIN_TOKEN = "admin.token in the hub's data folder"  # noqa: S105 - a token's name


class Clocks(Struct, frozen=True):
    """The time that is stored and shown, and the seconds in which it is counted how long something lasts."""

    wall: Callable[[], datetime]
    monotonic: Callable[[], float]


class Hub:
    """A running hub; made by `start`, ended by `stop`."""

    def __init__(self, stack: AsyncExitStack, url: str, services: Services, first_link: str | None) -> None:
        """`first_link` signs the owner of a new hub in."""
        self.first_link = first_link
        self._stack = stack
        self.url = url
        self.services = services

    async def stop(self) -> None:
        """Take no more requests, finish those that run, close everything. Idempotent."""
        await self._stack.aclose()


async def start(
    settings: HubSettings,
    *,
    clock: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
) -> Hub:
    """Open the data folder, bring the database up to date, and listen.

    `clock` tells the time that is stored and shown. How long something has lasted is counted in the seconds of
    `monotonic`, so that nothing ends, or goes on for a day, because the clock is set.

    Raises:
        ConfigError: the folder is in use, the port is taken, or the database is of a newer version.
    """
    async with AsyncExitStack() as stack:
        folder = DataFolder(settings.data)
        stack.callback(folder.close)
        listeners = listen(settings)
        stack.callback(close_listeners, listeners)
        url = listeners[0].url
        services = await _open_services(settings, folder, url, stack, Clocks(clock, monotonic))
        first_link = await _ensure_owner(services, folder)
        await _serve(settings, listeners, services, stack)
        folder.announce(listeners[-1].url, clock())
        log.info("hub.started", url=url, data=str(settings.data), version=__version__)
        return Hub(stack.pop_all(), url, services, first_link)


async def run(settings: HubSettings, *, ready: Callable[[Hub], None]) -> None:
    """Run a hub until SIGTERM or SIGINT; `ready` is called once it answers."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    hub = await start(settings)
    try:
        ready(hub)
        await stopping.wait()
    finally:
        log.info("hub.stopping")
        await hub.stop()


async def _open_services(
    settings: HubSettings,
    folder: DataFolder,
    url: str,
    stack: AsyncExitStack,
    clocks: Clocks,
) -> Services:
    reserve = Reserve(folder.path)
    clock, monotonic = clocks.wall, clocks.monotonic
    backend = open_backend(settings)
    migrate(backend)
    metrics = Metrics(__version__)
    database = Database(backend, meter=metrics, make_room=reserve.give_up)
    stack.callback(database.close)
    workers = ThreadPool(WORKERS)
    stack.callback(workers.close)
    watching = asyncio.create_task(_watch_reserve(reserve, workers))
    stack.callback(watching.cancel)
    packs = Packs(folder.path, await workers.run(lambda: open_storage(settings)))
    packs.sweep()
    events = EventBus()
    projects = Projects(database, events, clock=clock)
    sync = Sync(database, packs, workers, events, clock=clock, runs_came=metrics.runs_came)
    upload_workers = ThreadPool(UPLOAD_WORKERS)  # of their own: to take in a large file must not keep requests waiting
    stack.callback(upload_workers.close)
    senders = ThreadPool(SENDING_WORKERS)  # of their own: who reads what is large keeps no short answer waiting
    stack.callback(senders.close)
    comparing = ThreadPool(COMPARING_WORKERS)
    stack.callback(comparing.close)
    hub_commits = HubCommits(database, packs, sync, upload_workers, clock=clock)
    live_runs = LiveRuns(database, events, clock=clock, monotonic=monotonic)
    stack.push_async_callback(live_runs.close)
    identity = Identity(database, clock=clock, monotonic=monotonic)
    return Services(
        identity=identity,
        people=People(database, identity, _open_passwords(stack), clock=clock, monotonic=monotonic),
        collaborators=Collaborators(database, clock=clock),
        audit=Audit(database, clock=clock),
        idempotency=Idempotency(database, clock=clock),
        rates=RateLimit(settings.requests_per_minute, time.monotonic),
        projects=projects,
        live_runs=live_runs,
        run_edits=RunEdits(database, events, clock=clock),
        comments=Comments(database, events, clock=clock),
        comparing=Comparing(database),
        diffs=Diffs(database, packs, comparing),
        models=Models(database),
        provenance=Provenance(database),
        history=History(database, packs, workers, senders=senders, clock=clock),
        archives=Archives(database, packs, workers, senders=senders),
        sync=sync,
        fetching=Fetching(database, packs, workers, senders=senders),
        volumes=Volumes(database, projects, clock=clock),
        workspaces=Workspaces(hub_commits, packs, upload_workers, receiving=workers, clock=clock, monotonic=monotonic),
        folders=Folders(hub_commits, workers, senders=senders),
        events=events,
        workers=workers,
        turns=Turns(),
        reserve=reserve,
        zfs=await _open_zfs(settings, workers, stack),
        readiness=Readiness(database),
        metrics=metrics,
        report=MetricsReport(metrics, database, events, workers),
        upkeep=_open_upkeep(settings, database, packs, stack, clock),
        public_url=settings.public_url or url,
        cursor_key=await database.write(lambda c: accounts.ensure_setting(c, "cursor_key", secrets.token_bytes(32))),
        version=__version__,
    )


async def _watch_reserve(reserve: Reserve, workers: ThreadPool) -> None:
    """Take the reserve back some time after there is room again, and give it up before something finds none."""
    while True:
        await asyncio.sleep(RESERVE_LOOK_S)
        try:
            await workers.run(reserve.look)
        except OSError:  # the loop's boundary: the next look may succeed
            log.exception("storage.reserve_unknown")


def _open_passwords(stack: AsyncExitStack) -> Passwords:
    workers = ThreadPool(PASSWORD_WORKERS)  # of its own: many attempts must keep nothing but each other waiting
    stack.callback(workers.close)
    return Passwords(workers)


async def _open_zfs(settings: HubSettings, workers: ThreadPool, stack: AsyncExitStack) -> ZfsSync:
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
    workers = ThreadPool(UPKEEP_WORKERS)  # of its own: what takes long must not keep requests waiting
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


async def _ensure_owner(services: Services, folder: DataFolder) -> str | None:
    """The first administrator, with a token in the data folder.

    There is a new token where the folder has lost it, and where it is that of somebody who is no administrator any
    more. Answers a login link where the account is new.
    """
    wanted = AccountInfo(str(uuid4()), FIRST_ACCOUNT)
    account = await services.identity.ensure_administrator(wanted)
    if folder.has_token() and await services.identity.ensure_scopes(account, ADMIN_TOKEN):
        return None
    owner = Caller(account_id=account.id, account_name=account.name, scopes=frozenset(SCOPES), is_admin=True)
    request = TokenRequest(name=ADMIN_TOKEN, scopes=list(SCOPES), project_id=None, expires_in_s=None)
    made = await services.identity.replace_token(owner, request)
    folder.write_token(made.token)
    if account != wanted:
        return None
    return login_link(services, await services.identity.create_login_code(owner), then=CHOOSE_PASSWORD).url


async def _serve(settings: HubSettings, listeners: list[Listener], services: Services, stack: AsyncExitStack) -> None:
    prefix = path_prefix(services.public_url)
    application = HubApplication(
        services,
        dashboard=await services.workers.run(lambda: load_dashboard(STATIC, prefix)),
        hosts=host_names(settings),
        proxies=TrustedProxies(settings.trusted_proxies),
        further=[LEGACY_API],
    )
    max_connections = connections_for(raise_file_limit()) // len(listeners)
    servers = [serve(application, one, max_connections) for one in listeners]
    stack.push_async_callback(stop_serving, servers, application)
