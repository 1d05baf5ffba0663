"""The one path that must always work, as a person sees it: JupyterLab and the dashboard in a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading

import psutil
import pytest
from support.lab import Lab, Up
from support.stack import DS, TIMEOUT_S

from dotscience.cli.example import FILE_NAME


@pytest.fixture
def up(home, tmp_path):
    up = Up(tmp_path / "hello")
    yield up
    if up.process.poll() is None:
        up.stop()


def screenshot(page, name):
    folder = os.environ.get("DOTSCIENCE_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def test_from_a_cell_to_the_panel_and_the_dashboard(up, page):
    dashboard = page.context.new_page()
    dashboard.goto(up.dashboard)
    dashboard.get_by_role("link", name="hello").first.click()

    lab = Lab(page, up.jupyter)
    lab.open(FILE_NAME)
    lab.run_all()
    lab.cards.nth(1).wait_for()
    page.keyboard.press("Control+s")
    panel = lab.panel
    panel.get_by_text("fit a line by gradient descent").first.wait_for()
    panel.get_by_text("loss").first.wait_for()
    panel.get_by_text("Everything is pushed").first.wait_for()
    screenshot(page, "jupyterlab")

    row = dashboard.get_by_role("link", name="fit a line by gradient descent").first
    row.wait_for()
    dashboard.get_by_text("make noisy points on a line").first.wait_for()
    screenshot(dashboard, "dashboard")
    row.click()
    dashboard.get_by_text("learning_rate").first.wait_for()
    dashboard.get_by_text("points.csv").first.wait_for()
    screenshot(dashboard, "run")

    assert up.stop() == 0
    assert up.process.poll() == 0


def test_the_login_link_works_once(up, page, browser):
    page.goto(up.dashboard)
    page.get_by_role("link", name="hello").first.wait_for()
    assert "code" not in page.url
    stranger = browser.new_context()
    try:
        other = stranger.new_page()
        other.goto(up.dashboard)
        other.get_by_text(re.compile("login-link|ds up")).first.wait_for(timeout=TIMEOUT_S * 1000)
    finally:
        stranger.close()


def test_a_page_of_another_origin_can_neither_read_nor_post(up, page, tmp_path):
    """A hostile page in the same browser, where the user is signed in to both the hub and JupyterLab."""
    import functools
    import http.server

    page.goto(up.dashboard)
    page.get_by_role("link", name="hello").first.wait_for()
    Lab(page, up.jupyter).open(FILE_NAME)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "index.html").write_text("<title>evil</title>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "evil")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        hub = re.match(r"http://[^/]+", up.dashboard)[0]
        lab = re.match(r"http://[^/]+", up.jupyter)[0]
        targets = [
            (f"{hub}/api/v1/projects", "GET"),
            (f"{hub}/api/v1/login-codes", "POST"),
            (f"{lab}/dotscience/api/status", "GET"),
            (f"{lab}/dotscience/api/commits", "POST"),
        ]
        for host in ("127.0.0.1", "localhost"):
            page.goto(f"http://{host}:{server.server_port}/")
            for url, method in targets:
                assert page.evaluate(ATTACK, [url, method]) == "blocked", (host, url)
            refused = [page.evaluate(BLIND_POST, url) for url, method in targets if method == "POST"]
            assert set(refused) <= {"opaque", "blocked"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    commits = subprocess.run(
        [*DS, "status", "--json"], cwd=tmp_path / "hello", capture_output=True, text=True, check=True, timeout=60
    )
    assert '"runs":0' in commits.stdout.replace(" ", "")
    assert "hostile" not in (tmp_path / "home" / "hub" / "log" / "committer.log").read_text()


ATTACK = """async ([url, method]) => {
  const body = method === 'POST' ? '{"description": "hostile"}' : undefined;
  const headers = {'Content-Type': 'application/json'};
  try {
    const answer = await fetch(url, {method, body, headers, credentials: 'include'});
    return 'read ' + answer.status;
  } catch (error) { return 'blocked'; }
}"""
BLIND_POST = """async url => {
  const options = {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"description": "hostile"}'};
  return fetch(url, options).then(answer => answer.type, () => 'blocked');
}"""


def test_interrupts_stop_everything_that_was_started(up):
    """Twice at once, as a terminal and a wrapper send them; the hub, committer and JupyterLab all end."""
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert len(children) >= 3
    up.process.send_signal(signal.SIGINT)
    up.process.send_signal(signal.SIGINT)
    up.printed += up.process.communicate(timeout=60)[0]
    assert up.process.returncode == 0, up.printed
    assert psutil.wait_procs(children, timeout=10)[1] == []
