"""Live events, as pages and as programs hear them."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import requests
import websocket
from support.cutting_proxy import Cut, cutting_proxy

from dotscience.client import event_calls
from dotscience.client.hub import HubClient


@contextmanager
def listening(hub, *, token=None, origin=None, cookie=None):
    options = {"suppress_origin": True} if origin is None else {"origin": origin}
    if token:
        options["header"] = [f"Authorization: Bearer {token}"]
    if cookie:
        options["cookie"] = cookie
    address = urlsplit(hub.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as raw:
        url = f"ws://{address.netloc}/api/v1/events"
        yield websocket.create_connection(url, socket=raw, **options)


def subscribe(connection, *topics):
    connection.send(json.dumps({"subscribe": list(topics)}))


def receive(connection):
    return json.loads(connection.recv())


def test_a_push_is_heard(hub, project, new_run):
    topic = f"project:{project.id}"
    with listening(hub, token=hub.admin) as connection:
        subscribe(connection, "projects", topic)
        confirmed = [receive(connection) for _ in range(2)]
        assert {one["topic"] for one in confirmed} == {"projects", topic}
        assert {one["type"] for one in confirmed} == {"subscribed"}
        pushed = project.push(new_run())
        heard = [receive(connection) for _ in range(3)]
        assert heard[0] == {"topic": topic, "seq": 1, "type": "run.created", "id": pushed.run_ids[0]}
        assert heard[1] == {"topic": topic, "seq": 2, "type": "commit.created", "id": pushed.commit}
        assert (heard[2]["topic"], heard[2]["type"], heard[2]["id"]) == ("projects", "commit.created", project.id)
        made = hub.new_project()
        assert receive(connection)["id"] == made.id


def test_a_run_that_goes_on_is_heard_when_there_is_something_to_see(hub, project, new_run):
    topic, run = f"project:{project.id}", new_run()
    with listening(hub, token=hub.admin) as connection:
        subscribe(connection, topic)
        assert receive(connection)["type"] == "subscribed"
        for _ in range(2):
            project.report(run, ["loss", 0, 0, 1.0])
        project.report(run, start=10, end=10, state="lost")
        heard = [receive(connection) for _ in range(2)]
        assert [(one["seq"], one["type"], one["id"]) for one in heard] == [
            (1, "run.progressed", run.run_id),
            (2, "run.progressed", run.run_id),
        ]


def test_nothing_is_heard_of_other_projects(hub, project, new_run):
    stranger = hub.new_project()
    with listening(hub, token=stranger.token) as connection:
        subscribe(connection, "projects", f"project:{project.id}", "project:nope", f"project:{stranger.id}")
        assert receive(connection)["topic"] == f"project:{stranger.id}"
        project.push(new_run())
        pushed = stranger.push(new_run())
        assert receive(connection)["id"] == pushed.run_ids[0]


@contextmanager
def streaming(hub, project, token):
    """The lines of a project's stream of events."""
    url = f"{hub.url}/api/v1/projects/{project.id}/events"
    with requests.get(url, headers={"Authorization": f"Bearer {token}"}, stream=True, timeout=30) as answer:
        assert answer.status_code == 200
        yield answer.iter_lines(decode_unicode=True)


def read_event(lines):
    event = {}
    for line in lines:
        if not line and event:
            return event
        if not line.startswith(":") and line:
            name, _, event_value = line.partition(": ")
            event[name] = event_value
    return None


@pytest.mark.parametrize("lost", ["role", "openness", "account", "token"])
def test_whoever_lost_access_hears_no_more(hub, new_run, lost):
    """What is heard last is an event of another project, which came after those that must not be heard."""
    owner, viewer = hub.new_person(), hub.new_person()
    closed, other = (hub.new_project(owner=owner.token) for _ in range(2))
    hub.call("PATCH", closed.base, token=owner.token, json={"is_public": lost == "openness"})
    for project in (other,) if lost == "openness" else (closed, other):
        hub.call("PUT", f"{project.base}/collaborators/{viewer.name}", token=owner.token, json={"role": "viewer"})
    topics = [f"project:{project.id}" for project in (closed, other)]
    with listening(hub, token=viewer.token) as connection, streaming(hub, closed, viewer.token) as lines:
        subscribe(connection, *topics)
        assert {receive(connection)["topic"] for _ in topics} == set(topics)
        assert read_event(lines)["event"] == "subscribed"
        take_away(hub, lost, owner, viewer, closed)
        closed.push(new_run())
        other.push(new_run())
        if lost in ("role", "openness"):
            heard = (event for event in iter(lambda: receive(connection), None) if event["type"] != "project.changed")
            assert next(heard)["topic"] == topics[1]
        else:
            assert connection.recv() == ""  # it is closed
        assert {event["event"] for event in iter(lambda: read_event(lines), None)} <= {"project.changed"}


