"""The hub's store on each database that it can use."""

from __future__ import annotations

import pytest
from support import postgres

from hub_server.store.backends.postgresql import Postgresql
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database
from hub_server.store.migrate import migrate


@pytest.fixture(scope="session")
def postgres_server():
    with postgres.server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request, tmp_path):
    """A database that is up to date and empty."""
    if request.param == "sqlite":
        made = Sqlite(tmp_path / "hub.db")
        migrate(made)
        yield made
        return
    with request.getfixturevalue("postgres_server").database() as url:
        made = Postgresql(url)
        migrate(made)
        yield made


@pytest.fixture
def database(backend):
    opened = Database(backend)
    yield opened
    opened.close()
