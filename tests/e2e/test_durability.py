"""What a kill, an outage or a copy of the folder must not do: lose a run, or store one twice."""

from __future__ import annotations

import os
import subprocess
import sys

from support.stack import ds, publishing, write_notebook


def run_script(tracked, name="train.py", count=1):
    (tracked.root / name).write_text(publishing(count))
    ds("run", "--", sys.executable, name, cwd=tracked.root)


def test_killed_between_commit_and_push(hub, make_tracked):
    tracked = make_tracked()
    tracked.bind(hub)
    tracked.start()
    tracked.wait_for(lambda status: status["head"] and not status["unpushed"])
    hub.kill()
    run_script(tracked, count=3)
    status = tracked.wait_for(lambda status: status["unpushed"] > 0 and status["state"] == "unreachable")
    assert status["hub"]["unreachable_since"]
    assert "hub" in status["message"].lower()
    tracked.kill()
    hub.start()
    tracked.start()
    status = tracked.wait_for_runs(3)
    ids = [run["id"] for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]
    assert len(ids) == len(set(ids)) == 3
    assert hub.content(tracked.project, status["head"], "train.py") == (tracked.root / "train.py").read_bytes()


def test_the_hub_is_killed_in_the_middle_of_a_push(hub, tracked):
    for index in range(4):
        (tracked.root / f"weights-{index}.bin").write_bytes(os.urandom(40_000_000))
    killed = False
    run_script(tracked)
    for event in tracked.client.events(timeout_s=60):
        state = event["status"]["state"] if event["type"] == "status" else None
        if not killed and state in {"pushing", "pushed"}:
            hub.kill()
            killed = True
            break
    hub.start()
    status = tracked.wait_for_runs(1)
    assert killed
    ids = [run["id"] for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]
    assert len(ids) == 1
    for index in range(4):
        name = f"weights-{index}.bin"
        assert hub.content(tracked.project, status["head"], name) == (tracked.root / name).read_bytes()


def test_work_goes_on_while_the_hub_is_down(hub, make_tracked):
    tracked = make_tracked()
    tracked.bind(hub)
    hub.kill()
    tracked.start()
    for index in range(3):
        run_script(tracked, name=f"train{index}.py")
    status = tracked.wait_for(lambda status: status["runs"] >= 3 and status["state"] == "unreachable")
    assert status["unpushed"] >= 3
    hub.start()
    tracked.client.push()
    tracked.wait_for_runs(3)
    assert len([run for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]) == 3


def test_a_wrong_token_is_a_clear_state_and_work_goes_on(hub, make_tracked):
    from dotscience.client import credentials

    tracked = make_tracked()
    tracked.bind(hub)
    credentials.save(hub.url, tracked.project, "ds_1_" + "x" * 43)
    tracked.start()
    run_script(tracked)
    status = tracked.wait_for(lambda status: status["runs"] >= 1 and status["error"])
    assert status["state"] == "error"
    assert "token" in (status["error"]["detail"] + (status["error"]["hint"] or "")).lower()
    assert status["unpushed"] >= 1


def test_secrets_in_every_default_place_never_reach_the_hub_or_a_pack(hub, make_tracked):
    from committer.storage.store import ObjectStore

    secret = b"TOP-SECRET-" + os.urandom(8).hex().encode()
    tracked = make_tracked()
    places = [
        ".ssh/id_ed25519", ".aws/credentials", ".gnupg/key", ".netrc", ".config/gcloud/token", ".kube/config",
        ".docker/config.json", ".env", ".env.production", "server.pem", "deep/down/private.key", ".git/config",
        "sub/.env", ".bash_history", ".cache/x", ".local/y", ".~notebook.ipynb", ".ipynb_checkpoints/n.ipynb",
        ".dotscience/secret",
    ]  # fmt: skip
    for place in places:
        path = tracked.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(secret)
    (tracked.root / "open.txt").write_bytes(b"not secret")
    tracked.bind(hub)
    tracked.start()
    run_script(tracked)
    tracked.wait_for_runs(1)
    tracked.kill()
    store = ObjectStore(tracked.root / ".dotscience" / "store")
    try:
        contents = [store.get(entry.hash) for pack in store.packs() for entry in store.objects_in_pack(pack)]
    finally:
        store.close()
    assert any(content == b"not secret" for content in contents)
    assert not any(secret in content for content in contents)


def test_the_home_folder_is_refused(home, tmp_path):
    refused = ds("up", str(home), check=False, env={**os.environ, "HOME": str(home)})
    assert refused.returncode != 0
    assert "home" in refused.stderr.lower()
    assert "--force" in refused.stderr
    assert not (home / ".dotscience").exists()


def test_a_notebook_saved_while_the_committer_is_away_is_found_at_its_start(hub, tracked):
    tracked.kill()
    path = write_notebook(tracked.root / "late.ipynb", publishing(2))

    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", str(path)]
    subprocess.run(command, cwd=tracked.root, check=True, capture_output=True, timeout=120)
    tracked.start()
    tracked.wait_for_runs(2)
    assert len([run for run in hub.runs(tracked.project) if run["record"]["authority"] == "workload"]) == 2
