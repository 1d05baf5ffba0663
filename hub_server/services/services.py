"""All services together, as operations get them."""

from __future__ import annotations

from dataclasses import dataclass

from hub_server.content.reserve import Reserve
from hub_server.services.archives import Archives
from hub_server.services.audit import Audit
from hub_server.services.collaborators import Collaborators
from hub_server.services.comments import Comments
from hub_server.services.comparing import Comparing
from hub_server.services.diffs import Diffs
from hub_server.services.events import EventBus
from hub_server.services.fetching import Fetching
from hub_server.services.folders import Folders
from hub_server.services.history import History
from hub_server.services.idempotency import Idempotency
from hub_server.services.identity import Identity
from hub_server.services.live_runs import LiveRuns
from hub_server.services.metrics import Metrics, MetricsReport
from hub_server.services.models import Models
from hub_server.services.people import People
from hub_server.services.projects import Projects
from hub_server.services.provenance import Provenance
from hub_server.services.rates import RateLimit
from hub_server.services.readiness import Readiness
from hub_server.services.run_edits import RunEdits
from hub_server.services.sync import Sync
from hub_server.services.turns import Turns
from hub_server.services.upkeep import UpkeepService
from hub_server.services.volumes import Volumes
from hub_server.services.workspaces import Workspaces
from hub_server.services.zfs import ZfsSync
from hub_server.thread_pool import ThreadPool


@dataclass(frozen=True, kw_only=True)
class Services:
    """One hub's services; made by the composition root.

    `public_url` is where people reach the hub, `cursor_key` signs the cursors of its lists.
    """

    identity: Identity
    people: People
    collaborators: Collaborators
    audit: Audit
    idempotency: Idempotency
    rates: RateLimit
    projects: Projects
    history: History
    archives: Archives
    live_runs: LiveRuns
    run_edits: RunEdits
    comments: Comments
    comparing: Comparing
    diffs: Diffs
    models: Models
    provenance: Provenance
    sync: Sync
    fetching: Fetching
    volumes: Volumes
    workspaces: Workspaces
    folders: Folders
    events: EventBus
    workers: ThreadPool
    turns: Turns
    reserve: Reserve
    zfs: ZfsSync
    upkeep: UpkeepService
    readiness: Readiness
    metrics: Metrics
    report: MetricsReport
    public_url: str
    cursor_key: bytes
    version: str
