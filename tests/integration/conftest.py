from __future__ import annotations

import pytest
from support.zfs import zfs


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Where tests run in several processes: a file's in one of them, and in one all that need ZFS, which has turns."""
    if not config.pluginmanager.hasplugin("xdist"):  # as in the machine of tests/openzfs
        return
    for item in items:
        uses_zfs = any(getattr(value, "__module__", "") == "support.zfs" for value in vars(item.module).values())
        is_of_zfs = uses_zfs or item.path.parent.name == "zfs"
        item.add_marker(pytest.mark.xdist_group("zfs" if is_of_zfs else item.path.name))


@pytest.fixture(scope="session")
def running_zfs():
    """ZFS, once for the session: whoever waited for a turn of their own would wait for themselves."""
    with zfs():
        yield
