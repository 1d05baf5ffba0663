"""From the panel in JupyterLab to the run's page on the hub of this machine, signed in on the way."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support.lab import Lab, Up
from support.stack import Hub, own_home, write_notebook

PUBLISH = "import dotscience as ds\nds.start('followed'); ds.metric('loss', 0.25); ds.publish()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub-link")
    with own_home(folder / "home"):
        yield folder


@pytest.fixture(scope="module")
def up(folder):
    """With a data folder that only the command line names."""
    up = Up(folder / "work", "--data", str(folder / "the hub's data"))
    yield up
    assert up.stop() == 0


@pytest.fixture
def details(up, page):
    """The details of a run that is pushed, in the panel of a browser that has never seen the hub."""
    write_notebook(up.root / "followed.ipynb", PUBLISH)
    lab = Lab(page, up.jupyter)
    lab.open("followed.ipynb")
    lab.run_all()
    lab.panel.get_by_role("button", name="followed").first.click()
    details = lab.panel.get_by_role("region", name="Details of the run")
    details.get_by_text("pushed").first.wait_for()
    return details


def follow(page, link):
    with page.expect_popup() as opened:
        link.click()
    return opened.value


def test_the_links_sign_in_and_lead_to_the_run_and_the_project(folder, up, page, details):
    hub = Hub.of(folder / "the hub's data")
    link = details.get_by_role("link", name="Open on the hub")
    run_page = link.get_attribute("href")
    assert run_page.startswith(hub.url)

    tab = follow(page, link)
    tab.get_by_role("heading", level=1, name="followed").wait_for()
    expect(tab).to_have_url(run_page)
    tab.get_by_role("link", name="owner").wait_for()
    assert tab.evaluate("window.opener") is None
    if shots := os.environ.get("DOTSCIENCE_SCREENSHOTS"):
        tab.screenshot(path=f"{shots}/followed.png")

    again = follow(page, page.get_by_role("link", name="Open work on the hub"))
    again.get_by_role("link", name="followed").first.wait_for()
    again.goto(f"{hub.url}/account")
    again.get_by_text("this one").wait_for()
    assert again.get_by_role("button", name="Sign out").count() == 1, "the second link has replaced the first session"


@pytest.mark.parametrize("hostile", ["//evil.invalid/", "/\\evil.invalid/", "javascript:alert(1)", "/.//evil.invalid/"])
def test_a_crafted_login_link_leads_to_no_other_site(folder, up, page, hostile):
    hub = Hub.of(folder / "the hub's data")
    with hub.client() as client:
        code = client.create_login_code().code
    page.goto(f"{hub.url}/login")
    page.evaluate(
        "([next, code]) => location.assign('/login?next=' + encodeURIComponent(next) + '#code=' + code)",
        [hostile, code],
    )
    page.get_by_role("heading", name="Projects").wait_for()
    expect(page).to_have_url(re.compile(f"^{re.escape(hub.url)}/$"))


def test_without_the_token_file_the_link_leads_to_the_login_page_and_back(folder, up, page, details):
    token = Path(folder / "the hub's data" / "admin.token")
    text = token.read_text()
    token.unlink()
    try:
        link = details.get_by_role("link", name="Open on the hub")
        tab = follow(page, link)
        tab.get_by_role("heading", name="Sign in", exact=True).wait_for()
        expect(tab).to_have_url(re.compile(r"/login\?next="))
    finally:
        token.write_text(text)
        token.chmod(0o600)