def take_away(hub, lost, owner, viewer, project):
    """Take a person's access to a project away."""
    if lost == "role":
        answer = hub.request("DELETE", f"{project.base}/collaborators/{viewer.name}", token=owner.token)
    elif lost == "openness":
        answer = hub.request("PATCH", project.base, token=owner.token, json={"is_public": False})
    elif lost == "account":
        answer = hub.request("PATCH", f"/api/v1/accounts/{viewer.name}", token=hub.admin, json={"role": "disabled"})
    else:
        answer = hub.request("DELETE", f"/api/v1/tokens/{viewer.token.split('_')[1]}", token=viewer.token)
    assert answer.ok, answer.text


def test_a_new_subscription_replaces_the_old_one(hub, project, new_run):
    with listening(hub, token=hub.admin) as connection:
        subscribe(connection, "projects")
        receive(connection)
        subscribe(connection, f"project:{project.id}")
        receive(connection)
        hub.new_project()
        pushed = project.push(new_run())
        assert receive(connection)["id"] == pushed.run_ids[0]


def test_a_browser_session_can_listen_from_our_own_page_only(hub):
    code = hub.call("POST", "/api/v1/login-codes", json={})["code"]
    session = hub.request("POST", "/api/v1/sessions", json={"code": code}).cookies["ds_session"]
    cookie = f"ds_session={session}"
    with listening(hub, cookie=cookie, origin=hub.url) as connection:
        subscribe(connection, "projects")
        assert receive(connection)["type"] == "subscribed"
    for origin in ("http://evil.example", "null", hub.url.replace("127.0.0.1", "localhost")):
        with (
            pytest.raises(websocket.WebSocketBadStatusException) as refused,
            listening(hub, cookie=cookie, origin=origin),
        ):
            pass
        assert refused.value.status_code == 403


def test_nobody_cannot_listen(hub):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused, listening(hub):
        pass
    assert refused.value.status_code == 401


@pytest.mark.parametrize(
    "message", ["", "x", "[]", '{"subscribe": 5}', '{"subscribe": ["' + "a" * 300 + '"]}', "[" * 60_000]
)
def test_a_message_that_is_no_subscription_ends_the_connection(hub, message):
    with listening(hub, token=hub.admin) as connection:
        connection.send(message)
        opcode, data = connection.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert int.from_bytes(data[:2], "big") == 1003


def test_a_stopping_hub_says_goodbye(serve_hub, tmp_path):
    with ExitStack() as connections:
        with serve_hub(tmp_path / "hub") as hub:
            connection = connections.enter_context(listening(hub, token=hub.admin))
            subscribe(connection, "projects")
            assert receive(connection)["type"] == "subscribed"
        opcode, data = connection.recv_data()
        assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1001)


# ---------------------------------------------------------------------------------- streams for programs


def streamed(hub, project, **headers):
    """The lines of a stream of server-sent events."""
    answer = hub.request("GET", f"{project.base}/events", token=project.token, headers=headers, stream=True)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    return answer, (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith(b"data: "))


def test_a_program_hears_of_runs_as_they_come(hub, project, new_run):
    answer, events = streamed(hub, project)
    with answer:
        assert next(events)["type"] == "subscribed"
        run = project.push(new_run()).run_ids[0]
        heard = [next(events), next(events)]
        assert {(one["type"], one["id"]) for one in heard} >= {("run.created", run)}
    last = heard[-1]["seq"]
    answer, events = streamed(hub, project, **{"Last-Event-ID": str(last)})
    with answer:
        assert next(events)["type"] == "subscribed", "nothing was missed"
    project.push(new_run())
    answer, events = streamed(hub, project, **{"Last-Event-ID": str(last)})
    with answer:
        assert [next(events)["type"], next(events)["type"]] == ["resync", "subscribed"]


def test_a_stream_is_for_those_who_may_read(hub, project):
    stranger = hub.new_project()
    assert hub.request("GET", f"{project.base}/events", token=stranger.token).status_code == 404
    assert hub.request("GET", f"{project.base}/events").status_code == 401


def test_a_stream_keeps_no_hub_from_stopping(serve_hub, tmp_path):
    with serve_hub(tmp_path / "hub") as hub:
        project = hub.new_project()
        answer, events = streamed(hub, project)
        assert next(events)["type"] == "subscribed"
    with answer:
        assert list(events) == []


def test_the_client_goes_on_after_a_connection_broke_off(hub, project, new_run, monkeypatch):
    monkeypatch.setattr(event_calls, "WAIT_S", 0)
    port = urlsplit(hub.url).port
    with (
        cutting_proxy(port, lambda number: Cut(answers=2_000) if number == 1 else Cut()) as url,
        HubClient(url, project.token) as client,
    ):
        events = client.events(project.id)
        assert next(events)["type"] == "subscribed"
        for _ in range(10):  # more than the first connection carries
            project.push(new_run())
        heard = list(iter(lambda: next(events)["type"], "subscribed"))
        assert heard[-1] == "resync"
        events.close()
