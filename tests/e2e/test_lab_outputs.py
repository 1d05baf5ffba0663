"""What happens to outputs, saves and notebooks in real JupyterLab, and that no run is lost, doubled or in the way."""

from __future__ import annotations

import json

import nbformat
import pytest
from support.lab import Lab, PlainLab, Up
from support.stack import Tracked, own_home, write_notebook

from dotscience.cli.processes import stop


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    with own_home(folder / "home"):
        up = Up(folder / "work")
        yield up
        assert up.stop() == 0


@pytest.fixture
def lab(up, page):
    return Lab(page, up.jupyter)


def publish(description, after=""):
    return f"import dotscience as ds\nds.start({description!r}); ds.metric('loss', 0.25); ds.publish(); {after}"


def named(runs, description):
    return [run for run in runs if run["record"]["description"] == description]


def wait_until_pushed(tracked, description):
    tracked.wait_for(lambda _: [run["state"] for run in named(tracked.runs(), description)] == ["pushed"])


def only_run(up, description):
    """The one run of that description on the hub."""
    (run,) = named(up.hub.runs(up.tracked.project), description)
    return run


def test_save_on_publish_saves_by_itself(up, lab):
    path = write_notebook(up.root / "by-itself.ipynb", publish("saved by itself"))
    lab.open(path.name)
    lab.run_all()
    wait_until_pushed(up.tracked, "saved by itself")
    run = only_run(up, "saved by itself")
    assert run["record"].get("notebook_stale", False) is False
    committed = nbformat.reads(up.hub.content(up.tracked.project, run["commit"], path.name).decode(), as_version=4)
    assert committed.cells[0].execution_count == 1
    assert run["id"] in nbformat.writes(committed)
    assert lab.dialogs.count() == 0


HOLD_THE_FIRST_SAVE = """(() => {
  const send = window.fetch;
  Object.assign(window, {puts: 0, passing: [], held: null});
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (!request.url.includes('/api/contents/at-once.ipynb')) { return send(request); }
    if (request.method === 'GET' && request.url.includes('hash=1') && window.puts === 1 && window.held === null) {
      await new Promise(release => { window.held = release; });
    }
    const answer = send(request);
    window.passing.push(answer);
    await answer;
    window.puts += request.method === 'PUT';
    return answer;
  };
})();"""


def test_a_persons_save_meets_ours_without_a_dialog(up, lab):
    """Ctrl+S while our save has written the file, but does not know yet what the server made of it."""
    path = write_notebook(up.root / "at-once.ipynb", publish("saved twice"))
    lab.page.add_init_script(HOLD_THE_FIRST_SAVE)
    lab.open(path.name)
    lab.run_all()
    lab.page.wait_for_function("window.held !== null")
    lab.page.keyboard.press("Control+s")
    lab.page.evaluate("new Promise(done => setTimeout(done)).then(() => Promise.all(window.passing))")
    lab.page.evaluate("window.held()")
    lab.page.wait_for_function("window.puts === 2 || document.querySelector('.jp-Dialog') !== null")
    assert lab.dialogs.count() == 0
    wait_until_pushed(up.tracked, "saved twice")
    assert only_run(up, "saved twice")["id"] in path.read_text()


def test_a_run_whose_output_is_cleared(up, lab):
    path = write_notebook(
        up.root / "cleared.ipynb",
        publish("cleared"),
        "from IPython.display import clear_output\n" + publish("cleared at once", "clear_output()"),
    )
    lab.open(path.name)
    lab.run_all()
    wait_until_pushed(up.tracked, "cleared at once")
    wait_until_pushed(up.tracked, "cleared")
    lab.page.get_by_role("menuitem", name="Edit", exact=True).click()
    lab.page.locator("#jp-mainmenu-edit").get_by_text("Clear Outputs of All Cells", exact=True).click()
    lab.save_and_push("without outputs")
    assert "DOTSCIENCE-RUN" not in path.read_text()
    only_run(up, "cleared")
    only_run(up, "cleared at once")


