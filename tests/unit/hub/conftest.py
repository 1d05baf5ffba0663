from __future__ import annotations

import pytest

from committer.storage.objects import Kind, digest
from committer.storage.pack import PackWriter, pack_path
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database
from hub_server.store.migrate import migrate


@pytest.fixture
def database(tmp_path):
    migrate(Sqlite(tmp_path / "hub.db"))
    opened = Database(Sqlite(tmp_path / "hub.db"))
    yield opened
    opened.close()


@pytest.fixture
def pack_bytes(tmp_path):
    """A pack that holds the one blob `precious`."""
    writer = PackWriter(tmp_path / "writer")
    writer.add(Kind.BLOB, digest(b"precious"), b"precious")
    return pack_path(tmp_path / "writer", writer.seal().hash).read_bytes()
