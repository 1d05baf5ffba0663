"""axe-core finds nothing on any screen, light or dark; the dashboard keeps to its own origin and its own policy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import expect
from support.lab import Lab, Up
from support.requirements import lacks
from support.stack import ds, own_home, write_notebook

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
NOTEBOOK = "screens.ipynb"
NOBODY = "00000000-0000-4000-8000-000000000000"
SETUP = """\
import dotscience as ds
open("points.csv", "w").write("x,y\\n1,2\\n")
open("notes.md", "w").write("# Notes")
open("page.html", "w").write("<h1>Report</h1>")
"""
TRAINED = """\
ds.start("trained a line"); ds.input("points.csv"); ds.output("notes.md"); ds.parameter("rate", 0.5)
ds.label("stage", "dev"); ds.metric("loss", 0.25); ds.metric("accuracy", 0.97); ds.publish()
"""
FAILED = 'ds.start("a failed attempt"); ds.parameter("rate", 5); ds.set_error("the loss is nan"); ds.publish()'
REPORT = """async scope => {
  const {violations} = await axe.run(scope, {iframes: false});
  return violations.flatMap(({id, help, nodes}) => nodes.map(({target, failureSummary}) =>
    `${id}: ${help} at ${target.join(' ')}: ${failureSummary}`));
}"""
SPILLS = """() => [...document.querySelectorAll('td, th')]
  .filter(cell => cell.scrollWidth > cell.clientWidth + 1 && getComputedStyle(cell).overflowX === 'visible')
  .map(cell => `"${cell.textContent}" is wider than its cell`)"""
COLLECT_POLICY_VIOLATIONS = """
window.policyViolations = [];
document.addEventListener('securitypolicyviolation', event =>
  window.policyViolations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@pytest.fixture(scope="module")
def axe():
    if not AXE.is_file():
        lacks("needs node_modules/axe-core (npm ci)")
    return AXE.read_text()


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """A project with a run that has everything, a failed one, a derived one and one of unexplained files."""
    folder = tmp_path_factory.mktemp("accessibility")
    with own_home(folder / "home"):
        up = Up(folder / "work")
        path = write_notebook(up.root / NOTEBOOK, SETUP, TRAINED, FAILED)
        ds("run", str(path), cwd=up.root)
        ds("run", str(write_notebook(up.root / "plain.ipynb", "x = 1\nx")), cwd=up.root)
        up.tracked.wait_for_runs(3)
        yield up
        assert up.stop() == 0


@pytest.fixture(scope="module")
def session(up, browser):
    """The cookies of a browser that used the login link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(up.dashboard)
    page.get_by_role("link", name="work").first.wait_for()
    yield context.storage_state()
    context.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def dashboard(up, browser, session, scheme, axe):
    """Visits screens signed in, and knows every request and policy violation of its pages."""
    context = browser.new_context(color_scheme=scheme, storage_state=session, viewport={"width": 1440, "height": 900})
    dashboard = Dashboard(context, up.hub.url, axe)
    yield dashboard
    context.close()


class Dashboard:
    def __init__(self, context, url, axe):
        self.url = url
        self.requested = []
        context.add_init_script(COLLECT_POLICY_VIOLATIONS)
        context.on("request", lambda request: self.requested.append(request.url))
        self.page = context.new_page()
        self._axe = axe

    def visit(self, path, text):
        """Open a screen, and wait for a text that says it is complete."""
        self.page.goto(self.url + path)
        self.page.get_by_text(text).first.wait_for()
        self.page.wait_for_load_state("networkidle")

    def problems(self):
        """What axe says of the page, the violations of its policy, cells that spill, and requests to other origins."""
        self.page.evaluate(self._axe)
        found = self.page.evaluate(REPORT, {"include": ["html"]}) + self.page.evaluate("window.policyViolations")
        found += self.page.evaluate(SPILLS)
        own = urlsplit(self.url).netloc
        return found + [url for url in self.requested if urlsplit(url).netloc not in {own, ""}]


def test_the_dashboards_screens(up, dashboard):
    project = f"/p/{up.tracked.project}"
    runs = {run["record"]["description"]: run for run in up.hub.runs(up.tracked.project)}
    trained, failed = runs["trained a line"], runs["a failed attempt"]
    commit = f"{project}/commits/{trained['commit']}"
    compared = urlencode({"sort": "summary.loss", "order": "asc", "baseline": trained["id"]})
    both = urlencode({"runs": json.dumps([trained["id"], failed["id"]])})
    screens = [
        ("/", "work"),
        (project, "trained a line"),
        (f"{project}?{compared}", "trained a line"),
        (f"{project}/runs/{trained['id']}", "points.csv"),
        (f"{project}/runs/{failed['id']}", "the loss is nan"),
        (f"{project}/commits", "trained a line"),
        (commit, "points.csv"),
        (f"{commit}?file={NOTEBOOK}", "ds.start"),
        (f"{commit}?file=points.csv", "Source"),
        (f"{commit}?file=page.html", "page.html"),
        (f"{project}/compare?{both}", "rate"),
        (f"{project}/compare", "Nothing to compare yet"),
        (f"{project}/people", "also decides about the project"),
        (f"{project}/trash", "The trash is empty"),
        (f"{project}/audit", "create project"),
        ("/account", "Signed-in browsers"),
        ("/admin/accounts", "Let somebody in"),
        ("/admin/audit", "create login code"),
        ("/trash", "The trash is empty"),
        (f"/p/{NOBODY}", "Not found"),
        (f"{project}/runs/{NOBODY}", "Not found"),
        (f"{project}/commits/{'0' * 64}", "Not found"),
        (f"{project}/nowhere", "There is no such page"),
        ("/nowhere", "There is no such page"),
    ]  # fmt: skip
    problems = {}
    for path, text in screens:
        dashboard.visit(path, text)
        problems[path] = dashboard.problems()
    assert {path: found for path, found in problems.items() if found} == {}


def test_what_opens_over_the_runs_table(up, dashboard):
    dashboard.visit(f"/p/{up.tracked.project}", "trained a line")
    dashboard.page.get_by_text("Columns").click()
    dashboard.page.get_by_label("Find a column").wait_for()
    assert dashboard.problems() == []
    dashboard.page.keyboard.press("Escape")
    dashboard.page.get_by_role("button", name="Keyboard shortcuts").click()
    dashboard.page.get_by_role("dialog").wait_for()
    assert dashboard.problems() == []


@pytest.mark.parametrize(
    ("path", "text"), [("/login", "Sign in with a link"), ("/login#code=wrong", "does not work any more")]
)
def test_the_login_page(up, browser, scheme, axe, path, text):
    context = browser.new_context(color_scheme=scheme)
    try:
        dashboard = Dashboard(context, up.hub.url, axe)
        dashboard.visit(path, text)
        assert dashboard.problems() == []
    finally:
        context.close()


def test_choosing_a_password_and_the_reminder_of_it(up, browser, scheme, axe):
    with up.hub.client() as client:
        link = client.create_account(f"visitor-{scheme}", "member").link.url
    context = browser.new_context(color_scheme=scheme)
    try:
        dashboard = Dashboard(context, up.hub.url, axe)
        dashboard.visit(link.removeprefix(up.hub.url), "At least 10 characters")
        assert dashboard.problems() == []
        dashboard.visit("/", "You have no password yet")
        assert dashboard.problems() == []
    finally:
        context.close()


@pytest.fixture
def lab(up, page, scheme):
    settings = Path(os.environ["JUPYTER_CONFIG_DIR"]) / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    theme = {"theme": f"JupyterLab {scheme.title()}"}
    (settings / "themes.jupyterlab-settings").write_text(json.dumps(theme))
    return Lab(page, up.jupyter)


def test_the_panel_the_card_and_the_status_bar(up, lab, axe, scheme):
    lab.open(NOTEBOOK)
    assert lab.page.evaluate("document.body.dataset.jpThemeLight") == str(scheme == "light").lower()
    lab.panel.get_by_role("button", name="a failed attempt").first.wait_for()
    expect(lab.cards).to_have_count(2)
    expect(lab.page.locator(".ds-StatusItem")).to_have_count(1)
    lab.page.evaluate(axe)
    scope = {"include": [["#dotscience-panel"], [".ds-Card"], [".ds-StatusItem"]]}
    assert lab.page.evaluate(REPORT, scope) == []
    for name in ("trained a line", "a failed attempt"):
        lab.panel.get_by_role("button", name=name).first.click()
        lab.panel.get_by_role("region", name="Details of the run").get_by_text("Environment").wait_for()
        assert lab.page.evaluate(REPORT, scope) == []
        lab.panel.get_by_role("button", name="All runs").click()
