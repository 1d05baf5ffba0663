"""The audit log: every request that changed something, or tried to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from dotscience.errors import DiskFull, StorageUnavailable
from hub_server.domain.cursor import Position, Slice
from hub_server.domain.types import AuditEntry
from hub_server.store import audit
from hub_server.store.audit import NewEntry
from hub_server.store.database import Database

log = structlog.get_logger(__name__)

MAX_TARGET_CHARS = 500


class Audit:
    """Notes who did what."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self.clock = clock

    async def note(self, entry: NewEntry) -> None:
        """Add an entry. Where the disk is full the log of the process has it instead: what was done is done."""
        try:
            await self._database.write(lambda c: audit.add_entry(c, entry))
        except (DiskFull, StorageUnavailable):
            log.exception("audit.lost", action=entry.action, target=entry.target, account=entry.account_name)

    async def list(self, project_id: str | None, after: Position | None, limit: int) -> Slice[AuditEntry]:
        """What was done, newest first; with `project_id` in that project alone."""
        return await self._database.read(lambda c: audit.list_entries(c, project_id, after, limit))
