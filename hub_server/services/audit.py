"""The audit log: every request that changed something, or tried to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from dotscience.errors import DiskFull, StorageUnavailable
from hub_server.domain.cursor import Position, Slice
from hub_server.domain.types import AuditEntry
from hub_server.store import audit
from hub_server.store.audit import NewEntry
from hub_server.store.database import Database

log = structlog.get_logger(__name__)

MAX_TARGET_CHARS = 500
FAILED_SIGN_INS_KEPT = timedelta(days=90)
"""How long it stays noted that somebody failed to sign in; anybody can have that noted."""
FORGOTTEN_AT_ONCE = 1000


class Audit:
    """Notes who did what."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self.clock = clock

    async def note(self, entry: NewEntry) -> None:
        """Note a request. Where the disk is full the log of the process has it instead: what was done is done."""
        try:
            await self._database.write(lambda c: audit.note(c, entry))
        except (DiskFull, StorageUnavailable):
            log.exception("audit.lost", action=entry.action, target=entry.target, account=entry.account_name)

    async def list(self, project_id: str | None, after: Position | None, limit: int) -> Slice[AuditEntry]:
        """What was done, newest first; with `project_id` in that project alone."""
        return await self._database.read(lambda c: audit.list_entries(c, project_id, after, limit))


async def forget_failed_sign_ins(database: Database, now: datetime) -> int:
    """Delete what is noted of sign-ins that failed longer ago than they are kept; how many entries.

    Raises:
        DiskFull, StorageUnavailable: the database cannot be written; what was deleted stays so.
    """
    before, forgotten = now - FAILED_SIGN_INS_KEPT, 0
    while count := await database.write(lambda c: audit.forget_failed_sign_ins(c, before, FORGOTTEN_AT_ONCE)):
        forgotten += count
    return forgotten
