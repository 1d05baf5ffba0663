from __future__ import annotations

import pytest
from support.zfs import zfs


@pytest.fixture(scope="session")
def running_zfs():
    """ZFS, once for the session: whoever waited for a turn of their own would wait for themselves."""
    with zfs():
        yield
