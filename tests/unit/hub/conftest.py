from __future__ import annotations

import pytest

from hub_server.store.database import Database
from hub_server.store.migrate import migrate


@pytest.fixture
def database(tmp_path):
    migrate(tmp_path / "hub.db")
    opened = Database(tmp_path / "hub.db")
    yield opened
    opened.close()