def test_a_copy_made_in_jupyterlab_brings_no_run(up, lab):
    write_notebook(up.root / "template.ipynb", publish("to be copied"))
    lab.open("template.ipynb")
    lab.run_all()
    wait_until_pushed(up.tracked, "to be copied")
    listing = lab.page.locator(".jp-DirListing-content")
    listing.get_by_text("template.ipynb", exact=True).click(button="right")
    lab.page.get_by_role("menuitem", name="Duplicate").click()
    listing.get_by_text("template-Copy1.ipynb", exact=True).dblclick()
    lab.panel.get_by_text("None yet.").wait_for()
    lab.save_and_push("with the copy")
    run = only_run(up, "to be copied")
    assert run["record"]["workload_file"] == "template.ipynb"


def test_the_details_of_a_run(up, lab):
    source = (
        "import dotscience as ds\n"
        "open('in.csv', 'w').write('1')\n"
        "ds.start('in detail'); ds.input('in.csv'); ds.parameter('rate', 0.5); ds.label('stage', 'dev')\n"
        "open(ds.output('out.csv'), 'w').write('22')\n"
        "ds.metric('accuracy', 0.97); ds.publish()"
    )
    write_notebook(up.root / "detail.ipynb", source)
    lab.open("detail.ipynb")
    lab.run_all()
    wait_until_pushed(up.tracked, "in detail")
    row = lab.panel.get_by_role("button", name="in detail").first
    row.click()
    details = lab.panel.get_by_role("region", name="Details of the run")
    details.get_by_text("pushed").first.wait_for()
    for text in ("Metrics", "0.97", "Parameters", "rate", "Labels", "dev", "Inputs", "in.csv", "out.csv", "Python"):
        details.get_by_text(text, exact=True).first.wait_for()
    run = only_run(up, "in detail")
    assert run["id"] in details.get_by_role("link", name="Open on the hub").get_attribute("href")
    details.get_by_role("button", name="All runs").click()
    row.wait_for()
    assert details.count() == 0


def test_tracking_a_folder_that_a_plain_jupyterlab_serves(home, tmp_path, page):
    root = tmp_path / "untracked"
    root.mkdir()
    write_notebook(root / "first.ipynb", publish("the first of this folder"))
    plain = PlainLab(root)
    try:
        lab = Lab(page, plain.jupyter)
        lab.open("first.ipynb")
        lab.panel.get_by_role("button", name="Track this folder").last.click()
        lab.panel.get_by_text("No runs yet. Run this in a cell:").wait_for()
        lab.run_all()
        tracked = Tracked(root)
        tracked.wait_for(
            lambda _: [run["state"] for run in named(tracked.runs(), "the first of this folder")] == ["committed"]
        )
        lab.panel.get_by_role("button", name="the first of this folder").first.wait_for()
        lab.panel.get_by_text("Not bound to a hub").wait_for()
    finally:
        stop(plain.component)
    assert tracked.status() is None


def test_a_run_whose_outputs_the_rate_limit_drops(home, tmp_path, page):
    # One message in 300 s is too many. A limit that a flood must exceed would not do: the server counts anew at each
    # answer of the kernel, also to JupyterLab's own questions, and then lets through what should be dropped.
    limits = {"iopub_msg_rate_limit": 0.001, "rate_limit_window": 300}
    config = {"ZMQChannelsWebsocketConnection": limits}
    (home / "jupyter" / "jupyter_server_config.json").write_text(json.dumps(config))
    up = Up(tmp_path / "work")
    try:
        lab = Lab(page, up.jupyter)
        path = write_notebook(up.root / "dropped.ipynb", publish("dropped"))
        lab.open(path.name)
        lab.run_all()
        lab.page.get_by_text("IOPub message rate exceeded").first.wait_for()
        wait_until_pushed(up.tracked, "dropped")
        assert lab.cards.count() == 0
        lab.save_and_push("without the output")
        assert "IOPub message rate exceeded" in path.read_text()
        assert "DOTSCIENCE-RUN" not in path.read_text()
        assert only_run(up, "dropped")["record"]["workload_file"] == "dropped.ipynb"
    finally:
        assert up.stop() == 0
