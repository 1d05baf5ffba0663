"""A folder that is renamed in the middle of a run keeps the run, with its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dotscience.workspace import ROOT_VARIABLE, new_workspace, write_project

CODE = """
import os, sys, dotscience as ds
ds.script(SCRIPT); ds.start("moved"); ds.input(IN); ds.metric("loss", 1, step=1)
open(ds.output(OUT), "w").write("made")
os.rename(sys.argv[1], sys.argv[2])
ds.metric("loss", 2, step=2)
open(ds.output(LATER), "w").write("later")
ds.publish()
ds.start("after"); ds.publish()
"""


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("below", ["", "deep/er"])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_run_outlives_the_renaming_of_its_folder(tmp_path, given, below, replaced):
    was, now = tmp_path / "was", tmp_path / "now"
    folder = was / below
    folder.mkdir(parents=True)
    write_project(new_workspace(was))
    (was / "in.txt").write_text("read")
    up = "../" * (below.count("/") + 1) if below else ""
    code = (
        CODE.replace("SCRIPT", repr(f"{up}run.py"))
        .replace("IN", repr(f"{up}in.txt"))
        .replace("OUT", repr(f"{up}out.txt"))
        .replace("LATER", "'later.txt'")
    )
    if replaced:
        code = code.replace("os.rename(sys.argv[1], sys.argv[2])", "os.rename(*sys.argv[1:]); os.mkdir(sys.argv[1])")
    environment = {name: value for name, value in os.environ.items() if name != ROOT_VARIABLE}
    if given:
        environment[ROOT_VARIABLE] = str(was)
    arguments = [sys.executable, "-c", code, str(was), str(now)]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    paths = [path for path in (now / ".dotscience" / "runs").glob("*.json") if "environment" not in path.name]
    records = {record["description"]: record for record in map(json.loads, (path.read_text() for path in paths))}
    assert set(records) == {"moved", "after"}
    moved = records["moved"]
    assert [file["path"] for file in moved["inputs"]] == ["in.txt"]
    later = f"{below}/later.txt" if below else "later.txt"
    assert sorted(file["path"] for file in moved["outputs"]) == sorted(["out.txt", later])
    assert moved["workload_file"] == "run.py"
    assert moved.get("warnings", []) == []
    assert was.exists() == replaced
    assert (now / ".dotscience" / "captures" / moved["run_id"]).exists()


def test_a_folder_that_is_only_called_by_a_link_is_not_moved(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    write_project(new_workspace(root))
    link = tmp_path / "link"
    link.symlink_to(root)
    code = (
        "import dotscience as ds; ds.start(); open(ds.output('x'), 'w').write('1'); r = ds.publish().record; print(r)"
    )
    environment = os.environ | {ROOT_VARIABLE: str(link)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert "path='x'" in done.stdout
    assert "outside=True" not in done.stdout
