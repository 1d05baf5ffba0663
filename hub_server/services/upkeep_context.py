"""What all parts of upkeep work with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from hub_server.content.packs import Packs
from hub_server.services.stopping import Stopping
from hub_server.store.database import Database
from hub_server.thread_pool import ThreadPool


class UpkeepContext(NamedTuple):
    """The database and the packs, the threads for long work, whether the hub stops, and the time."""

    database: Database
    packs: Packs
    workers: ThreadPool
    stopping: Stopping
    clock: Callable[[], datetime]
