"""Remote mode against a hub that refuses: every refusal is an error, and no run is lost."""

from __future__ import annotations

import base64
import json
import logging
from urllib.parse import urlsplit

import pytest
from support.legacy_hub import SECRET, USER

from dotscience import Dotscience, DotscienceWarning
from dotscience.errors import (
    DotscienceError,
    HubError,
    HubUnavailable,
    Locked,
    NotConnected,
    NotOffered,
    Unauthenticated,
)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, Unauthenticated, "check the user name"),
        (423, Locked, "task 12 has the lock.*stop Jupyter"),
        (500, HubUnavailable, "try again later"),
        (507, HubError, "status 507"),
        (302, HubError, "redirects"),
    ],
)
@pytest.mark.parametrize("outputs", [["a"], ["m/a", "m/b"]])
def test_a_refused_upload_is_an_error_and_nothing_is_done(ds, hub, folder, capsys, outputs, status, error, said, write):
    problem = {"detail": "task 12 has the lock"} if status == 423 else b""
    hub.refuse("PUT", status, problem)
    for path in outputs:
        write(path)
    ds.output("a" if outputs == ["a"] else "m")
    with pytest.raises(error, match=f"refused the upload of [am] with status {status}.*{said}"):
        ds.publish()
    assert hub.rpc("Commit") == []
    out = capsys.readouterr().out
    assert "done" not in out
    assert "complete" not in out

    hub.refusals.clear()
    run = ds.publish()
    assert json.loads(hub.commits[0][f"run.{run.run_id}.output-files"]) == outputs


def test_a_hub_that_refuses_before_it_has_read_is_an_error_too(ds, hub, folder, write):
    """The connection is reset while the client still sends; the answer may or may not get through."""
    hub.refuse("PUT", 423, unread=True)
    ds.output(write("big.bin", b"x" * 20_000_000))
    with pytest.raises(HubError, match=r"the upload of big\.bin"):
        ds.publish()
    assert hub.rpc("Commit") == []


@pytest.mark.parametrize("place", ["GET /v2/projects", "POST /v2/projects", "POST /v2/dotmesh/rpc"])
def test_any_other_refusal_is_an_error_too(ds, hub, place, capsys):
    hub.refuse(place, 500)
    with pytest.raises(HubUnavailable):
        ds.publish()
    assert "done" not in capsys.readouterr().out
    assert hub.commits == []


def test_projects_in_another_form_are_not_guessed_at(ds, hub):
    hub.refuse("GET /v2/projects", 200, [{"name": "mnist"}])
    with pytest.raises(HubUnavailable, match="does not answer like a Dotscience hub"):
        ds.publish()


def test_an_output_that_cannot_be_read_ends_the_publish(ds, hub, folder, monkeypatch, write):
    write("m/a")
    write("m/b")
    ds.output("m")
    monkeypatch.setattr("builtins.open", refuse_to_open(folder / "m/b"))
    with pytest.raises(PermissionError):
        ds.publish()
    assert hub.named("PUT") == []
    assert hub.commits == []


def refuse_to_open(path):
    """What a file of another user does; the tests may run as root, whom nothing is refused."""
    original = open

    def opened(file, *args, **kwargs):
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return original(file, *args, **kwargs)

    return opened


@pytest.mark.parametrize("asked", [{"build": True}, {"deploy": True}])
def test_builds_are_refused_before_anything_is_sent(ds, hub, folder, asked, write):
    ds.output(write("a"))
    hub.requests.clear()
    with pytest.raises(NotOffered, match="nothing was published"):
        ds.publish(**asked)
    assert hub.requests == []


def test_remote_without_connect_says_what_to_call(folder):
    library = Dotscience()
    library.remote()
    with pytest.raises(NotConnected, match=r"call ds\.connect\(username, apikey, project, hostname\)"):
        library.publish()
    with pytest.raises(NotConnected):
        library.publish()


def test_a_refusal_does_not_take_the_place_of_the_users_exception(ds, hub):
    hub.refuse("projects", 500)
    with (
        pytest.warns(DotscienceWarning, match="the failed run could not be published"),
        pytest.raises(ZeroDivisionError),
        ds.run(),
    ):
        1 / 0  # noqa: B018 - raises


def test_a_refusal_is_not_the_runs_failure(ds, hub):
    hub.refuse("projects", 500)
    with pytest.raises(HubUnavailable), ds.run():
        ds.publish()
    assert len(hub.named("projects")) == 1


def test_a_script_whose_publish_is_refused_tries_once_and_fails(hub, run_script):
    hub.refuse("projects", 503)
    finished = run_script(f"""
        import dotscience as ds
        ds.connect({USER!r}, {SECRET!r}, "mnist", {hub.url!r})
        ds.publish()
        """)
    assert finished.returncode == 1
    assert "HubUnavailable: the hub refused the list of projects with status 503" in finished.stderr
    assert len(hub.named("projects")) == 1
    assert SECRET not in finished.stderr + finished.stdout


def test_a_script_publishes_and_its_crash_too(hub, run_script):
    finished = run_script(f"""
        import dotscience as ds
        ds.connect({USER!r}, {SECRET!r}, "mnist", {hub.url!r})
        ds.start("first"); ds.publish()
        ds.start("second"); ds.parameter("p", 1)
        raise SystemError("boom")
        """)
    assert "SystemError: boom" in finished.stderr
    first, second = hub.commits
    errors = [commit.get(f"run.{run_id}.error") for commit in (first, second) for run_id in json.loads(commit["runs"])]
    assert errors == [None, "SystemError: boom"]
    (run_id,) = json.loads(first["runs"])
    assert first[f"run.{run_id}.workload-file"] == "script.py"


def test_the_module_still_has_the_originals_remote_after_connecting(hub, run_script):
    """A submodule of that name would take its place when it is imported."""
    finished = run_script(f"""
        import dotscience as ds
        ds.connect({USER!r}, {SECRET!r}, "mnist", {hub.url!r})
        ds.remote()
        """)
    assert finished.returncode == 0, finished.stderr


def test_credentials_show_nowhere(ds, hub, folder, caplog, capsys, write):
    caplog.set_level(logging.DEBUG)
    ds.output(write("a"))
    run = ds.publish()
    hub.refuse("projects|PUT", 500, {"detail": "no"})
    with pytest.raises(DotscienceError) as caught:
        ds.publish()
    encoded = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
    hub_objects = [ds, ds._remote, ds._remote.open(), run, run.record, ds.current.get()]
    hub_objects[2].__exit__()
    seen = [*map(repr, hub_objects), *map(str, hub_objects), repr(caught.value), caplog.text, capsys.readouterr().out]
    seen += [json.dumps(commit) for commit in hub.commits]
    assert not [text for text in seen if SECRET in text or encoded in text]
    assert urlsplit(run.url).password is None
