"""Remote mode of this library against a real hub: what it says has happened did happen."""

from __future__ import annotations

import threading
import types

import pytest
from support.legacy_client import OWNER, LegacyClient

from dotscience import Dotscience
from dotscience.errors import HubError, Locked, Unauthenticated


@pytest.fixture
def folder(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("DOTSCIENCE_PROJECT_DOT_ROOT", str(work))
    monkeypatch.delenv("DOTSCIENCE_WORKLOAD_TYPE", raising=False)
    return work


@pytest.fixture
def ds(own_hub, folder):
    library = Dotscience()
    library.connect(OWNER, own_hub.admin, "mnist", own_hub.url)
    return library


@pytest.fixture
def find(own_hub):
    """A published run as the hub has it, and its files."""

    def look(run):
        (project,) = own_hub.call("GET", "/api/v1/projects")["items"]
        found = own_hub.call("GET", f"/api/v1/projects/{project['id']}/runs/{run.run_id}")
        base = f"/api/v1/projects/{project['id']}/commits/{found['commit']}/content"
        paths = [file["path"] for file in found["record"]["outputs"]]
        files = {path: own_hub.request("GET", base, params={"path": path}, token=own_hub.admin).text for path in paths}
        return found["record"], files

    return look


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_files_folders_and_a_model(ds, folder, find):
    write(folder, model__saved_model="m", model__variables__index="i", report="r", empty="")
    tensorflow = types.ModuleType("tensorflow")
    tensorflow.__version__ = "2.1.0"
    ds.start("trained")
    ds.parameter("epochs", 3)
    ds.metric("accuracy", 0.9)
    ds.model(tensorflow, "mnist", "model")
    ds.output("report")
    ds.output("empty")
    record, files = find(ds.publish())
    assert files == {"model/saved_model": "m", "model/variables/index": "i", "report": "r", "empty": ""}
    assert (record["authority"], record["description"]) == ("remote", "trained")
    assert (record["parameters"], record["summary"]) == ({"epochs": "3"}, {"accuracy": "0.9"})
    assert [one["name"] for one in record["models"]] == ["mnist"]
    assert record["warnings"] == []


def test_one_run_after_the_other(ds, folder, find):
    for number in range(3):
        write(folder, out__a=str(number))
        ds.start()
        ds.output("out")
        assert find(ds.publish())[1] == {"out/a": str(number)}


def test_threads(ds, folder, find):
    runs = {}

    def work(number):
        write(folder, **{f"out_{number}": str(number)})
        ds.start()
        ds.output(f"out_{number}")
        runs[number] = ds.publish()

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, run in runs.items():
        assert find(run)[1] == {f"out_{number}": str(number)}


def test_the_address_leads_to_the_run(ds, own_hub, folder):
    run = ds.publish("x")
    answer = own_hub.request("GET", run.url.removeprefix(own_hub.url), allow_redirects=False)
    assert answer.headers["Location"].endswith(f"/runs/{run.run_id}")


def test_a_lock_is_an_error_and_nothing_is_recorded(ds, own_hub, folder):
    write(folder, a="1")
    workspace = LegacyClient(own_hub).new_workspace()
    ds.start()
    ds.output("a")
    with workspace.locked(), pytest.raises(Locked, match=r"locked by Jupyter \(task 4abc9799\)"):
        ds.publish()
    assert workspace.api("")["runs"] == 0
    ds.publish()
    assert workspace.api("")["runs"] == 1


def test_a_lock_without_an_upload(ds, own_hub, folder):
    workspace = LegacyClient(own_hub).new_workspace()
    with workspace.locked(), pytest.raises(HubError, match="locked by Jupyter"):
        ds.publish("x")


def test_wrong_credentials(own_hub, folder):
    with pytest.raises(Unauthenticated, match="give the name of its owner"):
        Dotscience().connect("alice", own_hub.admin, "mnist", own_hub.url)
