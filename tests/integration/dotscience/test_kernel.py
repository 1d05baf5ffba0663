"""A notebook in a real kernel."""

import nbclient
import nbformat
import pytest
from jupyter_client import KernelManager

from dotscience.notebook import find_runs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

CELLS = {
    "start": "import asyncio, threading\nimport dotscience as ds\nds.start('first')\nds.add_parameter('lr', 0.5)",
    "tasks": """
async def fit(number):
    ds.start(f"task {number}")
    await asyncio.sleep(0)
    ds.metric("n", number)
    ds.publish()

await asyncio.gather(fit(1), fit(2))
ds.add_metric("outer", 3)""",
    "publish": "await asyncio.sleep(0)\nds.publish()",
    "capture": "%%capture\nds.publish('captured')",
    "begin": "ds.start('fails')",
    "typo": "no_such_name",
    "crash": "ds.metric('m', 1)\n1 / 0",
    "again": "1 / 0",
    "block": "with ds.run('block'):\n    raise ValueError('x')",
    "thread": "thread = threading.Thread(target=ds.publish, args=('thread',))\nthread.start()\nthread.join()",
    "stream": "import sys\nds.publish('stream', stream=sys.stderr)",
}


@pytest.fixture
def executed(root, environment):
    """The cells, executed in the tracked folder as `analysis.ipynb`."""
    path = root / "analysis.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS.values()])
    nbformat.write(notebook, path)
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", allow_errors=True, timeout=60, resources={"metadata": {"path": str(root)}}
    )
    client.execute(env=environment | {"JPY_SESSION_NAME": str(path)})
    nbformat.write(notebook, path)
    return path


def test_runs_of_a_notebook(executed, sidecars):
    shown = find_runs(executed.read_bytes(), path="analysis.ipynb")
    place = {name: index for index, name in enumerate(CELLS)}
    assert [(run.record.description, run.location.cell, run.carrier) for run in shown] == [
        ("task 1", place["tasks"], "mime"),
        ("task 2", place["tasks"], "mime"),
        ("first", place["publish"], "mime"),
        ("fails", place["crash"], "mime"),
        ("block", place["block"], "mime"),
        ("thread", place["thread"], "mime"),
        ("stream", place["stream"], "marker"),
    ]
    kept = {record.description: record for record in sidecars()}
    assert kept.keys() == {run.record.description for run in shown} | {"captured"}
    assert (kept["first"].parameters, kept["first"].summary) == ({"lr": 0.5}, {"outer": 3})
    assert kept["fails"].error == "ZeroDivisionError: division by zero"
    assert kept["block"].error == "ValueError: x"
    assert {record.place.notebook for record in kept.values()} == {"analysis.ipynb"}
    by_id = {record.run_id: record for record in kept.values()}
    assert all(run.record == by_id[run.run_id] for run in shown if run.carrier == "mime")
    assert published_values(executed) == []


def published_values(path):
    """Results that the notebook echoes: publishing must not add any."""
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells for output in cell.outputs if output.output_type == "execute_result"]


def test_capture_in_an_untracked_folder_falls_back_to_the_standard_output(root, environment):
    (root / ".dotscience/project.toml").unlink()
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import dotscience as ds"),
            nbformat.v4.new_code_cell("%%capture\nds.publish('captured')"),
        ]
    )
    client = nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(root)}})
    client.execute(env=environment)
    [run] = find_runs(nbformat.writes(notebook).encode(), path="a.ipynb")
    assert (run.record.description, run.location.stream) == ("captured", "stdout")


def reply_to(client, request):
    """What the kernel replies to a request; one that starts slowly replies to earlier questions about itself first."""
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request["header"]["msg_id"]:
        pass
    return reply["content"]


def test_a_front_ends_cell_and_the_kernels_id_are_noted(root, environment, sidecars):
    """JupyterLab and VS Code send the cell's id with the request to execute it."""
    manager = KernelManager(kernel_name="python3", connection_file=str(root.parent / "kernel-0123-abcd.json"))
    manager.start_kernel(env=environment, cwd=str(root))
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        content = {"code": "import dotscience as ds; ds.publish()", "silent": False, "store_history": True}
        request = client.session.msg("execute_request", content, metadata={"cellId": "cell-7"})
        client.shell_channel.send(request)
        assert reply_to(client, request)["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    [record] = sidecars()
    assert (record.place.cell_id, record.place.kernel_id) == ("cell-7", "0123-abcd")
    assert record.place.notebook is None
