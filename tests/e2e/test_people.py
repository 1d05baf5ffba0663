"""Two people on one hub, each with a browser of their own."""

from __future__ import annotations

import os
import re
import sys

import pytest
import requests
from support.stack import TIMEOUT_S, Hub, ds

from dotscience.cli.processes import stop

PASSWORD = "correct horse battery"


@pytest.fixture
def open_page(browser):
    """A page of a new browser profile each time."""
    contexts = []

    def new_page():
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(TIMEOUT_S * 1000)
        contexts.append(context)
        return context.new_page()

    yield new_page
    for context in contexts:
        context.close()


def screenshot(page, name):
    folder = os.environ.get("DOTSCIENCE_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def admin_post(hub, path, body):
    headers = {"Authorization": f"Bearer {hub.admin_token}"}
    answer = requests.post(hub.url + path, json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()


def test_somebody_is_let_in_chooses_a_password_and_comments(hub, tracked, open_page):
    (tracked.root / "train.py").write_text(
        'import dotscience as ds\nds.script()\nds.start("a shared run")\nds.metric("loss", 0.5)\nds.publish()\n'
    )
    ds("run", "--", sys.executable, "train.py", cwd=tracked.root)
    tracked.wait_for_runs(1)
    project = f"{hub.url}/p/{tracked.project}"
    owner, alice = open_page(), open_page()

    owner.goto(admin_post(hub, "/api/v1/login-codes", {})["url"])
    owner.get_by_role("link", name="Accounts").click()
    owner.get_by_label("Name of a new account").fill("alice")
    owner.get_by_role("button", name="Make an account").click()
    link = owner.get_by_text(re.compile("#code=")).inner_text()

    alice.goto(link)
    alice.get_by_role("heading", name="Choose a password").wait_for()
    assert alice.get_by_role("button", name="Not now").count() == 0
    alice.get_by_label("New password").first.fill(PASSWORD)
    screenshot(alice, "choose-password")
    alice.get_by_role("button", name="Choose password").click()
    alice.get_by_text("No projects yet").wait_for()
    alice.get_by_role("button", name="Sign out").click()
    alice.get_by_role("heading", name="Sign in", exact=True).wait_for()
    alice.get_by_label("Name").fill("alice")
    alice.get_by_label("Password", exact=True).fill(PASSWORD)
    alice.get_by_role("button", name="Sign in").click()
    alice.get_by_text("No projects yet").wait_for()
    alice.goto(project)
    alice.get_by_text("Not found").wait_for()

    owner.goto(f"{project}/people")
    owner.get_by_label("Name of the account").fill("alice")
    owner.get_by_role("button", name="Let in").click()
    owner.get_by_label("Role of alice").wait_for()

    alice.goto(project)
    alice.get_by_role("link", name="a shared run").click()
    alice.get_by_label("Your comment").fill("<b>well</b> done")
    alice.get_by_role("button", name="Comment", exact=True).click()
    alice.get_by_text("<b>well</b> done").wait_for()
    assert alice.get_by_role("button", name="Move to trash").count() == 0

    owner.goto(project)
    owner.get_by_role("link", name="a shared run").click()
    owner.get_by_text("<b>well</b> done").wait_for()
    owner.get_by_role("button", name="Edit").click()
    owner.get_by_label("Name", exact=True).fill("the good one")
    owner.get_by_label("Tags, with commas between them").fill("best")
    owner.get_by_role("button", name="Save").click()
    alice.get_by_role("heading", name="the good one").wait_for()  # live, without reloading

    owner.get_by_role("button", name="Move to trash").click()
    alice.get_by_text("This run is in the trash").wait_for()
    owner.get_by_role("button", name="Undo").click()
    owner.get_by_text("1 run restored.").wait_for()


def test_who_has_forgotten_the_password_chooses_another_with_a_new_link(hub, open_page):
    page = open_page()
    page.goto(admin_post(hub, "/api/v1/accounts", {"name": "alice"})["link"]["url"])
    page.get_by_role("heading", name="Choose a password").wait_for()
    page.goto(hub.url)
    page.get_by_text("You have no password yet").wait_for()
    screenshot(page, "reminder")
    page.get_by_role("link", name="Choose a password").click()
    page.get_by_label("New password").first.fill(PASSWORD)
    page.get_by_role("button", name="Choose password").click()
    page.get_by_text("Your password is changed").wait_for()
    screenshot(page, "account")

    page.goto(admin_post(hub, "/api/v1/accounts/alice/login-codes", {})["url"])
    page.get_by_role("heading", name="Choose a new password").wait_for()
    page.get_by_label("New password").first.fill("another " + PASSWORD)
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("No projects yet").wait_for()
    login = {"name": "alice", "password": "another " + PASSWORD}
    assert requests.post(f"{hub.url}/api/v1/sessions", json=login, timeout=30).status_code == 201


def test_the_operator_is_asked_for_a_password_at_the_first_start_only(home, open_page):
    hub = Hub(home / "hub")
    hub.start()
    try:
        first = re.search(r"http\S+#code=\S+", (home / "hub.log").read_text())[0]
        page = open_page()
        page.goto(first)
        page.get_by_role("heading", name="Choose a password").wait_for()
        page.get_by_role("button", name="Not now").click()
        page.get_by_text("No projects yet").wait_for()
        again = open_page()
        again.goto(admin_post(hub, "/api/v1/login-codes", {})["url"])
        again.get_by_text("No projects yet").wait_for()
        assert again.get_by_text("You have no password yet").count() == 0
    finally:
        stop(hub.component)


def test_a_public_project_is_read_without_signing_in(hub, tracked, open_page):
    headers = {"Authorization": f"Bearer {hub.admin_token}"}
    path = f"{hub.url}/api/v1/projects/{tracked.project}"
    visitor = open_page()
    visitor.goto(f"{hub.url}/p/{tracked.project}")
    visitor.get_by_label("Password").wait_for()
    assert requests.patch(path, json={"is_public": True}, headers=headers, timeout=30).ok
    visitor.goto(f"{hub.url}/p/{tracked.project}")
    visitor.get_by_text("public", exact=True).wait_for()
    visitor.get_by_text("No runs yet").wait_for()
