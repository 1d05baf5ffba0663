"""Whole processes, as a user starts them: a hub, a committer, JupyterLab and Chromium, each in folders of their own."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
from pathlib import Path

import pytest
from support.requirements import lacks
from support.stack import TIMEOUT_S, Hub, Tracked, own_home

from dotscience.cli.processes import stop


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker("e2e")
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def chromium():
    """The path of Chromium; where it or its driver's library is missing, tests are skipped, and fail with CI=true."""
    path = shutil.which("chromium")
    try:
        ctypes.CDLL("libatomic.so.1")
    except OSError:
        path = None
    if path is None:
        lacks("needs Chromium and libatomic (on Debian: apt-get install chromium libatomic1)")
    return path


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT_S * 1000)
    yield context.new_page()
    context.close()


@pytest.fixture
def home(tmp_path):
    """A home of the test's own for everything that Dotscience and Jupyter keep per user."""
    with own_home(tmp_path / "home") as folder:
        yield folder


@pytest.fixture
def hub(home):
    hub = Hub(home / "hub")
    hub.start()
    yield hub
    stop(hub.component)


@pytest.fixture
def make_tracked(home, tmp_path):
    """Makes tracked folders; `bind` and `start` are the test's."""
    with contextlib.ExitStack() as stack:

        def make(name: str = "workspace") -> Tracked:
            root = tmp_path / name
            root.mkdir(exist_ok=True)
            tracked = Tracked.make(root)
            stack.callback(lambda: tracked.component and stop(tracked.component))
            return tracked

        yield make


@pytest.fixture
def tracked(hub, make_tracked):
    """A tracked folder, bound to the hub, its committer running and its initial commit pushed."""
    tracked = make_tracked()
    tracked.bind(hub)
    tracked.start()
    tracked.wait_for(lambda status: status["head"] and not status["unpushed"])
    return tracked
