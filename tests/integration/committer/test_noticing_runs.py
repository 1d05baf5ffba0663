"""From a publish or a save to a commit: every run exactly once, and none that is not ours."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import msgspec

from dotscience.record import FileRef, encode_json
from dotscience.wire import encode_marker, to_wire
from dotscience.workspace import write_durably


def test_the_first_start_takes_one_initial_commit(folder):
    folder.write("data.csv", b"1,2\n")
    folder.start()
    first = folder.until(lambda status: status["head"])
    assert folder.stop() == 0
    folder.start()
    again = folder.until(lambda status: status["state"] == "watching")
    assert again["head"] == first["head"]
    assert again["unpushed"] == 1


def test_a_script_run_is_committed_at_once_with_hashes_and_environment(folder, make_record, make_environment):
    folder.start()
    folder.until(lambda status: status["head"])
    folder.write("in.csv", b"1,2\n")
    run = make_record(inputs=[FileRef(path="in.csv"), FileRef(path="nowhere.csv")], environment="env-1")
    folder.publish(run)
    environment = folder.workspace.runs_dir / "env-1.environment.json"
    write_durably(environment, encode_json(make_environment()))
    found = folder.until_committed(run.run_id)[run.run_id]
    present, absent = found["record"]["inputs"]
    assert len(present["content_hash"]) == 64
    assert present["size"] == 4
    assert absent["missing"] is True
    assert found["record"]["notebook_stale"] is False
    assert folder.client.run(run.run_id)["environment"]["hostname"] == "here"
    folder.until(lambda _: not list(folder.workspace.runs_dir.iterdir()))


def test_a_later_run_of_the_same_process_finds_its_environment(folder, make_record, make_environment):
    folder.start()
    write_durably(folder.workspace.runs_dir / "env-1.environment.json", encode_json(make_environment()))
    first = folder.publish(make_record(environment="env-1"))
    folder.until_committed(first.run_id)
    second = folder.publish(make_record(environment="env-1"))
    folder.until_committed(second.run_id)
    assert folder.client.run(second.run_id)["environment"]["python"] == "3.11"


def test_an_environment_that_never_comes_does_not_keep_the_run(folder, make_record):
    folder.start()
    run = folder.publish(make_record(environment="env-lost"))
    found = folder.until_committed(run.run_id)[run.run_id]
    assert found["record"]["environment"] is None
    assert "environment" in found["record"]["warnings"][0]


def test_a_published_run_waits_for_its_notebook(folder, make_record):
    folder.start(publish_grace_s="60")
    folder.until(lambda status: status["head"])
    run = folder.publish(make_record("a.ipynb"))
    folder.until(lambda status: status["pending_runs"] == 1)
    folder.save_notebook("a.ipynb", run)
    found = folder.until_committed(run.run_id)[run.run_id]
    assert found["record"]["notebook_stale"] is False
    assert found["record"]["workload_file"] == "a.ipynb"


def test_a_run_whose_notebook_is_not_saved_is_committed_after_the_grace_and_says_so(folder, make_record):
    folder.start()
    folder.save_notebook("a.ipynb")
    folder.until(lambda status: status["head"])
    run = folder.publish(make_record("a.ipynb"))
    found = folder.until_committed(run.run_id)[run.run_id]
    assert found["record"]["notebook_stale"] is True
    # The save that follows belongs to that run: it is neither a run of its own nor a second copy.
    folder.save_notebook("a.ipynb", run, cells=2)
    folder.client.nudge("a.ipynb")
    later = folder.publish(make_record())
    assert set(folder.until_committed(later.run_id)) == {run.run_id, later.run_id}


def test_200_publishes_in_one_notebook_are_200_runs(folder, make_record):
    folder.start()
    runs = [folder.publish(make_record("a.ipynb")) for _ in range(200)]
    folder.save_notebook("a.ipynb", *runs)
    found = folder.until_committed(*(run.run_id for run in runs))
    assert sorted(found) == sorted(run.run_id for run in runs)
    assert len(folder.runs()) == 200


def test_three_notebooks_saved_at_once(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    runs = {name: make_record(name) for name in ("a.ipynb", "b.ipynb", "sub/c.ipynb")}
    for name, run in runs.items():
        folder.save_notebook(name, run)
    found = folder.until_committed(*(run.run_id for run in runs.values()))
    assert {run["record"]["workload_file"] for run in found.values()} == set(runs)


def test_a_run_is_found_in_a_marker_when_there_is_nothing_else(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record(parameters={"rate": "0.1"})
    text = encode_marker(run.run_id, to_wire(run))
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": "", "id": "c1"}
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}]
    folder.write("a.ipynb", json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}).encode())
    assert folder.until_committed(run.run_id)[run.run_id]["record"]["parameters"] == {"rate": "0.1"}


def test_a_notebook_that_is_rewritten_while_watched(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record("a.ipynb")
    folder.save_notebook("a.ipynb", cells=1)
    whole = (folder.root / "a.ipynb").read_bytes()
    for size in (10, len(whole) // 2, 0):
        folder.write("a.ipynb", whole[:size])
    folder.save_notebook("a.ipynb", run, cells=1)
    folder.until_committed(run.run_id)
    assert folder.client.status()["error"] is None


def test_a_broken_notebook_is_reported_and_noticed_when_it_is_whole_again(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record("a.ipynb")
    folder.write("a.ipynb", b'{"cells": [')
    status = folder.until(lambda status: status["error"])
    assert status["error"]["type"] == "notebook-unreadable"
    assert status["error"]["notebook"] == "a.ipynb"
    assert status["state"] == "watching"  # a note on that file; the folder is well
    assert "a.ipynb" in folder.command("status").stdout
    folder.save_notebook("a.ipynb", run)
    folder.until_committed(run.run_id)
    assert folder.until(lambda status: status["error"] is None)["state"] == "watching"


def test_a_notebook_behind_a_link_is_one_notebook(folder, make_record):
    folder.save_notebook("shared/a.ipynb")
    (folder.root / "lesson").mkdir()
    (folder.root / "lesson" / "a.ipynb").symlink_to("../shared/a.ipynb")
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record("shared/a.ipynb")
    folder.publish(run)
    folder.save_notebook("lesson/a.ipynb", run, cells=2)
    folder.client.nudge("lesson/a.ipynb")
    found = folder.until_committed(run.run_id)
    assert list(found) == [run.run_id]
    assert not found[run.run_id]["record"]["notebook_stale"]
    assert folder.client.status()["problems"] == []
    assert folder.client.runs(notebook="lesson/a.ipynb")["total"] == 1


def test_an_editor_that_saves_by_rename_is_noticed(folder, make_record, make_notebook):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record("a.ipynb")
    temporary = folder.root / "a.ipynb.tmp"
    temporary.write_bytes(make_notebook(run))
    temporary.rename(folder.root / "a.ipynb")
    folder.until_committed(run.run_id)


def test_a_folder_of_notebooks_that_is_moved_in_is_noticed(folder, make_record, make_notebook, tmp_path):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record("new/deep/a.ipynb")
    outside = tmp_path / "outside" / "deep"
    outside.mkdir(parents=True)
    (outside / "a.ipynb").write_bytes(make_notebook(run))
    outside.parent.rename(folder.root / "new")
    folder.until_committed(run.run_id)


def test_a_copied_notebook_adds_no_run(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    run = make_record("a.ipynb")
    folder.save_notebook("a.ipynb", run)
    folder.until_committed(run.run_id)
    shutil.copy(folder.root / "a.ipynb", folder.root / "copy.ipynb")
    folder.client.nudge("copy.ipynb")
    later = folder.publish(make_record())
    assert set(folder.until_committed(later.run_id)) == {run.run_id, later.run_id}
    assert folder.committed()[run.run_id]["notebook"] == "a.ipynb"


def test_a_clone_full_of_old_runs_is_listed_and_imported_only_on_request(folder, make_record):
    long_ago = datetime.now(UTC) - timedelta(days=100)
    old = [make_record("old.ipynb", ended_at=long_ago) for _ in range(3)]
    folder.save_notebook("old.ipynb", *old)
    folder.start()
    status = folder.until(lambda status: status["earlier_runs"] == 3 and status["head"])
    assert status["runs"] == 0
    assert {run["state"] for run in folder.runs()} == {"earlier"}
    assert folder.client.import_runs([old[0].run_id, old[0].run_id, "unknown"]) == 1
    assert set(folder.until_committed(old[0].run_id)) == {old[0].run_id}
    assert folder.client.status()["earlier_runs"] == 2


def test_a_cloned_project_file_does_not_make_old_runs_ours(make_folder, make_record):
    original = make_folder("original")
    run = make_record("a.ipynb")
    clone = make_folder("clone", init=False)
    shutil.copytree(original.workspace.state_dir, clone.root / ".dotscience", ignore=shutil.ignore_patterns("store"))
    clone.save_notebook("a.ipynb", run)
    clone.start()
    clone.until(lambda status: status["earlier_runs"] == 1 and status["head"])
    assert clone.committed() == {}


def test_the_first_content_of_an_id_wins_and_the_difference_is_kept(folder, make_record):
    folder.start()
    first = folder.publish(make_record(parameters={"rate": 1}))
    folder.until_committed(first.run_id)
    folder.publish(msgspec.structs.replace(first, parameters={"rate": 2}))
    later = folder.publish(make_record())
    found = folder.until_committed(later.run_id)
    assert found[first.run_id]["record"]["parameters"] == {"rate": 1}
    assert "other content" in found[first.run_id]["record"]["warnings"][0]


def test_runs_published_while_no_committer_runs_are_found_at_the_start(folder, make_record):
    published = folder.publish(make_record())
    saved = make_record("a.ipynb")
    folder.save_notebook("a.ipynb", saved)
    folder.start()
    assert set(folder.until_committed(published.run_id, saved.run_id)) == {published.run_id, saved.run_id}


def test_a_broken_sidecar_is_reported_and_kept(folder, make_record):
    folder.start()
    broken = folder.workspace.runs_dir / "broken.json"
    write_durably(broken, b"{nonsense")
    run = folder.publish(make_record())
    folder.until_committed(run.run_id)
    assert folder.until(lambda status: status["error"])["error"]["type"] == "sidecar-unreadable"
    broken.unlink()
    folder.until(lambda status: status["error"] is None)


def test_notebooks_in_ignored_folders_are_nobodys_business(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    folder.save_notebook("venv/a.ipynb", make_record("venv/a.ipynb"))
    folder.save_notebook(".ipynb_checkpoints/a-checkpoint.ipynb", make_record("a.ipynb"))
    folder.client.nudge("venv/a.ipynb")
    run = folder.publish(make_record())
    assert set(folder.until_committed(run.run_id)) == {run.run_id}


def test_a_kernel_that_does_not_know_its_notebook_is_placed_by_the_save(folder, make_record):
    folder.start(publish_grace_s="60")
    folder.until(lambda status: status["head"])
    run = folder.publish(msgspec.structs.replace(make_record(), mode="interactive"))
    folder.until(lambda status: status["pending_runs"] == 1)
    folder.save_notebook("a.ipynb", run, cells=2)
    found = folder.until_committed(run.run_id)[run.run_id]
    assert found["record"]["workload_file"] == "a.ipynb"
    assert found["record"]["notebook_stale"] is False


def test_a_late_save_of_an_unplaced_run_is_no_run_of_its_own(folder, make_record):
    folder.save_notebook("a.ipynb")
    folder.start()
    folder.until(lambda status: status["head"])
    run = folder.publish(msgspec.structs.replace(make_record(), mode="interactive"))
    assert folder.until_committed(run.run_id)[run.run_id]["record"]["notebook_stale"] is True
    folder.save_notebook("a.ipynb", run, cells=2)
    folder.until(lambda _: folder.committed()[run.run_id]["notebook"] == "a.ipynb")
    later = folder.publish(make_record())
    assert set(folder.until_committed(later.run_id)) == {run.run_id, later.run_id}


def test_too_little_room_stops_snapshots_and_keeps_the_runs(folder, make_record):
    folder.start(min_free_bytes=str(1 << 60))
    run = folder.publish(make_record())
    status = folder.until(lambda status: status["error"] and status["pending_runs"] == 1)
    assert status["error"]["type"] == "disk-full"
    assert status["head"] is None
    assert (folder.workspace.runs_dir / f"{run.run_id}.json").exists()
    folder.stop()
    folder.start()
    assert set(folder.until_committed(run.run_id)) == {run.run_id}


def test_polling_notices_as_watching_does_and_says_so(folder, make_record):
    folder.start(watch="poll", poll_interval_s="0.1")
    folder.until(lambda status: status["head"])
    run = make_record("a.ipynb")
    folder.save_notebook("a.ipynb", run)
    folder.until_committed(run.run_id)
    assert "intervals" in folder.client.status()["message"]


def test_a_commit_waits_for_the_save_that_shows_every_run_of_the_notebook(folder, make_record):
    folder.start(publish_grace_s="600")
    folder.until(lambda status: status["head"])
    first, second = (folder.publish(make_record("a.ipynb")) for _ in range(2))
    folder.until(lambda status: status["pending_runs"] == 2)
    folder.save_notebook("a.ipynb", first)  # as when the second cell published during the save
    folder.client.nudge("a.ipynb")
    script = folder.publish(make_record())
    folder.until(lambda status: status["pending_runs"] == 3)
    folder.save_notebook("a.ipynb", first, second)
    found = folder.until_committed(first.run_id, second.run_id, script.run_id)
    assert len({run["commit"] for run in found.values()}) == 1
    assert not any(run["record"]["notebook_stale"] for run in found.values())


def test_a_notebook_that_is_never_saved_holds_other_runs_up_for_the_grace_only(folder, make_record):
    folder.start()
    folder.until(lambda status: status["head"])
    unsaved = folder.publish(make_record("a.ipynb"))
    saved = make_record("b.ipynb")
    folder.save_notebook("b.ipynb", saved)
    script = folder.publish(make_record())
    found = folder.until_committed(unsaved.run_id, saved.run_id, script.run_id)
    assert found[unsaved.run_id]["record"]["notebook_stale"] is True
    assert found[saved.run_id]["record"]["notebook_stale"] is False
