"""Whether the hub can do its work."""

from __future__ import annotations

from sqlalchemy import literal, select

from dotscience.errors import StorageUnavailable
from hub_server.store.backends.backend import QueryTimeout
from hub_server.store.database import Database

PATIENCE_S = 5.0


class Readiness:
    """What a load balancer asks before it sends requests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> None:
        """Make sure that the database answers.

        Raises:
            StorageUnavailable: it does not, or not in time.
        """
        try:
            await self._database.read(lambda c: c.execute(select(literal(1))).all(), limit_s=PATIENCE_S)
        except QueryTimeout as error:
            raise StorageUnavailable(f"the database did not answer in {PATIENCE_S} s") from error
