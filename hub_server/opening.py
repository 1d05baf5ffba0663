"""From settings to the database and the storage that they name, for a hub and for commands on its data folder."""

from __future__ import annotations

import os

from hub_server.content.local import LocalStorage
from hub_server.content.storage import PackStorage
from hub_server.data_folder import DATABASE
from hub_server.settings import HubSettings
from hub_server.store.backends.backend import Backend
from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.backends.sqlite import Sqlite


def open_backend(settings: HubSettings) -> Backend:
    """The database; nothing is asked of it yet.

    Raises:
        ConfigError: its URL cannot be used.
    """
    return Sqlite(settings.data / DATABASE) if settings.database is None else Postgresql(settings.database)


def open_storage(settings: HubSettings) -> PackStorage:
    """Where packs are kept; blocks until a bucket has answered.

    Raises:
        ConfigError: it does not, or does not let us in.
    """
    if settings.storage is None:
        return LocalStorage(settings.data)
    from hub_server.content.bucket import BucketStorage  # a client that takes a while to import, for those who need it

    bucket = BucketStorage(settings.storage, os.environ)
    bucket.check()
    return bucket
